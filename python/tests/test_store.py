"""The native store: what goes in comes out, and what cannot be done says so."""

from __future__ import annotations

import json
import math
import pickle
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import aral_store
from aral_store import (
    AlreadyExists,
    AralStoreError,
    Closed,
    Conflict,
    Corrupt,
    InvalidInput,
    MessageStore,
    NotFound,
    ReadOnly,
    Store,
    Unsupported,
    repair,
    verify,
)
from conftest import KINDS, Place, place_in


@pytest.fixture(params=["memory", *KINDS])
def store(request: pytest.FixtureRequest, tmp_path: Path):
    with Store(None if request.param == "memory" else place_in(request.param, tmp_path)) as store:
        yield store


METADATA = {
    "nan": math.nan,
    "inf": -math.inf,
    "big": 10**400 + 7,
    "float": 5e-324,
    "tenth": 0.1,
    "half emoji": "cut \ud83d",
    "emoji": "\U0001f600",
    "nul": "\0\x7f\u2028",
    "nested": [{"a": [None, True, {}]}, []],
    "": "",
}


def test_what_goes_in_comes_out(store: Store):
    at = datetime(2025, 3, 13, 15, 11, 33, 100, timezone(timedelta(hours=-3, minutes=-30)))
    store.add_message("c1", "half \udc00 a pair", role="r\ud800", metadata=METADATA, id="m\ud9ff", created_at=at)
    [message] = store.messages("c1")
    assert (message.content, message.role, message.id) == ("half \udc00 a pair", "r\ud800", "m\ud9ff")
    assert message.created_at == at and message.created_at.utcoffset() == at.utcoffset()
    assert math.isnan(message.metadata.pop("nan"))
    expected = dict(METADATA)
    del expected["nan"]
    assert message.metadata == expected
    assert list(message.metadata) == list(expected), "the order of keys"
    assert store.messages("c1", role="r\ud800") and store.messages("c1", before="m\ud9ff") == []
    # Two halves that stand together are one code point, as to Python's json.
    store.add_message("c1", "joined", id="\ud83d\ude00")
    assert store.messages("c1", last=1)[0].id == "\U0001f600"
    assert store.messages("c1", after="\ud83d\ude00") == []


def test_reopening_finds_everything(tmp_path: Path):
    with Store(tmp_path) as store:
        store.create("c1", title="T\ud800", metadata={"a": 1})
        store.add_message("c1", "hi")
        store.add_action("c1", "click", {"x": math.inf}, metadata={"m": 1})
        before = store["c1"]
        store.compact()
        store.add_message("c2", "later")
    with Store(tmp_path) as store:
        assert store["c1"] == before and before.title == "T\ud800"
        assert list(store) == ["c1", "c2"] and len(store) == 2
        assert store.recovery().events == 1 and store.verify().is_sound


def test_an_error_has_the_path_of_a_directory_that_is_called_like_an_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    for name in ("mongodb-data", "firestore", "s3", "postgres"):
        with pytest.raises(NotFound) as missing:
            Store(name, read_only=True)
        assert missing.value.path is not None and missing.value.path.name == name


def test_firestore_is_asked_with_the_credentials_that_there_are(tmp_path: Path):
    key = tmp_path / "key.json"
    with pytest.raises(NotFound, match="key.json"):
        Store(f"firestore://project/(default)/agents?credentials={key}")
    with pytest.raises(InvalidInput, match="firestore"):
        Store("firestore://project")


def test_an_opening_says_whether_it_has_made_the_store(place: Place):
    for made in (True, False):
        with Store(place) as store:
            assert store.recovery().made is made


def test_receipts_say_what_was_promised(tmp_path: Path):
    with Store(tmp_path / "a") as store:
        receipt = store.add_message("c1", "hi", id="m1")
        assert (receipt.seq, receipt.version, receipt.id, receipt.is_durable) == (1, 1, "m1", True)
    with Store(tmp_path / "b", sync="os") as store:
        # The segment of the log is made durably, with what it begins with.
        assert store.add_message("c1", "first").durability == "durable"
        assert store.add_message("c1", "hi").durability == "written"
    with Store(tmp_path / "c", sync=60.0) as store:
        assert store.add_message("c1", "first").durability == "durable"
        assert store.add_message("c1", "hi").durability == "written"
    assert Store().add_message("c1", "hi").durability == "process"
    for bad in ("sometimes", "", 0, -1.0, math.nan, True, False, None, [], b"always"):
        with pytest.raises(InvalidInput):
            Store(tmp_path / "d", sync=bad)


