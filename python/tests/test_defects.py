"""What the original gets wrong, one test for each known defect: here it is right."""

from __future__ import annotations

import json
import math
import os
import shutil
import stat
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aral_store import AralStoreError, Corrupt, InvalidInput, MessageStore, Store


def filled(dir: Path, ids: tuple[str, ...] = ("c0", "c1", "c2")) -> None:
    with MessageStore(dir, sync="os", mirror="close") as store:
        for id in ids:
            store.add_message(id, f"of {id}")
    shutil.rmtree(dir / "log")  # As the original leaves a directory.


def opened(dir: Path, **how: Any) -> MessageStore:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MessageStore(dir, sync="os", **how)


def contents(store: MessageStore, id: str) -> list[str]:
    return [message.content for message in store.get_conversation_messages(id)]


@pytest.mark.parametrize("index", [b"", b"{", b"[]", b"null", b'{"conversation_ids": null}', b"\xff"])
def test_a_corrupt_index_hides_and_destroys_nothing(tmp_path: Path, index: bytes):
    filled(tmp_path)
    (tmp_path / "message_store.json").write_bytes(index)
    with opened(tmp_path) as store:
        store.add_message("c0", "more")
        assert sorted(store.conversations) == ["c0", "c1", "c2"]
        assert contents(store, "c0") == ["of c0", "more"]
    assert set(json.loads((tmp_path / "message_store.json").read_text())["conversation_ids"]) == {"c0", "c1", "c2"}


@pytest.mark.parametrize("file", [b"", b"{", b'{"id": "c1"', b"\xef\xbb\xbf{}", b"[1]", b"7", b"null", b"\xff\xfe"])
def test_a_damaged_file_is_named_and_never_overwritten(tmp_path: Path, file: bytes):
    filled(tmp_path)
    (tmp_path / "conversations/c1.json").write_bytes(file)
    with pytest.warns(RuntimeWarning, match="c1"):
        store = MessageStore(tmp_path, sync="os")
    with store:
        with pytest.raises(Corrupt):
            store.add_message("c1", "would overwrite it")
        store.add_message("c2", "goes on")
        assert contents(store, "c0") == ["of c0"] and contents(store, "c2") == ["of c2", "goes on"]
    assert (tmp_path / "conversations/c1.json").read_bytes() == file


def test_a_file_that_the_index_does_not_list_is_found(tmp_path: Path):
    filled(tmp_path)
    (tmp_path / "message_store.json").write_text('{"conversation_ids": ["c0"]}')
    with opened(tmp_path) as store:
        store.add_message("c1", "more")
        assert contents(store, "c1") == ["of c1", "more"] and len(store.conversations) == 3


def test_a_deleted_index_is_rebuilt_whole(tmp_path: Path):
    filled(tmp_path)
    (tmp_path / "message_store.json").unlink()
    with opened(tmp_path) as store:
        store.add_message("c2", "more")
    with opened(tmp_path) as store:
        assert sorted(store.conversations) == ["c0", "c1", "c2"]
    assert len(json.loads((tmp_path / "message_store.json").read_text())["conversation_ids"]) == 3


def test_what_a_call_has_saved_is_synced(tmp_path: Path):
    with Store(tmp_path) as store:
        assert store.add_message("c1", "x").is_durable


def test_adding_writes_a_message_and_not_the_conversation(tmp_path: Path):
    with MessageStore(tmp_path, sync="os", mirror="never") as store:
        for _ in range(500):
            store.add_message("c1", "x" * 100)
        before = store.stats().log_bytes
        store.add_message("c1", "x" * 100)
        assert store.stats().log_bytes - before < 1000


def test_creating_costs_the_same_among_many(tmp_path: Path):
    with MessageStore(tmp_path, sync="os", mirror="never") as store:
        def seconds() -> float:
            times = []
            for _ in range(100):
                begun = time.perf_counter()
                store.create_conversation()
                times.append(time.perf_counter() - begun)
            return sorted(times)[20]

        few = seconds()
        for _ in range(2000):
            store.create_conversation()
        assert seconds() < 10 * few


