"""The checkpointer for LangGraph, held to LangGraph's own conformance suite and to what the store promises."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langgraph", reason="the extra langgraph is not installed")
conformance = pytest.importorskip("langgraph.checkpoint.conformance", reason="it is not installed")

from langchain_core.messages import AIMessage, HumanMessage  # noqa: E402
from langgraph.checkpoint.base import CheckpointTuple, empty_checkpoint  # noqa: E402
from langgraph.checkpoint.memory import InMemorySaver  # noqa: E402
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer  # noqa: E402
from langgraph.checkpoint.serde.types import ERROR, INTERRUPT, RESUME, _DeltaSnapshot  # noqa: E402

from aral_store import AsyncStore, Closed, InvalidInput, NotFound, Store, Unsupported  # noqa: E402
from aral_store import _langgraph_threads as threads  # noqa: E402
from aral_store.langgraph import AralSaver  # noqa: E402
from conftest import KINDS, cancelled_at, place_in  # noqa: E402


@pytest.fixture(params=["file", "sqlite"])
def saver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AralSaver]:
    with Store(place_in(request.param, tmp_path), sync="os") as store:
        yield AralSaver(store)


def config(thread_id: Any = "t1", ns: str = "", id: str | None = None) -> Any:
    made = {"thread_id": thread_id, "checkpoint_ns": ns}
    return {"configurable": made if id is None else made | {"checkpoint_id": id}}


def put(
    saver: Any, at: Any, values: dict[str, Any], n: int = 0, new: list[str] | None = None, old: int = 0, **metadata: Any
) -> Any:
    """Stores a checkpoint whose channels have a version of this number, or of another one where they are not new."""
    checkpoint = empty_checkpoint()
    checkpoint["channel_values"] = values
    checkpoint["channel_versions"] = {name: n if new is None or name in new else old for name in values}
    versions = {name: n for name in (values if new is None else new)}
    return saver.put(at, checkpoint, {"source": "loop", "step": n, **metadata}, versions)


def chain(saver: Any, count: int, thread_id: str = "t1", ns: str = "", **metadata: Any) -> list[Any]:
    at, made = config(thread_id, ns), []
    for n in range(count):
        at = put(saver, at, {"n": n, "long": "x" * 5000 + str(n)}, n, **metadata)
        made.append(at)
    return made


def shown(found: CheckpointTuple | None) -> Any:
    """What two savers must agree in."""
    assert found is not None
    return (found.checkpoint, found.metadata, found.parent_config, found.pending_writes)


@pytest.mark.parametrize("kind", ["memory", *KINDS])
def test_the_whole_of_langgraphs_conformance_suite_passes(kind: str, tmp_path: Path):
    place = None if kind == "memory" else place_in(kind, tmp_path)

    @conformance.checkpointer_test(name=kind)
    async def registered() -> AsyncIterator[AralSaver]:
        with Store(place, sync="os") as store:
            yield AralSaver(AsyncStore(store))

    results = asyncio.run(conformance.validate(registered)).results
    assert [failure for result in results.values() for failure in result.failures] == []
    assert sum(result.tests_passed for result in results.values()) == 81


class Twin(AralSaver):
    """Does what an awaited method is asked for by the one that is not."""


for _name in ("get_tuple", "put", "put_writes", "delete_thread", "delete_for_runs", "copy_thread", "prune"):

    def _awaited(name: str) -> Any:
        async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            return getattr(self, name)(*args, **kwargs)

        return call

    setattr(Twin, "a" + _name, _awaited(_name))


async def _alist(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
    for each in self.list(*args, **kwargs):
        yield each


setattr(Twin, "alist", _alist)


def test_the_methods_that_are_not_awaited_pass_it_as_well(tmp_path: Path):
    @conformance.checkpointer_test(name="twin")
    async def registered() -> AsyncIterator[AralSaver]:
        with Twin(tmp_path / "data") as saver:
            yield saver

    results = asyncio.run(conformance.validate(registered)).results
    assert [failure for result in results.values() for failure in result.failures] == []
    assert sum(result.tests_passed for result in results.values()) == 81


VALUES: dict[str, Any] = {
    "messages": [HumanMessage("What? \ud83d\0", id="h1"), AIMessage("This.", tool_calls=[])],
    "bytes": b"\x00\xff" * 4000,
    "array": bytearray(b"abc"),
    "none": None,
    "set": {1, 2},
    "tuple": (1, ("a", 2.5)),
    "long": "é" * 3000,
    "number": 1 << 62,
    "infinite": float("inf"),
}


def test_what_is_stored_comes_back_as_from_langgraphs_own(saver: AralSaver):
    own = InMemorySaver()
    for each in (saver, own):
        one, two = checkpoint("1", VALUES), checkpoint("2", {**VALUES, "long": "other"})
        metadata = {"source": "input", "step": -1, "parents": {}, "of": VALUES["tuple"]}
        first = each.put(config(), one, metadata, one["channel_versions"])
        each.put_writes(first, list(VALUES.items()), "task-2", "~b")
        each.put_writes(first, [("b", 1), (ERROR, "x"), ("a", VALUES)], "task-1", "~a")
        second = {"configurable": first["configurable"] | {"of_user": "u7", "__secret": 1}, "metadata": {"tag": "x\0y"}}
        each.put(second, two, {"source": "loop", "step": 0}, {"long": "0.other"})
    for id in ("1", "2"):
        assert shown(saver.get_tuple(config(id=id))) == shown(own.get_tuple(config(id=id)))
    newest, of_own = saver.get_tuple(config()), own.get_tuple(config())
    assert newest is not None and of_own is not None and newest.config == config(id="2") and newest.metadata["of_user"] == "u7"  # type: ignore[typeddict-item]
    assert list(map(shown, saver.list(config()))) == list(map(shown, own.list(config())))
    for name, value in of_own.checkpoint["channel_values"].items():
        assert type(newest.checkpoint["channel_values"][name]) is type(value)
    with Store(saver._owner.store._path, read_only=True) if is_file(saver) else Store(place_of(saver)) as other:
        assert shown(AralSaver(other).get_tuple(config(id="1"))) == shown(own.get_tuple(config(id="1")))


def checkpoint(id: str, values: dict[str, Any]) -> Any:
    versions = {name: f"0.{str(value)[:5]}" if isinstance(value, (int, str)) else "0.1" for name, value in values.items()}
    return empty_checkpoint() | {"id": id, "ts": "2026-01-01T00:00:00+00:00", "channel_values": values, "channel_versions": versions}


def place_of(saver: AralSaver) -> Any:
    return saver._owner.store._path


def is_file(saver: AralSaver) -> bool:
    return isinstance(place_of(saver), Path)


def test_a_number_is_a_threads_id_too_and_comes_back_as_one(saver: AralSaver):
    assert put(saver, config(7), {"a": 1}) == config(7, id=saver.get_tuple(config(7)).checkpoint["id"])  # type: ignore[union-attr]
    assert saver.get_tuple(config("7")) is not None
    for missing in ({}, {"configurable": {}}, config(""), config(None)):
        with pytest.raises(InvalidInput):
            saver.get_tuple(missing)
        with pytest.raises(InvalidInput):
            put(saver, missing, {})
    with pytest.raises(InvalidInput):
        saver.put_writes(config(), [("a", 1)], "task")


def test_a_value_that_the_parent_has_is_stored_once(saver: AralSaver):
    store = saver._owner.store
    at = put(saver, config(), {"a": "x" * 9000, "b": "y" * 9000}, 1)
    for n in range(2, 10):
        at = put(saver, at, {"a": "x" * 9000, "b": "y" * 9000}, n, new=[])
    # The versions tell, and not what the program says is new.
    assert len(store.messages("langgraph-values:t1")) == 2 + 2
    for found in saver.list(config()):
        assert found.checkpoint["channel_values"] == {"a": "x" * 9000, "b": "y" * 9000}


def test_branches_with_the_same_versions_keep_their_own_values(saver: AralSaver):
    root = put(saver, config(), {"a": "root" * 1000}, 1)
    left, right = (put(saver, root, {"a": text * 1000}, 2) for text in ("left", "right"))
    for at, text in ((root, "root"), (left, "left"), (right, "right")):
        assert saver.get_tuple(at).checkpoint["channel_values"] == {"a": text * 1000}  # type: ignore[union-attr]
    # It is not the parent's either if its version is another one, whatever is said to be new.
    other = put(saver, root, {"a": "other" * 1000}, 2, new=[], old=3)
    assert saver.get_tuple(other).checkpoint["channel_values"] == {"a": "other" * 1000}  # type: ignore[union-attr]


def test_versions_grow_and_no_two_are_the_same():
    saver = AralSaver(Store())
    versions = [None]
    for _ in range(120):
        versions.append(saver.get_next_version(versions[-1], None))  # type: ignore[arg-type]
    assert versions[1:] == sorted(versions[1:]) and saver.get_next_version(None, None) != versions[1]  # type: ignore[type-var]
    assert saver.get_next_version("00000000000000000000000000000009.0.5", None) > "00000000000000000009"


def test_storing_the_same_again_changes_nothing(saver: AralSaver):
    store = saver._owner.store
    values = {"a": "x" * 9000, "b": 1}
    one = checkpoint("1", values)
    for _ in range(3):
        at = saver.put(config(), one, {"source": "input", "step": 0}, {"a": "0.1", "b": "0.1"})
        saver.put_writes(at, [("a", "y" * 9000), (INTERRUPT, "z" * 9000), ("b", 1)], "task", "~p")
    events = sum(1 for _ in store.events()) if is_file(saver) else None
    assert events in (None, 4) and [len(store.messages(id)) for id in store] == [3 - 1, 3] or len(store) == 2
    assert len(store.messages("langgraph:t1")) == 2 and len(store.messages("langgraph-values:t1")) == 3


def test_of_a_tasks_writes_the_first_count_and_of_its_errors_the_last(saver: AralSaver):
    own = InMemorySaver()
    for each in (saver, own):
        at = each.put(config(), checkpoint("1", {}), {}, {})
        each.put_writes(at, [("a", 1), ("b", 2)], "task", "~p")
        each.put_writes(at, [("a", 3), ("b", 4), ("c", 5)], "task", "~p")
        each.put_writes(at, [(ERROR, "one")], "task", "~p")
        each.put_writes(at, [(ERROR, "two")], "task", "~q")
        each.put_writes(at, [(RESUME, [1])], "00000000-0000-0000-0000-000000000000")
        each.put_writes(at, [(RESUME, [1, 2])], "00000000-0000-0000-0000-000000000000")
        for n in range(12):
            each.put_writes(at, [("d", n)] * 3, f"t{n}", f"~{12 - n:02}")
    assert shown(saver.get_tuple(config())) == shown(own.get_tuple(config()))


def test_writes_may_come_before_their_checkpoint(saver: AralSaver):
    saver.put_writes(config(id="2"), [("a", 1)], "task")
    assert saver.get_tuple(config()) is None and saver.get_tuple(config(id="2")) is None
    saver.put(config(), checkpoint("1", {}), {}, {})
    saver.prune(["t1"])
    saver.put(config(id="1"), checkpoint("2", {}), {}, {})
    assert saver.get_tuple(config()).pending_writes == [("task", "a", 1)]  # type: ignore[union-attr]


def test_lists_are_the_same_as_langgraphs_own(saver: AralSaver):
    own = InMemorySaver()
    ids = iter(f"{n:03}" for n in range(1000))
    for n in range(40):
        one = checkpoint(next(ids), {"n": n})
        at = config(f"t{n % 2}", "" if n % 4 < 2 else "sub:1", f"{n:03}")
        for each in (saver, own):
            each.put(at, one, {"source": "loop", "step": n // 4, "run_id": f"r{n % 3}"}, one["channel_versions"])
    asked: list[dict[str, Any]] = [
        {},
        {"limit": 0},
        {"limit": 3},
        {"limit": 17},
        {"filter": {"step": 3}},
        {"filter": {"step": 3, "run_id": "r1"}},
        {"filter": {"nothing": None}},
        {"filter": {"nothing": 1}},
        {"before": config(id="020")},
        {"before": config()},
        {"before": config(id="020"), "limit": 2, "filter": {"run_id": "r2"}},
    ]
    only = {"configurable": {"thread_id": "t1"}}
    for each_config in (config("t0"), config("t1", "sub:1"), config("t1", id="007"), config("t2"), only, None):
        for options in asked:
            mine = [shown(found) for found in saver.list(each_config, **options)]
            theirs = sorted(own.list(each_config, **options | {"limit": None}), key=lambda found: found.checkpoint["id"])[::-1]
            assert mine == [shown(found) for found in theirs][: options.get("limit")]

            async def awaited() -> list[Any]:
                return [shown(found) async for found in saver.alist(each_config, **options)]

            assert asyncio.run(awaited()) == mine


def test_a_thread_is_deleted_with_its_values_and_can_begin_anew(saver: AralSaver):
    chain(saver, 3)
    chain(saver, 1, "t2")
    saver.delete_thread("t1")
    saver.delete_thread("nobody")
    assert saver.get_tuple(config()) is None and set(saver._owner.store) == {"langgraph:t2", "langgraph-values:t2"}
    for count in (3, 5):
        made = chain(saver, count)
        assert [found.config for found in saver.list(config())] == made[::-1]
        assert saver.get_tuple(config()).checkpoint["channel_values"]["n"] == count - 1  # type: ignore[union-attr]
        saver.delete_thread("t1")


def test_what_another_saver_removes_and_begins_anew_is_seen(saver: AralSaver):
    if is_file(saver):
        other = AralSaver(saver._owner.store)
    else:
        other = AralSaver(place_of(saver))
    for count in (1, 2, 3, 7):
        made = chain(other, count)
        assert [found.config for found in saver.list(config())] == made[::-1]
        other.delete_thread("t1")
    assert saver.get_tuple(config()) is None
    other.close()


def test_pruning_keeps_the_newest_of_each_namespace_and_drops_the_text_of_the_others(saver: AralSaver):
    store = saver._owner.store
    for ns in ("", "sub:1"):
        made = chain(saver, 4, ns=ns)
        for at in made:
            saver.put_writes(at, [("a", "w" * 3000), ("b", 1)], "task")
    before = [shown(saver.get_tuple(config(ns=ns))) for ns in ("", "sub:1")]
    saver.prune(["t1", "nobody"])
    saver.prune(["t1"])
    assert [shown(saver.get_tuple(config(ns=ns))) for ns in ("", "sub:1")] == before
    assert len(list(saver.list({"configurable": {"thread_id": "t1"}}))) == 2
    held = [message.metadata for message in store.messages("langgraph-values:t1")]
    assert len(held) == 16 and sum(1 for each in held if each) == 4
    # What is stored after it has places of its own.
    chain(saver, 2)
    assert shown(saver.get_tuple(config(ns="sub:1"))) == before[1]
    assert saver.get_tuple(config()).checkpoint["channel_values"]["long"] == "x" * 5000 + "1"  # type: ignore[union-attr]
    saver.prune(["t1"], strategy="delete")
    assert list(store) == []
    with pytest.raises(InvalidInput):
        saver.prune(["t1"], strategy="keep")


def delta_chain(saver: Any) -> list[Any]:
    """A channel that is stored at the second checkpoint, and that the others make from their writes."""
    made: list[Any] = []
    at = config()
    for n in range(6):
        values = {"other": "o" * 2000 + str(n)} | ({"log": _DeltaSnapshot(["s"])} if n == 1 else {})
        counters = {} if n < 2 else {"counters_since_delta_snapshot": {"log": (n - 1, n - 1)}}
        one = empty_checkpoint() | {
            "id": f"{n}",
            "channel_values": values,
            "channel_versions": {"other": f"{n}", "log": f"{n}"},
        }
        at = saver.put(at, one, {"step": n, "run_id": f"r{n}", **counters}, {"other": f"{n}", "log": f"{n}"})
        saver.put_writes(at, [("log", [n, 2]), ("other", 1)], "task-2", "~b")
        saver.put_writes(at, [("log", [n, 1])], "task-9", "~a")
        made.append(at)
    return made


def test_a_delta_channels_history_is_the_same_as_langgraphs_own(saver: AralSaver):
    own = InMemorySaver()
    made = delta_chain(saver)
    delta_chain(own)
    for at in [*made, config(), config("nobody"), config(id="no")]:
        for channels in (["log"], ["log", "other"], ["nothing"], []):
            mine = saver.get_delta_channel_history(config=at, channels=channels)
            assert mine == own.get_delta_channel_history(config=at, channels=channels)
            assert asyncio.run(saver.aget_delta_channel_history(config=at, channels=channels)) == mine
    history = saver.get_delta_channel_history(config=config(), channels=["log"])["log"]
    assert history["seed"] == _DeltaSnapshot(["s"]) and [write[2] for write in history["writes"]][:2] == [[1, 1], [1, 2]]


def test_pruning_keeps_what_delta_channels_are_made_from(saver: AralSaver):
    delta_chain(saver)
    before = saver.get_delta_channel_history(config=config(), channels=["log"])
    saver.prune(["t1"])
    assert saver.get_delta_channel_history(config=config(), channels=["log"]) == before
    assert [found.checkpoint["id"] for found in saver.list(config())] == ["5", "4", "3", "2", "1"]


def test_a_run_that_delta_channels_are_made_from_is_not_removed(saver: AralSaver):
    delta_chain(saver)
    chain(saver, 2, "t2", run_id="r3")
    before = list(map(shown, saver.list(None)))
    with pytest.raises(Unsupported, match="'log' of checkpoint"):
        saver.delete_for_runs(["r0", "r3"])
    assert list(map(shown, saver.list(None))) == before
    saver.delete_for_runs(["r0", "r5"])
    assert [found.checkpoint["id"] for found in saver.list(config())] == ["4", "3", "2", "1"]
    saver.delete_thread("t1")
    saver.delete_for_runs(["r3"])
    assert list(saver.list(None)) == []


def test_a_removed_run_takes_no_value_along_that_others_have(saver: AralSaver):
    first = put(saver, config(), {"a": "x" * 9000}, 1, run_id="r1")
    put(saver, first, {"a": "x" * 9000, "b": "y" * 9000}, 2, new=["b"], old=1, run_id="r2")
    saver.delete_for_runs(["r1"])
    [found] = saver.list(config())
    assert found.checkpoint["channel_values"] == {"a": "x" * 9000, "b": "y" * 9000}
    held = [message.metadata for message in saver._owner.store.messages("langgraph-values:t1")]
    assert len(held) == 2 and all(held)


def test_a_copy_has_everything_and_goes_its_own_way(saver: AralSaver):
    chain(saver, 3)
    made = chain(saver, 3, ns="sub:1")
    saver.put_writes(made[-1], [("a", "w" * 3000)], "task")
    chain(saver, 1, "t2")
    saver.copy_thread("t1", "t2")
    saver.copy_thread("t1", "t1")
    saver.copy_thread("nobody", "t3")
    everything = {"configurable": {"thread_id": "t1"}}

    def content(thread_id: str) -> list[Any]:
        listed = saver.list({"configurable": {"thread_id": thread_id}})
        return [(found.checkpoint, found.metadata, found.pending_writes) for found in listed]

    before = content("t1")
    assert len(before) == 6 and [each for each in content("t2") if each in before] == before and len(content("t2")) == 7
    saver.delete_thread("t1")
    assert [each for each in content("t2") if each in before] == before and list(saver.list(everything)) == []


def test_a_value_of_many_parts_comes_back(monkeypatch: pytest.MonkeyPatch, saver: AralSaver):
    monkeypatch.setattr(threads, "_PART", 1000)
    value = bytes(range(256)) * 40
    at = put(saver, config(), {"a": value, "b": 1})
    saver.put_writes(at, [("a", value)], "task")
    saver.copy_thread("t1", "t2")
    for id in ("t1", "t2"):
        found = saver.get_tuple(config(id))
        assert found is not None and found.checkpoint["channel_values"]["a"] == value
        assert found.pending_writes == [("task", "a", value)]


def test_what_is_not_langgraphs_is_left_out_and_left_alone(saver: AralSaver):
    store = saver._owner.store
    chain(saver, 2)
    store.add_message("langgraph:t1", "a note", role="user")
    store.add_message("langgraph:t1", "another", role="checkpoint", metadata={"langgraph": "?"})
    store.add_action("langgraph:t1", "seen", {})
    store.add_message("t1", "Hello!")
    chain(saver, 1)
    saver.prune(["t1"])
    assert len(list(saver.list(None))) == 1
    assert [message.content for message in store.messages("langgraph:t1") if message.role == "user"] == ["a note"]
    assert len(store.messages("t1")) == 1


def test_a_value_that_was_taken_away_by_itself_is_named(saver: AralSaver):
    chain(saver, 1)
    saver._owner.store.clear("langgraph-values:t1")
    with pytest.raises(NotFound, match="value 0 of thread 't1'"):
        saver.get_tuple(config())


def test_what_the_serializer_cannot_take_is_refused_and_nothing_is_stored(saver: AralSaver):
    class Own:
        def __reduce__(self) -> Any:
            raise TypeError("it cannot be stored")

    strict = AralSaver(saver._owner.store, serde=JsonPlusSerializer(pickle_fallback=False))
    with pytest.raises(TypeError):
        put(strict, config(), {"a": Own(), "b": 1})
    with pytest.raises(TypeError):
        strict.put_writes(config(id="1"), [("b", 1), ("a", Own())], "task")
    assert len(saver._owner.store) == 0


def test_a_store_at_a_place_is_the_savers_own(tmp_path: Path):
    with AralSaver(tmp_path / "data") as saver:
        put(saver, config(), {"a": 1})
    with pytest.raises(Closed):
        saver.get_tuple(config())

    async def main() -> None:
        async with AralSaver(f"sqlite:{tmp_path}/data.db") as own:
            await own.aput(config(), checkpoint("1", {}), {}, {})
        async with await AsyncStore.open(tmp_path / "data") as store:
            async with AralSaver(store) as lent:
                assert (await lent.aget_tuple(config())).checkpoint["channel_values"] == {"a": 1}  # type: ignore[union-attr]
            assert not store.is_closed

    asyncio.run(main())
    with pytest.raises(TypeError):
        AralSaver(7)  # type: ignore[arg-type]


def test_threads_of_one_process_store_side_by_side(saver: AralSaver):
    at = put(saver, config(), {"a": "x" * 5000})
    errors: list[BaseException] = []

    def work(n: int) -> None:
        try:
            for m in range(10):
                saver.put_writes(at, [("a", f"{n}/{m}" * 800), ("b", m)], f"task-{n}-{m}")
                put(saver, at, {"a": "x" * 5000, "b": str(n) * 3000}, m, new=["b"])
                saver.get_tuple(config())
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    found = saver.get_tuple(at)
    assert found is not None and found.pending_writes is not None
    assert sorted(value for _, channel, value in found.pending_writes if channel == "a") == sorted(
        f"{n}/{m}" * 800 for n in range(4) for m in range(10)
    )
    assert len(list(saver.list(config()))) == 41


def _store_much(place: str, n: int) -> None:
    with Store(place, sync="os") as store:
        saver = AralSaver(store)
        at = config(id="root")
        for m in range(15):
            saver.put_writes(at, [("a", [n, m] * 400), (ERROR, m)], f"task-{n}-{m}")
            mine = put(saver, config(f"own-{n}"), {"a": "x" * 5000}, m)
            put(saver, config(), {"a": str(n) * 5000, "n": n}, m)
            if m % 5 == 4:
                saver.prune([f"own-{n}"])
                assert saver.get_tuple(mine) is not None


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_several_processes_store_in_one_thread_and_nothing_is_lost(kind: str, tmp_path: Path):
    place = str(place_in(kind, tmp_path))
    with Store(place, sync="os") as store:
        AralSaver(store).put(config(), checkpoint("root", {}), {}, {})
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.starmap(_store_much, [(place, n) for n in range(3)])
    with Store(place) as store:
        saver = AralSaver(store)
        found = saver.get_tuple(config(id="root"))
        assert found is not None and found.pending_writes is not None
        written = [value for _, channel, value in found.pending_writes if channel == "a"]
        assert sorted(written) == sorted([n, m] * 400 for n in range(3) for m in range(15))
        listed = [found.checkpoint["channel_values"] for found in saver.list(config())]
        assert sorted(each["n"] for each in listed if each) == [n for n in range(3) for _ in range(15)]
        assert all(each["a"] == str(each["n"]) * 5000 for each in listed if each)
        for n in range(3):
            [own] = saver.list(config(f"own-{n}"))
            assert own.checkpoint["channel_values"] == {"a": "x" * 5000}


def before_the_next_batch(monkeypatch: pytest.MonkeyPatch, work: Any) -> None:
    """Does something after the next call has looked at a thread, and before it stores what came of that."""
    batch = Store.batch

    def interrupted(self: Store, mutations: Any) -> Any:
        given = list(mutations)
        monkeypatch.setattr(Store, "batch", batch)
        work()
        return batch(self, given)

    monkeypatch.setattr(Store, "batch", interrupted)


def test_what_was_stored_meanwhile_is_kept_and_each_value_at_its_place(saver: AralSaver, monkeypatch: pytest.MonkeyPatch):
    at = put(saver, config(), {"a": "x" * 5000}, 1)
    other = AralSaver(saver._owner.store)
    theirs: list[Any] = []
    before_the_next_batch(monkeypatch, lambda: theirs.append(put(other, at, {"a": "y" * 5000}, 2)))
    mine = put(saver, at, {"a": "x" * 5000, "b": "z" * 5000}, 2, new=["b"], old=1)
    assert saver.get_tuple(mine).checkpoint["channel_values"] == {"a": "x" * 5000, "b": "z" * 5000}  # type: ignore[union-attr]
    assert saver.get_tuple(theirs[0]).checkpoint["channel_values"] == {"a": "y" * 5000}  # type: ignore[union-attr]
    assert len(list(saver.list(config()))) == 3


@pytest.mark.parametrize("how", ["delete", "delete_run"])
def test_a_value_of_the_parent_that_was_removed_meanwhile_is_stored_again(
    saver: AralSaver, monkeypatch: pytest.MonkeyPatch, how: str
):
    at = put(saver, config(), {"a": "x" * 5000}, 1, run_id="r1")
    other = AralSaver(saver._owner.store)
    removal = (lambda: other.delete_thread("t1")) if how == "delete" else (lambda: other.delete_for_runs(["r1"]))
    before_the_next_batch(monkeypatch, removal)
    mine = put(saver, at, {"a": "x" * 5000, "b": 1}, 2, new=["b"], old=1)
    assert saver.get_tuple(mine).checkpoint["channel_values"] == {"a": "x" * 5000, "b": 1}  # type: ignore[union-attr]
    assert [found.config for found in saver.list(config())] == [mine]


def test_of_writes_that_two_processes_store_at_once_the_first_count(saver: AralSaver, monkeypatch: pytest.MonkeyPatch):
    at = put(saver, config(), {})
    other = AralSaver(saver._owner.store)
    before_the_next_batch(monkeypatch, lambda: other.put_writes(at, [("a", 1), (ERROR, "one")], "task"))
    saver.put_writes(at, [("a", 2), (ERROR, "two"), ("b", 3)], "task")
    for each in (saver, other, AralSaver(saver._owner.store)):
        found = each.get_tuple(config())
        assert found is not None and found.pending_writes == [("task", ERROR, "two"), ("task", "a", 1), ("task", "b", 3)]


def test_what_is_stored_while_a_run_is_chosen_for_removal_is_not_lost(saver: AralSaver, monkeypatch: pytest.MonkeyPatch):
    at = put(saver, config(), {"a": "x" * 5000}, 1, run_id="r1")
    other = AralSaver(saver._owner.store)
    before_the_next_batch(
        monkeypatch, lambda: put(other, at, {"a": "x" * 5000, "b": 1}, 2, new=["b"], old=1, run_id="r2")
    )
    saver.delete_for_runs(["r1"])
    [found] = saver.list(config())
    assert found.checkpoint["channel_values"] == {"a": "x" * 5000, "b": 1}


def test_a_thread_that_looks_as_though_it_had_only_grown_is_read_anew(saver: AralSaver):
    store = saver._owner.store
    created_at = datetime(2026, 1, 1, tzinfo=timezone.utc)
    for count in (2, 3):
        store.create("langgraph:t1", created_at=created_at)
        made = chain(AralSaver(store), count)
        assert [found.config for found in saver.list(config())] == made[::-1]
        store.batch({"type": "remove_conversation", "conversation_id": id} for id in list(store))


@pytest.mark.parametrize("which", range(6))
@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_a_call_that_raises_cancelled_error_has_settled(kind: str, which: int, tmp_path: Path):
    values = {"a": list(range(3000))}

    async def state(saver: AralSaver) -> list[Any]:
        found = [each async for each in saver.alist(None) if each.config["configurable"]["thread_id"] != "t3"]
        return [(each.config, len(each.checkpoint["channel_values"]), len(each.pending_writes or ())) for each in found]

    async def main() -> None:
        outcomes = set()
        async with await AsyncStore.open(place_in(kind, tmp_path), sync="os") as store:
            saver = AralSaver(store)
            for moment in range(200 if kind == "file" else 40):
                await saver.adelete_thread("t1")
                first = await saver.aput(config(), checkpoint("1", values), {"run_id": "r1"}, {"a": "0.1"})
                before = await state(saver)
                calls = [
                    lambda: saver.aput(first, checkpoint("2", {"a": list(range(4000))}), {}, {"a": "0.1"}),
                    lambda: saver.aput(first, checkpoint("2", {}), {}, {}),
                    lambda: saver.aput_writes(first, [("a", values)] * 5, "task"),
                    lambda: saver.adelete_thread("t1"),
                    lambda: saver.acopy_thread("t1", "t2"),
                    lambda: saver.adelete_for_runs(["r1"]),
                ]
                task = asyncio.ensure_future(calls[which]())
                await cancelled_at(moment, task)
                # No waiting here: what was cancelled has happened, or never will.
                now = await state(saver)
                outcomes.add(now == before)
                await saver.aput(config("t3"), checkpoint("1", {}), {}, {})
                assert await state(saver) == now
                await saver.adelete_thread("t2")
        assert outcomes == {True, False}, "it was cancelled always before it began, or always behind its end"

    asyncio.run(main())