def test_every_mutation(store: Store):
    assert store.create(title="made up").version == 1
    store.create("c1", title="T")
    first = store.add_message("c1", "one")
    second = store.add_message("c1", "two")
    action = store.add_action("c1", "click", {})
    store.edit_message("c1", first.id, content="ONE")
    store.edit_message("c1", first.id, metadata={"edited": True})
    store.set_title("c1", "U")
    store.set_metadata("c1", {"k": [1]})
    conversation = store["c1"]
    assert [m.content for m in conversation.messages] == ["ONE", "two"]
    assert conversation.messages[0].metadata == {"edited": True}
    assert (conversation.title, conversation.metadata) == ("U", {"k": [1]})
    at = datetime(2020, 1, 2, 3, 4, 5)
    store.edit_message("c1", first.id, role="tool", created_at=at)
    store.edit_action("c1", action.id, action_type="press", data={"d": 1}, metadata={"m": 1}, created_at=at)
    store.set_created_at("c1", at)
    conversation = store["c1"]
    assert [(m.content, m.role) for m in conversation.messages] == [("ONE", "tool"), ("two", "user")]
    assert conversation.created_at == at == conversation.messages[0].created_at
    assert conversation.actions[0].model_dump() == {
        "id": action.id, "action_type": "press", "data": {"d": 1}, "created_at": at, "metadata": {"m": 1}
    }
    store.remove_message("c1", second.id)
    store.remove_action("c1", action.id)
    assert len(store.messages("c1")) == 1 and store.actions("c1") == []
    store.set_title("c1", "")
    store.clear("c1")
    assert (store["c1"].title, store["c1"].messages) == ("Conversation c1", [])
    with pytest.raises(AlreadyExists) as exists:
        store.create("c1")
    assert isinstance(exists.value, FileExistsError)
    before = store.summary("c1").version
    assert store.reset("c1", title="anew", metadata={"n": 1}, expect=before, key="k").version == before + 1
    assert store.reset("c1", title="anew", metadata={"n": 1}, key="k").version == before + 1
    with pytest.raises(Conflict):
        store.reset("c1", expect=before)
    assert (store["c1"].title, store["c1"].metadata) == ("anew", {"n": 1})
    store.remove("c1")
    assert "c1" not in store and store.get("c1") is None and store.get("c1", 7) == 7


def test_a_key_makes_a_retry_harmless_and_a_stale_version_is_a_conflict(store: Store):
    first = store.add_message("c1", "once", key="k")
    assert store.add_message("c1", "once", key="k") == first
    assert len(store.messages("c1")) == 1
    with pytest.raises(Conflict):
        store.add_message("c1", "something else", key="k")
    with pytest.raises(Conflict):
        store.add_message("c1", "late", expect=0)
    assert store.add_message("c1", "in time", expect=1).version == 2


def test_a_batch_is_all_or_nothing(store: Store):
    add = {"type": "add_message", "conversation_id": "c1", "content": "x", "metadata": {"n": math.nan}}
    with pytest.raises(NotFound):
        store.batch([add, {"type": "remove_message", "conversation_id": "c1", "message_id": "nobody"}])
    assert "c1" not in store
    assert [r.version for r in store.batch([add, add])] == [1, 2]
    for bad in ([], add, ["x"], [7], [{"type": "shout", "conversation_id": "c"}], [add | {"metadata": {"x": b"bytes"}}]):
        with pytest.raises(InvalidInput):
            store.batch(bad)
    assert len(store.messages("c1")) == 2