def test_opening_reads_no_conversation_before_it_is_asked_for(tmp_path: Path):
    filled(tmp_path)
    with opened(tmp_path) as store:
        store.compact()
    with opened(tmp_path) as store:
        assert not store._live.known
        assert contents(store, "c1") == ["of c1"] and list(store._live.known) == ["c1"]


def test_the_last_writer_does_not_win(tmp_path: Path):
    a, b = opened(tmp_path), opened(tmp_path)
    a.add_message("c1", "from a")
    b.add_message("c1", "from b")
    assert contents(a, "c1") == ["from a", "from b"] == contents(b, "c1")
    a.close()
    b.close()


@pytest.mark.parametrize("id", ["../evil", "/tmp/evil", "a/b", "../message_store", "..", "a\\b", "~", ".hidden"])
def test_no_id_is_a_path(tmp_path: Path, id: str):
    dir = tmp_path / "in" / "data"
    with MessageStore(dir, sync="os", mirror="always") as store:
        store.add_message("other", "x")
        store.add_message(id, "evil")
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["data"]
    assert {path.name for path in dir.iterdir()} == {"conversations", "log", "message_store.json"}
    assert all(path.is_file() for path in (dir / "conversations").iterdir())
    # The index lists the names of files, which is what the original makes of an id.
    listed = json.loads((dir / "message_store.json").read_text())["conversation_ids"]
    assert {f"{name}.json" for name in listed} == {path.name for path in (dir / "conversations").iterdir()}
    with opened(dir) as store:
        assert contents(store, id) == ["evil"]


@pytest.mark.parametrize("ids", [("x" * 1000,), ("nul\0",), ("CON", "con", "Con"), ("a:b", "a.", "a ", "a"), ("é", "e\u0301")])
def test_ids_that_file_systems_cannot_hold_are_held(tmp_path: Path, ids: tuple[str, ...]):
    with MessageStore(tmp_path, sync="os", mirror="always") as store:
        for id in ids:
            store.add_message(id, f"of {id}")
    names = [path.name.casefold() for path in (tmp_path / "conversations").iterdir()]
    assert len(names) == len(set(names)) == len(ids)
    with opened(tmp_path) as store:
        assert [contents(store, id) for id in ids] == [[f"of {id}"] for id in ids]


def test_an_id_that_is_too_long_is_refused_and_leaves_nothing(tmp_path: Path):
    with opened(tmp_path) as store:
        with pytest.raises(InvalidInput):
            store.add_message("x" * 5000, "x")
        assert len(store.conversations) == 0


def test_fields_without_a_name_stay_in_the_file(tmp_path: Path):
    filled(tmp_path)
    file = tmp_path / "conversations/c1.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"pinned": True}, indent=2))
    with opened(tmp_path) as store:
        store.add_message("c1", "more")
    assert json.loads(file.read_text())["pinned"] is True


@pytest.mark.parametrize("change", [{"created_at": "yesterday"}, {"messages": [{"id": "m"}]}, {"messages": 7}])
def test_one_bad_record_bricks_one_conversation_at_most(tmp_path: Path, change: dict[str, Any]):
    filled(tmp_path)
    file = tmp_path / "conversations/c1.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with opened(tmp_path) as store:
        assert contents(store, "c0") == ["of c0"] and contents(store, "c2") == ["of c2"]
        store.add_message("c0", "more")


