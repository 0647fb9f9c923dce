"""When the JSON files follow: each promise of the README's table has a test here that can fail."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aral_store import Conversation, IoFailed, MessageStore, Store
from aral_store import _mirror


def filled(store: MessageStore, messages: int, id: str = "c1") -> Conversation:
    conversation = Conversation(id=id, title="T", messages=[{"content": str(n)} for n in range(messages)])  # type: ignore[list-item]
    store._save_conversation(conversation)
    return conversation


def is_current(store: MessageStore) -> bool:
    """Whether every file and the index say what the store says."""
    assert store.save_dir is not None
    index = store.save_dir / "message_store.json"
    listed = json.loads(index.read_text())["conversation_ids"] if index.exists() else []
    files = {path.stem: path for path in (store.save_dir / "conversations").glob("*.json")}
    if listed != list(store.conversations) or set(files) != set(listed):
        return False
    return all(Conversation.model_validate_json(files[id].read_bytes()) == store._store[id] for id in listed)


def count_writings(store: MessageStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Takes down in which thread the files are written from now on."""
    writings: list[str] = []
    compact = store._store.compact
    monkeypatch.setattr(
        store._store, "compact", lambda: writings.append(threading.current_thread().name) or compact()
    )
    return writings


def contents(dir: Path) -> int:
    return len(json.loads((dir / "conversations/c1.json").read_text())["messages"])


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_saves_of_a_long_conversation_share_one_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written = []
    monkeypatch.setattr(_mirror, "_SOON", 1.0)
    with MessageStore(tmp_path, mirror="auto", sync="os") as store:
        filled(store, 200)
        wait_until(lambda: (tmp_path / "conversations/c1.json").exists())
        compact = store._store.compact
        monkeypatch.setattr(store._store, "compact", lambda: written.append(1) or compact())
        for n in range(100):
            store.add_message("c1", str(n))
        assert contents(tmp_path) < 300
        wait_until(lambda: contents(tmp_path) == 300)
        # One more if the first began before the last addition.
        assert len(written) <= 2
        wait_until(lambda: store._mirror._thread is None)


def test_many_bytes_are_written_early_and_a_slow_file_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_mirror, "_SOON", 3600.0)
    monkeypatch.setattr(_mirror, "_AT_LAST", 3600.0)
    monkeypatch.setattr(_mirror, "_MANY_BYTES", 1 << 16)
    with MessageStore(tmp_path, mirror="auto", sync="os") as store:
        filled(store, 200)
        store.add_message("c1", "x" * (3 << 15))
        wait_until(lambda: (tmp_path / "conversations/c1.json").exists())
        # The writing that is under way takes down its bytes at its end.
        wait_until(lambda: store._mirror._thread is None)
        store._mirror._took_bytes = 1 << 30
        for _ in range(10):
            store.add_message("c1", "x" * (1 << 15))
        time.sleep(0.2)
        assert contents(tmp_path) == 201, "ten times 32 KiB are not a quarter of a gibibyte"
    assert contents(tmp_path) == 211, "the end writes everything"


def test_no_save_waits_longer_than_the_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_mirror, "_AT_LAST", 0.5)
    with MessageStore(tmp_path, mirror="auto", sync="os") as store:
        filled(store, 200)
        wait_until(lambda: (tmp_path / "conversations/c1.json").exists())
        wait_until(lambda: store._mirror._thread is None)
        store._mirror._took_seconds = 1e9
        store.add_message("c1", "x")
        wait_until(lambda: contents(tmp_path) == 201)