def test_selections(store: Store):
    for n in range(6):
        store.add_message("c1", str(n), role="user" if n % 2 else "assistant", id=str(n))
    def ids(**kw: object) -> str:
        return "".join(m.id for m in store.messages("c1", **kw))  # type: ignore[arg-type]
    assert ids() == "012345"
    assert ids(last=2) == "45" and ids(first=2) == "01" and ids(last=0) == ""
    assert ids(last=2, before="3") == "12" and ids(first=2, after="3") == "45"
    assert ids(role="user", last=2) == "35"
    for bad in ({"first": 1, "last": 1}, {"before": "1", "after": "2"}):
        with pytest.raises(InvalidInput):
            ids(**bad)
    with pytest.raises(NotFound):
        ids(before="nobody")
    for bad in ({"last": -1}, {"first": -1}, {"place": -1}, {"last": 1 << 70}):
        with pytest.raises(InvalidInput):
            ids(**bad)


def test_selections_by_time(store: Store):
    for hour in range(4):
        store.add_message("c1", str(hour), created_at=datetime(2025, 3, 13, hour, tzinfo=timezone.utc))

    def texts(**selection: Any) -> list[str]:
        return [message.content for message in store.messages("c1", **selection)]

    assert texts(since=datetime(2025, 3, 13, 1), until=datetime(2025, 3, 13, 3)) == ["1", "2"]
    assert texts(last=1, until=datetime(2025, 3, 13, 3, 30, tzinfo=timezone(timedelta(hours=2)))) == ["1"]
    with pytest.raises(InvalidInput):
        texts(since="2025-03-13")


def test_whole_turns_keep_calls_and_results_together(store: Store):
    store.add_message("c1", "Hello!")
    store.add_message("c1", "Will it rain?")
    store.add_message("c1", "", role="assistant", metadata={"tool_calls": [{"id": "call_1"}]})
    store.add_message("c1", "rain", role="tool", metadata={"tool_call_id": "call_1"})

    def texts(**selection: Any) -> list[str]:
        return [message.content for message in store.messages("c1", whole_turns=True, **selection)]

    assert texts(last=1) == texts(last=3) == ["Will it rain?", "", "rain"]
    assert texts(last=4) == texts() == ["Hello!", "Will it rain?", "", "rain"]
    with pytest.raises(InvalidInput):
        texts(role="user")


@pytest.mark.parametrize("kind", ["memory", *KINDS])
def test_ids_are_unique_if_asked_so(tmp_path: Path, kind: str):
    def opened(rule: Any) -> Store:
        (tmp_path / str(rule)).mkdir()
        return Store(None if kind == "memory" else place_in(kind, tmp_path / str(rule)), unique_ids=rule)

    with opened(None) as store:
        store.add_message("c1", "one", id="m1")
        store.add_message("c1", "two", id="m1")
        assert len(store.messages("c1")) == 2
    with opened("refuse") as store:
        store.add_message("c1", "one", id="m1")
        with pytest.raises(AlreadyExists):
            store.add_message("c1", "one", id="m1")
        with pytest.raises(AlreadyExists):
            store.batch([{"type": "add_message", "conversation_id": "c1", "id": id, "content": ""} for id in ("a", "a")])
        assert len(store.messages("c1")) == 1
    with opened("existing") as store:
        first = store.add_message("c1", "one", id="m1")
        assert store.add_message("c1", "one", id="m1") == first
        with pytest.raises(AlreadyExists):
            store.add_message("c1", "two", id="m1")
    with pytest.raises(InvalidInput):
        opened("sometimes")


def test_lists(store: Store):
    for id in ("a", "b", "c"):
        store.add_message(id, "x")
    store.add_message("a", "again")
    assert [s.id for s in store.summaries()] == ["a", "b", "c"]
    assert [s.id for s in store.summaries(by="activity", limit=2)] == ["a", "c"]
    summary = store.summary("a")
    assert summary is not None and (summary.messages, summary.actions, summary.version) == (2, 0, 2)
    assert summary.created_at.tzinfo is not None
    assert [c.id for c in store.values()] == ["a", "b", "c"]
    assert "\ud800" not in store and 7 not in store


@pytest.mark.parametrize("by", ["created", "activity"])
def test_lists_by_pages(store: Store, by: Any):
    for n in range(7):
        store.add_message(f"c{n}", "x")
    ids: list[str] = []
    after: Any = None
    while page := store.summaries(by=by, limit=3, after=after):
        ids += [summary.id for summary in page]
        after = page[-1]
        store.add_message(ids[0], "moves to the front")
    assert ids == [f"c{n}" for n in (range(7) if by == "created" else reversed(range(7)))]
    assert [summary.id for summary in store.summaries(after="c5")] == ["c6"]
    with pytest.raises(NotFound):
        store.summaries(after="nobody")