def test_integers_of_any_length_are_kept_and_hide_nothing(tmp_path: Path):
    filled(tmp_path)
    file = tmp_path / "conversations/c1.json"
    longer = "9" * 5000  # Than this interpreter reads or writes, unless it is told to.
    file.write_text(file.read_text().replace('"metadata": {}', '"metadata": {"n": %s}' % longer, 1))
    with opened(tmp_path) as store:
        assert contents(store, "c0") == ["of c0"]
        with pytest.raises(AralStoreError, match="cannot read"):
            store.get_conversation("c1")
        store.add_message("c2", "more")
        before = sys.get_int_max_str_digits()
        sys.set_int_max_str_digits(0)
        try:
            assert store.conversations["c1"].metadata["n"] == int(longer)
            store.add_message("c1", "more", metadata={"n": int(longer)})
        finally:
            sys.set_int_max_str_digits(before)
    assert file.read_text().count(longer) == 2


@pytest.mark.parametrize("more", ["9" * 5000, "[" * 1000 + "]" * 1000])
def test_what_this_interpreter_cannot_read_is_named_and_hides_no_other(tmp_path: Path, more: str):
    filled(tmp_path)
    file = tmp_path / "conversations/c1.json"
    file.write_text(file.read_text().replace('"metadata": {}', '"metadata": {"n": %s}' % more, 1))
    everything: list[Callable[[MessageStore], object]] = [
        lambda store: [each.id for each in store.get_all_conversations()],
        lambda store: [each.id for each in store.conversations.values()],
        lambda store: [id for id, _ in store.conversations.items()],
        lambda store: list(store.to_dict()["conversations"]),
        lambda store: list(json.loads(store.to_json())["conversations"]),
    ]
    with opened(tmp_path) as store:
        listed = list(store.conversations)
        assert "c1" in listed
        for ask in everything:
            with pytest.warns(RuntimeWarning, match="left out.*'c1'") as warned:
                assert ask(store) == [id for id in listed if id != "c1"]
            assert [each.filename for each in warned] == [__file__]
        each: list[Callable[[str], object]] = [store.get_conversation, store._store.__getitem__]
        for ask_one in each:
            with pytest.raises(AralStoreError, match="cannot read conversation 'c1', which is whole"):
                ask_one("c1")


def test_an_empty_object_for_a_file_is_not_passed_over_in_silence(tmp_path: Path):
    filled(tmp_path)
    (tmp_path / "conversations/c1.json").write_text("{}")
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        store = MessageStore(tmp_path, sync="os")
    with store:
        assert "c1" in store.conversations or any("c1" in str(each.message) for each in said)
        assert contents(store, "c0") == ["of c0"]


@pytest.mark.parametrize("bad", [b"bytes", {1, 2}, object(), 1j])
def test_metadata_that_are_no_json_poison_nothing(tmp_path: Path, bad: Any):
    with opened(tmp_path) as store:
        store.add_message("c1", "before")
        with pytest.raises(ValueError):
            store.add_message("c1", "poison", metadata={"bad": bad})
        store.add_message("c1", "after")
        assert contents(store, "c1") == ["before", "after"]
    assert not list(tmp_path.rglob("*.tmp"))


def test_an_invalid_message_leaves_no_conversation_behind(tmp_path: Path):
    with opened(tmp_path) as store:
        for call in (lambda: store.add_message("new", 7), lambda: store.add_action("new", "t", 7)):  # type: ignore[arg-type]
            with pytest.raises(ValueError):
                call()
        assert len(store.conversations) == 0
    assert not (tmp_path / "conversations/new.json").exists()


def test_new_times_have_an_offset_and_order_goes_by_sequence(tmp_path: Path):
    with Store(tmp_path) as store:
        store.add_message("c1", "x")
        [message] = store.messages("c1")
        assert message.created_at.tzinfo is not None
        store.add_message("c1", "earlier by its clock", created_at=message.created_at.replace(year=2000))
        assert [m.content for m in store.messages("c1")] == ["x", "earlier by its clock"]