@pytest.mark.parametrize("ending", ["", "del store", "raise SystemExit(3)", "raise ValueError"])
def test_a_program_that_does_not_close_leaves_complete_files(tmp_path: Path, ending: str):
    program = f"""
        import sys
        from aral_store import Conversation, MessageStore
        store = MessageStore(sys.argv[1], mirror="auto", sync="os")
        conversation = Conversation(id="c1", messages=[{{"content": str(n)}} for n in range(249)])
        store._save_conversation(conversation)
        store.add_message("c1", "the last")
        {ending}
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], stderr=subprocess.DEVNULL)
    assert contents(tmp_path) == 250


MUTATIONS: dict[str, Callable[[MessageStore], object]] = {
    "add a message": lambda store: store.add_message("c1", "x", metadata={"k": 1}),
    "add an action": lambda store: store.add_action("c1", "click", {"x": 1}),
    "begin by a message": lambda store: store.add_message("c2", "x"),
    "begin by an action": lambda store: store.add_action("c3", "click", {}),
    "create": lambda store: store.create_conversation("T", id="c4"),
    "create with a key": lambda store: store.create_conversation("T", id="c5", key="k"),
    "replace": lambda store: store.create_conversation("anew", id="c2"),
    "rename": lambda store: (setattr(store.conversations["c1"], "title", "U"), store._save_conversation(store.conversations["c1"])),
    "another id": lambda store: (setattr(store.conversations["c3"], "id", "c6"), store._save_to_backend()),
    "remove": lambda store: (store.conversations["c1"].messages.pop(), store._save_conversation(store.conversations["c1"])),
    "with other changes": lambda store: (setattr(store.conversations["c1"], "title", "V"), store.add_message("c1", "y")),
}


@pytest.mark.parametrize("messages", [1, 300])
def test_the_files_are_current_when_a_call_returns(tmp_path: Path, messages: int):
    with MessageStore(tmp_path, sync="os") as store:
        filled(store, messages)
        assert is_current(store)
        for name, mutation in MUTATIONS.items():
            mutation(store)
            assert is_current(store), name
        assert store._mirror._thread is None


def test_what_is_small_follows_behind_the_call_without_the_pause_that_what_is_large_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with Store(tmp_path, sync="os") as store:
        store.batch({"type": "add_message", "conversation_id": f"c{n}", "content": "x"} for n in range(998))
    with MessageStore(tmp_path, mirror="auto", sync="os") as store:
        for n in (997, 998, 999):
            # What a writing took counts for what is small, too, but not for long.
            store._mirror._took_seconds = 0.0
            with monkeypatch.context() as patient:
                patient.setattr(_mirror, "_AT_ONCE", 0.5)
                writings = count_writings(store, patient)
                store.add_message(f"c{n}", "y")
                assert writings == [], "no call waits for the files"
                patient.setattr(_mirror, "_SOON", 3600.0)
                patient.setattr(_mirror, "_AT_LAST", 3600.0)
                wait_until(lambda: store._mirror._thread is None)
                assert writings == ["aral-store-mirror"]
            file = tmp_path / "conversations" / f"c{n}.json"
            assert json.loads(file.read_text())["messages"][-1]["content"] == "y"
        for name in ("_SOON", "_AT_LAST"):
            monkeypatch.setattr(_mirror, name, 3600.0)
        store.add_message("one too many", "y")
        time.sleep(0.3)
        assert not (tmp_path / "conversations/one too many.json").exists()
    assert (tmp_path / "conversations/one too many.json").exists()


def test_a_small_store_under_auto_has_every_change_in_its_files_in_the_end(tmp_path: Path):
    with MessageStore(tmp_path, sync="os", mirror="auto") as store:
        filled(store, 1)
        for name, mutation in MUTATIONS.items():
            mutation(store)
            wait_until(lambda: store._mirror._thread is None)
            assert is_current(store), name


def test_what_is_small_by_its_messages_and_large_by_its_bytes_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with MessageStore(tmp_path, mirror="auto", sync="os") as store:
        store.add_message("c1", "x" * 400_000)
    # Another program does not know how large it is, and finds out by writing it once.
    with MessageStore(tmp_path, mirror="auto", sync="os") as store:
        store.add_message("c1", "y")
        wait_until(lambda: store._mirror._thread is None)
        assert contents(tmp_path) == 2
        with monkeypatch.context() as patient:
            for name in ("_SOON", "_AT_LAST"):
                patient.setattr(_mirror, name, 3600.0)
            store.add_message("c1", "y")
            time.sleep(0.3)
            assert contents(tmp_path) == 2
        with store._mirror._changed:
            store._mirror._changed.notify_all()
        wait_until(lambda: contents(tmp_path) == 3 and store._mirror._thread is None)
        # Once it is small again, it follows at once again.
        store.create_conversation(id="c1")
        wait_until(lambda: contents(tmp_path) == 0 and store._mirror._thread is None)
        for name in ("_SOON", "_AT_LAST"):
            monkeypatch.setattr(_mirror, name, 3600.0)
        store._mirror._took_seconds = 0.0
        store.add_message("c1", "z")
        wait_until(lambda: contents(tmp_path) == 1)


def test_a_small_conversation_beside_a_large_one_does_not_pay_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with MessageStore(tmp_path, mirror="auto", sync="os") as store:
        filled(store, 1000, "large")
        wait_until(lambda: store._mirror._thread is None)
        writings = count_writings(store, monkeypatch)
        with monkeypatch.context() as patient:
            patient.setattr(_mirror, "_SOON", 3600.0)
            patient.setattr(_mirror, "_AT_LAST", 3600.0)
            for n in range(50):
                store.add_message("large", str(n))
                store.add_message("small", str(n))
            assert writings == [], "a writing writes all that has changed, so the large one too"
        with store._mirror._changed:
            store._mirror._changed.notify_all()
        wait_until(lambda: store._mirror._thread is None)
        assert is_current(store)
        # With nothing large waiting, it need not wait.
        store._mirror._took_seconds = 0.0
        with monkeypatch.context() as patient:
            patient.setattr(_mirror, "_SOON", 3600.0)
            store.add_message("small", "alone")
            wait_until(lambda: is_current(store))
        assert "MainThread" not in writings


def test_what_is_small_waits_only_a_moment_after_a_long_writing(tmp_path: Path):
    with MessageStore(tmp_path, mirror="auto", sync="os") as store:
        filled(store, 200)
        wait_until(lambda: store._mirror._thread is None)
        store._mirror._took_seconds = 1e9
        with store._mirror._changed:
            # As if a writing were under way.
            store._mirror._write_soon({"c2": 1})
        store.add_message("c2", "x")
        wait_until(lambda: is_current(store), seconds=10)


def test_an_addition_writes_no_file_however_long_the_conversation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name, value in (("_SOON", 3600.0), ("_AT_LAST", 3600.0), ("_MANY_BYTES", 1 << 40)):
        monkeypatch.setattr(_mirror, name, value)
    with MessageStore(tmp_path, mirror="auto", sync="os") as store:
        writings = count_writings(store, monkeypatch)
        for messages in (200, 2000, 20_000):
            filled(store, messages, f"of {messages}")
            before = store.stats().last_seq
            store.add_message(f"of {messages}", "x")
            assert store.stats().last_seq == before + 1 and writings == []
        assert store._mirror._bytes > 20_000 * 100, "and all of it is counted as waiting"


@pytest.mark.parametrize("messages", [1, 300])
def test_never_means_never_and_close_means_at_the_close(tmp_path: Path, messages: int):
    for mirror, is_there in (("never", False), ("close", True)):
        dir = tmp_path / mirror
        with MessageStore(dir, sync="os", mirror=mirror) as store:  # type: ignore[arg-type]
            filled(store, messages)
            for mutation in MUTATIONS.values():
                mutation(store)
            time.sleep(0.7)
            assert not (dir / "conversations").exists() or not list((dir / "conversations").iterdir())
            assert not (dir / "message_store.json").exists()
        assert (dir / "conversations/c1.json").exists() == is_there == (dir / "message_store.json").exists()
        # Nor does opening it again.
        with MessageStore(dir, sync="os", mirror=mirror) as store:  # type: ignore[arg-type]
            store.add_message("c1", "x")
            assert is_current(store) is False


@pytest.mark.parametrize("mirror", ["always", "auto", "close"])
@pytest.mark.parametrize("messages", [1, 300])
def test_the_end_leaves_every_file_current(tmp_path: Path, mirror: Any, messages: int):
    with MessageStore(tmp_path, sync="os", mirror=mirror) as store:
        filled(store, messages)
        filled(store, 3, "ended")
        for mutation in MUTATIONS.values():
            mutation(store)
        with Store(tmp_path) as beside:
            # By another handle, of which the mirror hears nothing.
            beside.add_message("beside", "x")
            beside.remove("c2")
    with MessageStore(tmp_path, mirror="never") as store:
        assert is_current(store) and "beside" in store.conversations and "c2" not in store.conversations


def test_the_end_waits_for_files_that_are_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    begun = threading.Event()
    store = MessageStore(tmp_path, mirror="auto", sync="os")
    compact = store._store.compact

    def slowly() -> Any:
        report = compact()
        if threading.current_thread().name == "aral-store-mirror":
            begun.set()
            time.sleep(0.5)
        return report

    monkeypatch.setattr(store._store, "compact", slowly)
    store.add_message("c1", "x")
    assert begun.wait(20)
    thread = store._mirror._thread
    store.close()
    assert thread is not None and not thread.is_alive()
    assert contents(tmp_path) == 1 and not (tmp_path / ".aral-store").exists()


def test_a_conversation_that_was_ended_has_no_file_at_the_end(tmp_path: Path):
    with MessageStore(tmp_path, mirror="auto", sync="os") as store:
        filled(store, 3, "c1")
        filled(store, 3, "c2")
        with Store(tmp_path) as beside:
            beside.remove("c1")
    assert [path.name for path in (tmp_path / "conversations").iterdir()] == ["c2.json"]
    assert json.loads((tmp_path / "message_store.json").read_text())["conversation_ids"] == ["c2"]


def test_a_killed_agent_loses_nothing_and_its_files_are_current_after_the_next_opening(tmp_path: Path):
    program = """
        import sys
        from aral_store import Conversation, MessageStore
        store = MessageStore(sys.argv[1])
        store._save_conversation(Conversation(id="large", messages=[{"content": "x"}] * 500))
        for n in range(10**9):
            print("large", store.add_message("large", str(n)).id, flush=True)
            print("small", store.add_message(f"small{n}", str(n)).id, flush=True)
    """
    line = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
    writer = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    printed = [writer.stdout.readline() for _ in range(60)]
    writer.kill()
    printed += writer.stdout.read().splitlines(keepends=True)
    writer.wait()
    writer.stdout.close()
    told = [entry.split()[1] for entry in printed if entry.endswith("\n")]
    assert len(told) >= 60
    with MessageStore(tmp_path) as store:
        assert is_current(store), "when the opening returns"
        held = {message.id for conversation in store.get_all_conversations() for message in conversation.messages}
        assert held.issuperset(told)


def test_a_writing_that_fails_in_the_background_is_made_good_by_the_next_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: seen.append(arguments.exc_value))

    def refuse() -> None:
        raise IoFailed("refused")

    with MessageStore(tmp_path, mirror="auto", sync="os") as store:
        filled(store, 200)
        wait_until(lambda: store._mirror._thread is None)
        with monkeypatch.context() as broken:
            broken.setattr(store._store, "compact", refuse)
            # The warning is an error in these tests, so it ends the thread.
            store.add_message("c1", "x")
            wait_until(lambda: store._mirror._thread is None)
        assert isinstance(seen.pop(), RuntimeWarning) and contents(tmp_path) == 200
        store.add_message("c1", "y")
        wait_until(lambda: contents(tmp_path) == 202)


def edit(path: Path) -> None:
    path.write_text(path.read_text().replace("one", "ONE"))


def test_a_file_that_somebody_has_edited_is_warned_of_behind_the_save_under_auto(tmp_path: Path):
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        store = MessageStore(tmp_path, mirror="auto", sync="os")
        store.add_message("c1", "one")
        wait_until(lambda: store._mirror._thread is None)
        edit(tmp_path / "conversations/c1.json")
        store.add_message("c1", "two")
        wait_until(lambda: store._mirror._thread is None)
        [warning] = warned
        for said in ("in the log alone", "conversation 'c1'", "accept"):
            assert said in str(warning.message)
        store.close()
    assert len(warned) == 2 and warned[1].filename == __file__


def test_a_file_that_somebody_has_edited_is_warned_of_by_the_save_that_it_lacks(tmp_path: Path):
    store = MessageStore(tmp_path, sync="os")
    for id in ("c1", "c2", "c3"):
        store.add_message(id, "one")
    for id in ("c1", "c2"):
        edit(tmp_path / f"conversations/{id}.json")
        with pytest.warns(RuntimeWarning) as warned:
            store.add_message(id, "two")
        [warning] = warned
        assert warning.filename == __file__
        for said in ("in the log alone", f"conversation '{id}'", "accept", str(tmp_path / f"conversations/{id}.json")):
            assert said in str(warning.message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.add_message("c3", "two")
    with pytest.warns(RuntimeWarning) as warned:
        store.close()
    assert [f"conversation '{id}'" in str(each.message) for each, id in zip(warned, ("c1", "c2"), strict=True)] == [True, True]
    assert {each.filename for each in warned} == {__file__}


def test_a_compaction_and_a_closing_warn_of_what_they_could_not_write(tmp_path: Path):
    store = MessageStore(tmp_path, mirror="close", sync="os")
    store.add_message("c1", "one")
    store.compact()
    edit(tmp_path / "conversations/c1.json")
    store.add_message("c1", "two")
    with pytest.warns(RuntimeWarning, match="in the log alone.*accept"):
        report = store.compact()
    assert [file.conversation_id for file in report.held] == ["c1"]
    with pytest.warns(RuntimeWarning, match="in the log alone.*accept"):
        store.close()
    with Store(tmp_path) as accepting:
        accepting.accept("c1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with MessageStore(tmp_path, sync="os") as again:
            again.add_message("c1", "three")
    assert [m.content for m in Store(tmp_path)["c1"].messages] == ["ONE", "two", "three"]