def test_events_are_what_append_takes(tmp_path: Path, place: Place):
    with Store(place) as store:
        store.create("c1", title="T")
        store.add_message("c1", "x\ud800", metadata={"big": 10**30})
        events = list(store.events())
        assert [e["seq"] for e in store.events(2)] == [2]
        with Store(tmp_path / "b") as other:
            other.batch(events)
            assert other["c1"] == store["c1"]


@pytest.mark.parametrize(
    ("call", "ours", "builtin"),
    [
        (lambda s: s["nobody"], NotFound, KeyError),
        (lambda s: s.messages("nobody"), NotFound, LookupError),
        (lambda s: s.set_title("nobody", "x"), NotFound, KeyError),
        (lambda s: s.add_message("", "x"), InvalidInput, ValueError),
        (lambda s: s.create(""), InvalidInput, ValueError),
        (lambda s: s.add_message("\ud800", "x"), InvalidInput, ValueError),
        (lambda s: s["\ud800"], InvalidInput, ValueError),
        (lambda s: s.add_message("c", "x", metadata={"x": {1, 2}}), InvalidInput, ValueError),
        (lambda s: s.add_message("c", "x", metadata=[]), InvalidInput, ValueError),
        (lambda s: s.add_message("c", 7), InvalidInput, ValueError),
        (lambda s: s.add_message("c", "x", id=""), InvalidInput, ValueError),
        (lambda s: s.summaries(by="size"), InvalidInput, ValueError),
        (lambda s: s.summaries(limit=-1), InvalidInput, ValueError),
        (lambda s: s.follow(-1, wait=False).__next__(), InvalidInput, ValueError),
        (lambda s: list(s.iter_messages("c", page=0)), InvalidInput, ValueError),
        (lambda s: s.export("x", "c1"), InvalidInput, ValueError),
        (lambda s: Store(""), InvalidInput, ValueError),
        (lambda s: Store(read_only=True), InvalidInput, ValueError),
        (lambda s: Store(compact_above=-1), InvalidInput, ValueError),
    ],
)
def test_errors_are_ours_and_pythons(store: Store, call, ours, builtin):
    with pytest.raises(ours) as caught:
        call(store)
    assert isinstance(caught.value, AralStoreError) and isinstance(caught.value, builtin)
    assert str(caught.value) and not str(caught.value).startswith("'")
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value) and str(again) == str(caught.value)
    assert list(store) == []


def test_a_closed_store_refuses_and_closing_twice_is_harmless(store: Store):
    store.close()
    store.close()
    assert store.is_closed
    with pytest.raises(Closed):
        store.add_message("c1", "late")
    with pytest.raises(ValueError):
        len(store)


def test_a_store_says_which_one_it_is(tmp_path: Path):
    store = Store(tmp_path / "data")
    assert repr(store) == f"<store in '{tmp_path}/data'>"
    store.close()
    assert repr(store) == f"<closed store in '{tmp_path}/data'>" and repr(Store()) == "<store in memory>"
    assert repr(aral_store.MessageStore()) == "<message store in memory>"
    assert repr(aral_store.AsyncStore(Store())) == "<store for an event loop in memory>"


def test_two_handles_share_a_directory_and_one_may_close(place: Place):
    one, two = Store(place), Store(place)
    one.add_message("c1", "from one")
    one.close()
    two.add_message("c1", "from two")
    assert [m.content for m in two.messages("c1")] == ["from one", "from two"]
    two.close()


def test_reading_only(place: Place):
    with pytest.raises(NotFound):
        Store(place, read_only=True)
    with Store(place) as store:
        store.add_message("c1", "hi")
        with Store(place, read_only=True) as viewer:
            assert viewer.messages("c1")[0].content == "hi"
            with pytest.raises(PermissionError) as caught:
                viewer.add_message("c1", "no")
            assert isinstance(caught.value, ReadOnly)


def test_a_reader_shows_what_came_since_when_it_is_refreshed(tmp_path: Path):
    with Store(tmp_path) as store, Store(tmp_path, read_only=True) as reader:
        store.add_message("c1", "one")
        assert ("c1" in reader, reader.refresh(), "c1" in reader) == (False, 1, True)
        store.compact()
        assert store.add_message("c1", "two").seq == reader.refresh() == reader.refresh() == store.refresh()
        assert [message.content for message in reader.messages("c1")] == ["one", "two"]