def test_an_id_that_is_not_its_files_name_gets_no_second_file(tmp_path: Path):
    filled(tmp_path)
    (tmp_path / "conversations/c1.json").rename(tmp_path / "conversations/renamed.json")
    index = tmp_path / "message_store.json"
    index.write_text(index.read_text().replace("c1", "renamed"))
    with opened(tmp_path) as store:
        assert contents(store, "c1") == ["of c1"]
        store.add_message("c1", "more")
    holding = [path for path in (tmp_path / "conversations").glob("*.json") if "of c1" in path.read_text()]
    assert len(holding) == 1 and "more" in holding[0].read_text()


def test_nothing_is_printed_even_of_damage(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    filled(tmp_path)
    (tmp_path / "conversations/c1.json").write_text("{")
    (tmp_path / "message_store.json").write_text("{")
    opened(tmp_path).close()
    assert capfd.readouterr() == ("", "")


def test_a_directory_in_a_files_place_is_no_destination(tmp_path: Path):
    filled(tmp_path)
    (tmp_path / "conversations/c9.json").mkdir()
    with opened(tmp_path) as store:
        try:
            store.add_message("c9", "x")
        except Corrupt:
            pass
        assert contents(store, "c0") == ["of c0"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            store.add_message("c0", "more")
    assert list((tmp_path / "conversations/c9.json").iterdir()) == []


def test_files_are_utf8_whatever_the_locale(tmp_path: Path):
    filled(tmp_path)
    file = tmp_path / "conversations/c1.json"
    file.write_bytes(file.read_bytes().replace(b"of c1", "grüße".encode()))
    program = "import sys; from aral_store import Store; sys.exit(Store(sys.argv[1]).messages('c1')[0].content != 'gr\\xfc\\xdfe')"
    subprocess.run([sys.executable, "-c", program, tmp_path], env=os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0"}, check=True)
    with opened(tmp_path) as store:
        store.add_message("c1", "ü")
    assert file.read_bytes().isascii() and b"\r" not in file.read_bytes()


def test_what_was_missing_is_there(tmp_path: Path):
    with Store(tmp_path) as store:
        first = store.add_message("c1", "one")
        store.add_message("c1", "two", role="assistant")
        store.set_title("c1", "renamed")
        store.edit_message("c1", first.id, content="ONE")
        assert [m.content for m in store.messages("c1", role="user", last=1)] == ["ONE"]
        store.remove_message("c1", first.id)
        store.remove("c1")
        assert "c1" not in store


def test_a_retried_turn_is_not_there_twice(tmp_path: Path):
    with opened(tmp_path) as store:
        for _ in range(2):
            store.add_message("c1", "the question", key="request-7")
        assert contents(store, "c1") == ["the question"]


def test_files_that_no_index_lists_come_in_one_order(tmp_path: Path):
    filled(tmp_path, tuple(f"c{n}" for n in range(30)))
    orders = []
    for n in range(2):
        dir = tmp_path / f"copy{n}"
        (dir / "conversations").mkdir(parents=True)
        names = sorted((tmp_path / "conversations").iterdir(), reverse=bool(n))
        for path in names:
            shutil.copy2(path, dir / "conversations")
        with opened(dir) as store:
            orders.append(list(store.conversations))
    assert orders[0] == orders[1] and len(orders[0]) == 30


def test_transcripts_are_their_owners_alone(tmp_path: Path):
    dir = tmp_path / "data"
    before = os.umask(0)
    try:
        with MessageStore(dir, mirror="always") as store:
            store.add_message("c1", "secret")
    finally:
        os.umask(before)
    for path in [dir, *dir.rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o700 if path.is_dir() else 0o600), path


def test_what_is_no_interchange_json_is_kept(tmp_path: Path):
    metadata = {"nan": math.nan, "inf": math.inf, "half": "\ud800"}
    with opened(tmp_path) as store:
        store.add_message("c1", "\udfff", metadata=metadata)
    with opened(tmp_path) as store:
        [message] = store.get_conversation_messages("c1")
        assert message.content == "\udfff" and math.isnan(message.metadata["nan"])
        assert (message.metadata["inf"], message.metadata["half"]) == (math.inf, "\ud800")