def test_damage_is_said_and_concerns_nobody_else(tmp_path: Path):
    with Store(tmp_path) as store:
        store.add_message("c1", "hi")
        store.add_message("c2", "ho")
        store.compact()
    file = tmp_path / "conversations" / "c1.json"
    file.write_bytes(b"{")
    with Store(tmp_path) as store:
        [damaged] = store.recovery().damaged
        assert damaged.conversation_id == "c1" and damaged.path.name == "c1.json"
        with pytest.raises(Corrupt) as caught:
            store["c1"]
        assert caught.value.path is not None and "c1" in store
        assert store["c2"].messages[0].content == "ho"
        assert not store.verify().is_sound
    assert file.read_bytes() == b"{"


def test_upkeep(tmp_path: Path):
    with Store(tmp_path / "data") as store:
        store.add_message("c1", "hi")
        report = store.compact()
        assert (report.covered_seq, report.written, report.quarantined) == (1, 1, [])
        assert store.stats().dirty_conversations == 0 and store.stats().messages == 1
        assert store.verify().damaged == []
        store.sync()
        assert store.export(tmp_path / "export", ["c1"]).conversations == 1
        assert json.loads((tmp_path / "export/conversations/c1.json").read_text())["id"] == "c1"
        with pytest.raises(NotFound):
            store.export(tmp_path / "other", ["nobody"])
    with pytest.raises(Unsupported):
        Store().compact()


def test_the_interpreter_goes_on_while_the_store_waits(place: Place):
    store = Store(place)
    store.add_message("c1", "x" * 1_000_000)
    ticks = 0
    stop = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            time.sleep(0)

    thread = threading.Thread(target=tick)
    thread.start()
    for _ in range(20):
        store._core.append(json.dumps({"type": "add_message", "conversation_id": "c1", "content": "y" * 2_000_000}))
    stop.set()
    thread.join()
    store.close()
    assert ticks > 100


def test_threads_append_side_by_side(place: Place):
    with Store(place, sync="os") as store:
        def work(name: str) -> None:
            for n in range(50):
                store.add_message("c1", f"{name}{n}")
        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        contents = [m.content for m in store.messages("c1")]
        assert len(contents) == 200
        for name in "abcd":
            assert [c for c in contents if c[0] == name] == [f"{name}{n}" for n in range(50)]


def test_an_edit_by_hand_counts_once_it_is_accepted(tmp_path: Path):
    with Store(tmp_path) as store:
        store.add_message("c1", "Helo!")
        store.compact()
        assert store.accept("c1") is None
    file = tmp_path / "conversations/c1.json"
    file.write_text(file.read_text().replace("Helo!", "Hello!"))
    with Store(tmp_path) as store:
        with pytest.raises(Corrupt, match="aral-store accept"):
            store.messages("c1")
        assert store.recovery().changed == [file.resolve()]
        receipt = store.accept("c1")
        assert receipt is not None and receipt.version == 3 and receipt.is_durable
        assert [message.content for message in store.messages("c1")] == ["Hello!"]
        assert store.verify().is_sound


def test_everything_public_is_documented():
    for name in aral_store.__all__:
        thing = getattr(aral_store, name)
        assert thing.__doc__, name
        for member, value in vars(thing).items():
            if not member.startswith(("_", "model_")) and callable(value):
                assert value.__doc__, f"{name}.{member}"


@pytest.mark.parametrize("url", ["mysql://app:secret@db/x", "s3://app:secret@bucket/x", "redis://:secret@cache", "memory:"])
def test_a_url_is_no_directory_and_makes_none(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    calls = (
        lambda: Store(url),
        lambda: Store(url, read_only=True),
        lambda: MessageStore(save_dir=url),
        lambda: MessageStore(url, "file"),
        lambda: Store().export(url),
        lambda: verify(url),
        lambda: repair(url, "new"),
    )
    for call in calls:
        with pytest.raises(InvalidInput) as refused:
            call()
        assert url.split(":")[0] in str(refused.value) and "secret" not in str(refused.value)
    assert not list(tmp_path.iterdir())


def test_how_much_of_the_past_is_kept_is_chosen_at_the_opening(tmp_path: Path):
    chapters = tmp_path / "data" / "log" / "archive"

    def kept() -> int:
        return len(list(chapters.glob("*.chapter")))

    with Store(tmp_path / "data") as store:
        store.add_message("c1", "one")
        assert store.compact().unkept == []
        assert kept() == 1 and not (chapters / "KEEP").exists(), "that is what is kept without a choice"
    # Not even what goes on with the first one has room.
    with Store(tmp_path / "data", keep="9999w,0B") as store:
        store.add_message("c1", "two")
        assert store.compact().dropped_history is None
        assert kept() == 2
        assert "keep 6047395200s,0B" in (chapters / "KEEP").read_text()
    # The choice is the store's.
    with Store(tmp_path / "data") as store:
        store.add_message("c1", "three")
        store.compact()
        assert kept() == 3
    with Store(tmp_path / "data", keep="1B") as store:
        assert kept() == 0
        store.add_message("c1", "four")
        assert store.compact().dropped_history == (4, 4)
    with pytest.raises(ReadOnly):
        Store(tmp_path / "data", keep="everything", read_only=True)
    with Store(tmp_path / "data", keep="nothing"):
        assert kept() == 0
    for wrong in ("some", 30, "256MiB,30d"):
        with pytest.raises(InvalidInput):
            Store(tmp_path / "data", keep=wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInput):
        Store(keep="everything")
    with pytest.raises(Unsupported):
        Store(f"sqlite:{tmp_path}/store.db", keep="30d")
    with Store(f"sqlite:{tmp_path}/store.db", keep="everything") as store:
        store.add_message("c1", "one")


def test_a_fork_has_the_past_of_its_parent_and_a_future_of_its_own(store: Store):
    store.create("c1", title="Plans", metadata={"team": "a", "nan": math.nan})
    for id in ("m1", "half \ud83d", "m3"):
        store.add_message("c1", id, id=id)
    receipt = store.fork("c1", through="half \ud83d", id="c2")
    assert (receipt.conversation_id, receipt.id, receipt.version) == ("c2", "c2", store.summary("c2").version)
    store.edit_message("c1", "m1", content="edited")
    store.add_message("c2", "another way")
    assert [message.content for message in store.messages("c2")] == ["m1", "half \ud83d", "another way"]
    forked = store["c2"]
    assert forked.title == "Plans" and forked.metadata["team"] == "a" and math.isnan(forked.metadata["nan"])
    assert forked.metadata["forked_from"] == {"conversation_id": "c1", "version": 4, "message_id": "half \ud83d"}
    assert [message.id for message in store.messages(store.fork("c1", before="m3").conversation_id)] == ["m1", "half \ud83d"]
    assert store[store.fork("c1", title="Other plans").conversation_id].title == "Other plans"
    with pytest.raises(AlreadyExists):
        store.fork("c1", id="c2")
    for wrong in ({"through": "m9"}, {"before": "m9"}):
        with pytest.raises(NotFound, match="m9"):
            store.fork("c1", **wrong)
    with pytest.raises(NotFound):
        store.fork("nobody")
    for wrong in ({"through": "m1", "before": "m3"}, {"at": -1}, {"version": -1}, {"id": ""}):
        with pytest.raises(InvalidInput):
            store.fork("c1", **wrong)


@pytest.mark.parametrize("kind", KINDS)
def test_a_fork_of_what_was_has_what_was_there_then(kind: str, tmp_path: Path):
    with Store(place_in(kind, tmp_path)) as store:
        first = store.add_message("c1", "one", created_at=datetime(2025, 3, 13, tzinfo=timezone.utc))
        store.add_message("c1", "two", created_at=datetime(2025, 3, 14, tzinfo=timezone.utc))
        store.remove("c1")
        then = datetime(2025, 3, 13, 12, tzinfo=timezone.utc)
        for point in ({"at": first.seq}, {"version": 1}, {"at": then}):
            fork = store.fork("c1", **point).conversation_id
            assert [message.content for message in store.messages(fork)] == ["one"]
        with pytest.raises(NotFound, match="at event 2"):
            store.fork("c1")
