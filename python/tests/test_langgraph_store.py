"""LangGraph's memories in a store, side by side with LangGraph's own."""

from __future__ import annotations

import asyncio
import enum
import multiprocessing
import random
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langgraph.store.base", reason="the extra langgraph is not installed")

from langgraph.store.base import (  # noqa: E402
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore  # noqa: E402

from aral_store import AsyncStore, Closed, InvalidInput, Store, Unsupported  # noqa: E402
from aral_store.langgraph import AralBaseStore  # noqa: E402
from conftest import place_in  # noqa: E402


@pytest.fixture(params=["file", "sqlite"])
def memories(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AralBaseStore]:
    with Store(place_in(request.param, tmp_path), sync="os") as store:
        yield AralBaseStore(store)


def shown(result: Any) -> Any:
    if isinstance(result, list):
        return [shown(each) for each in result]
    if result is None or isinstance(result, tuple):
        return result
    return type(result).__name__, result.namespace, result.key, result.value, getattr(result, "score", None)


LABELS = ["users", "u1", "u2", "é\ud83d", "*", 'a"b\\', "langgraphs"]
VALUES: list[Any] = [1, 2.5, "1", "b", None, True, [1, {"a": 2}], {"a": 1, "b": {"c": 2}}, [], {}]


def operations(draw: random.Random) -> list[Any]:
    """A batch of operations of all kinds."""

    def namespace(least: int = 1) -> tuple[str, ...]:
        return tuple(draw.choices(LABELS, k=draw.randint(least, 3)))

    def value() -> dict[str, Any]:
        return {name: draw.choice(VALUES) for name in draw.sample("abc", k=draw.randint(0, 3))}

    filters = [
        None,
        {"a": draw.choice(VALUES)},
        {"a": 1, "b": draw.choice(VALUES)},
        {"b": {"$ne": draw.choice(VALUES)}},
        {"b": {"$eq": draw.choice(VALUES)}},
        {"a": {"a": 1}},
    ]
    conditions = [
        MatchCondition(match_type=draw.choice(["prefix", "suffix"]), path=namespace()) for _ in range(draw.randint(0, 2))
    ]
    kinds: list[Any] = [
        lambda: PutOp(namespace(), draw.choice(["k", "k2", "é\0", ""]), value()),
        lambda: PutOp(namespace(), draw.choice(["k", "k2", "é\0", ""]), None),
        lambda: GetOp(namespace(), draw.choice(["k", "k2", "é\0", ""])),
        lambda: SearchOp(namespace(0), draw.choice(filters), limit=draw.choice([1, 3, 100]), offset=draw.choice([0, 1, 4])),
        lambda: ListNamespacesOp(tuple(conditions), draw.choice([None, 1, 2]), draw.choice([2, 100]), draw.choice([0, 1])),
    ]
    drawn = [draw.choices(kinds, weights=[5, 2, 2, 2, 2])[0]() for _ in range(draw.randint(1, 4))]
    # To the other one a namespace exists once it was asked for.
    return sorted(drawn, key=lambda op: not isinstance(op, ListNamespacesOp))


@pytest.mark.parametrize("kind", ["memory", "file", "sqlite", "postgres"])
def test_it_gives_what_langgraphs_own_gives(kind: str, tmp_path: Path):
    place = None if kind == "memory" else place_in(kind, tmp_path)
    draw = random.Random(7)
    own = InMemoryStore()
    with Store(place, sync="os") as store:
        memories, other = AralBaseStore(store), AralBaseStore(store)
        for n in range(60 if kind == "postgres" else 400):
            ops = operations(draw)
            if any(isinstance(op, (SearchOp, ListNamespacesOp)) for op in ops):
                # What was only asked for, or emptied, is a namespace to the other one, and older than its items.
                own._data = {space: items for space, items in own._data.items() if items}  # type: ignore[assignment]
            wanted = [shown(each) for each in own_batch(own, ops)]
            given = [shown(each) for each in (memories if n % 3 else other).batch(ops)]
            for op, mine, theirs in zip(ops, given, wanted):
                if isinstance(op, SearchOp) and (op.limit < 100 or op.offset):
                    # Which namespace is the older may differ once one was emptied, and so may the page.
                    assert len(mine) == len(theirs)
                elif isinstance(op, SearchOp):
                    assert sorted(mine, key=repr) == sorted(theirs, key=repr)
                else:
                    assert mine == theirs, op
        everything = shown(memories.search((), limit=1000))
    if place is not None:
        with Store(place) as store:
            assert shown(AralBaseStore(store).search((), limit=1000)) == everything


def own_batch(own: InMemoryStore, ops: list[Any]) -> list[Any]:
    from collections import defaultdict

    own._data = defaultdict(dict, own._data)
    return own.batch(ops)


def test_items_are_found_in_the_order_in_which_they_were_put(memories: AralBaseStore):
    own = InMemoryStore()
    for each in (memories, own):
        for n in range(30):
            each.put(("b" if n % 2 else "a", "x"), f"k{n}", {"n": n, "even": n % 2 == 0})
        each.put(("a", "x"), "k4", {"n": 400, "even": True})
        each.delete(("a", "x"), "k6")
        each.put(("a", "x"), "k6", {"n": 6, "even": True})
    asked: list[Any] = [
        ((), {}),
        ((), {"limit": 40}),
        (("a",), {"limit": 5, "offset": 3}),
        ((), {"filter": {"even": True}, "limit": 4, "offset": 1}),
        ((), {"filter": {"n": {"$gte": 4, "$lt": 20}}, "limit": 100}),
        (("nobody",), {}),
    ]
    for prefix, options in asked:
        assert shown(memories.search(prefix, **options)) == shown(own.search(prefix, **options))
        assert shown(asyncio.run(memories.asearch(prefix, **options))) == shown(own.search(prefix, **options))


def test_comparisons_are_of_numbers_or_of_texts_and_miss_all_else(memories: AralBaseStore):
    for key, value in {"one": 1, "two": "2", "day": "2026-01-02", "none": None, "list": [3]}.items():
        memories.put(("a",), key, {"v": value})
    memories.put(("a",), "without", {})

    def found(**filter: Any) -> list[str]:
        return [item.key for item in memories.search(("a",), filter=filter)]

    assert found(v={"$gt": 0}) == ["one", "two"] and found(v={"$lte": "1.5"}) == ["one"]
    assert found(v={"$gt": "2026-01-01"}) == ["day"] and found(v=None) == ["none", "without"]
    for unknown in ({"v": {"$in": [1]}}, {"w": {"v": {"$gt": 1, "$like": 2}}}):
        with pytest.raises(InvalidInput, match=r"\$in|\$like"):
            memories.search(("nobody",), filter=unknown)


def test_an_item_knows_when_it_was_put_first_and_last(memories: AralBaseStore):
    before = datetime.now(timezone.utc)
    memories.put(("a",), "k", {"n": 1})
    first = memories.get(("a",), "k")
    memories.put(("a",), "k", {"n": 2})
    second = memories.get(("a",), "k")
    assert first is not None and second is not None and second.value == {"n": 2}
    assert before <= first.created_at == first.updated_at == second.created_at < second.updated_at
    assert second == AralBaseStore(memories._owner.store).get(("a",), "k")


def test_what_is_given_is_nobodys_to_change(memories: AralBaseStore):
    value = {"list": [1]}
    memories.put(("a",), "k", value)
    value["list"].append(2)
    for _ in range(2):
        item = memories.get(("a",), "k")
        assert item is not None and item.value == {"list": [1]}
        item.value["list"].append(3)
        memories.search(())[0].value["list"].append(4)


class Colour(str, enum.Enum):
    RED = "red"


def test_what_would_not_come_back_is_refused_by_name_and_nothing_is_put(memories: AralBaseStore):
    for bad, named in (
        ({"a": {"b": [1, {2}]}}, r"value\['a'\]\['b'\]\[1\] is of type set"),
        ({"a": b"x"}, "bytes"),
        ({"a": datetime.now(timezone.utc)}, "datetime"),
        ({"a": {1: 2}}, "int"),
        ({1: 2}, "int"),
    ):
        with pytest.raises(InvalidInput, match=named):
            memories.batch([PutOp(("a",), "good", {"n": 1}), PutOp(("a",), "bad", bad)])  # type: ignore[arg-type]
    deep: Any = {}
    for _ in range(600):
        deep = {"a": deep}
    with pytest.raises(InvalidInput):
        memories.put(("a",), "k", deep)
    assert len(memories._owner.store) == 0
    memories.put(("a",), "k", {"tuple": (1, 2), "colour": Colour.RED, "big": 1 << 80, "inf": float("inf")})
    item = memories.get(("a",), "k")
    assert item is not None and item.value == {"tuple": [1, 2], "colour": "red", "big": 1 << 80, "inf": float("inf")}
    assert type(item.value["colour"]) is str


def test_vectors_and_expiry_are_refused_by_name(memories: AralBaseStore):
    with pytest.raises(Unsupported, match="no index of vectors"):
        memories.search(("a",), query="tea")
    with pytest.raises(NotImplementedError):
        memories.put(("a",), "k", {}, ttl=5)
    with pytest.raises(Unsupported, match="ttl"):
        memories.batch([PutOp(("a",), "k", {}, ttl=5)])
    memories.put(("a",), "k", {"text": "x"}, index=["text"])
    for bad in ((), ("a.b",), ("langgraph",), ("",), (1,)):
        with pytest.raises(InvalidNamespaceError):
            memories.put(bad, "k", {})  # type: ignore[arg-type]
    for bad in (("a.b",), ("",)):
        with pytest.raises(InvalidNamespaceError):
            memories.batch([PutOp(bad, "k", {})])
    with pytest.raises(ValueError):
        memories.batch([("what",)])  # type: ignore[list-item]
    assert memories.list_namespaces() == [("a",)]


def test_all_puts_of_a_batch_happen_or_none(memories: AralBaseStore, monkeypatch: pytest.MonkeyPatch):
    memories.put(("a",), "k", {"n": 1})

    def fails(self: Store, mutations: Any) -> Any:
        raise OSError("no")

    with monkeypatch.context() as patched:
        patched.setattr(Store, "batch", fails)
        with pytest.raises(OSError):
            memories.batch([PutOp(("a",), "k", {"n": 2}), PutOp(("b",), "k", {"n": 2}), PutOp(("a",), "j", None)])
    assert shown(memories.search(())) == [("SearchItem", ("a",), "k", {"n": 1}, None)]


def test_an_item_is_a_message_that_anybody_may_read_and_edit(memories: AralBaseStore):
    store = memories._owner.store
    memories.put(("users", "u7"), "tea", {"likes": "green"})
    [id] = store
    [message] = store.messages(id)
    assert (id, message.content) == ('langgraph-store:["users","u7"]', "tea")
    assert message.metadata["langgraph"]["value"] == {"likes": "green"}
    store.add_message(id, "a note")
    store.edit_message(id, message.id, content="coffee")
    assert memories.get(("users", "u7"), "tea") is None
    assert [item.key for item in memories.search(())] == ["coffee"]
    memories.put(("users", "u7"), "milk", {})
    memories.delete(("users", "u7"), "coffee")
    assert [item.key for item in memories.search(())] == ["milk"] and len(store.messages(id)) == 2


def test_a_store_at_a_place_is_its_own(tmp_path: Path):
    with AralBaseStore(tmp_path / "data") as memories:
        memories.put(("a",), "k", {"n": 1})
    with pytest.raises(Closed):
        memories.get(("a",), "k")

    async def main() -> None:
        async with AralBaseStore(str(tmp_path / "data")) as again:
            assert (await again.aget(("a",), "k")).value == {"n": 1}  # type: ignore[union-attr]
            assert await again.alist_namespaces(prefix=("*",)) == [("a",)]
            await again.adelete(("a",), "k")
            assert await again.alist_namespaces() == []

    asyncio.run(main())


def _count(memories: AralBaseStore, n: int, times: int) -> None:
    for m in range(times):
        memories.batch([PutOp(("a",), f"{n}/{m}", {"n": n}), PutOp(("a",), "shared", {"n": n, "m": m}), PutOp(("b", str(n)), "k", {"m": m})])
        memories.delete(("b", str(n)), "k")


def _count_in_a_process(place: str, n: int) -> None:
    with Store(place, sync="os") as store:
        _count(AralBaseStore(store), n, 12)


def test_threads_put_side_by_side_and_nothing_is_there_twice(memories: AralBaseStore):
    errors: list[BaseException] = []

    def work(n: int) -> None:
        try:
            _count(memories if n % 2 else AralBaseStore(memories._owner.store), n, 10)
        except BaseException as error:
            errors.append(error)

    workers = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert errors == []
    keys = [item.key for item in memories.search((), limit=1000)]
    assert sorted(keys) == sorted(["shared", *(f"{n}/{m}" for n in range(4) for m in range(10))])
    assert len(memories._owner.store.messages('langgraph-store:["a"]')) == 41


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_processes_put_side_by_side_and_nothing_is_there_twice(kind: str, tmp_path: Path):
    place = str(place_in(kind, tmp_path))
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        pool.starmap(_count_in_a_process, [(place, n) for n in range(3)])
    with AralBaseStore(place) as memories:
        keys = [item.key for item in memories.search((), limit=1000)]
        assert sorted(keys) == sorted(["shared", *(f"{n}/{m}" for n in range(3) for m in range(12))])
        assert len(memories._owner.store.messages('langgraph-store:["a"]')) == 37


def test_a_key_that_was_put_meanwhile_is_not_there_twice(memories: AralBaseStore, monkeypatch: pytest.MonkeyPatch):
    other, batch = AralBaseStore(memories._owner.store), Store.batch

    def interrupted(self: Store, mutations: Any) -> Any:
        given = list(mutations)
        monkeypatch.setattr(Store, "batch", batch)
        other.batch([PutOp(("a",), "k", {"n": 1}), PutOp(("b",), "k", {"n": 1})])
        return batch(self, given)

    monkeypatch.setattr(Store, "batch", interrupted)
    memories.batch([PutOp(("a",), "k", {"n": 2}), PutOp(("a",), "j", {"n": 2})])
    for each in (memories, other):
        assert [(item.key, item.value["n"]) for item in each.search(())] == [("k", 2), ("j", 2), ("k", 1)]
    assert len(memories._owner.store.messages('langgraph-store:["a"]')) == 2


def test_a_put_that_raises_cancelled_error_has_settled(tmp_path: Path):
    async def main() -> None:
        outcomes = set()
        async with await AsyncStore.open(tmp_path / "data", sync="os") as store:
            memories = AralBaseStore(store)
            for moment in range(200):
                ops = [PutOp(("a",), f"{n}", {"moment": moment, "text": "x" * 100}) for n in range(1 if moment % 2 else 100)]
                task = asyncio.ensure_future(memories.abatch(ops))
                for _ in range(moment % 4):
                    await asyncio.sleep(0)
                if moment > 20:
                    await asyncio.sleep(0.00003 * moment)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                # No waiting here: what was cancelled has happened, or never will.
                now = shown(await memories.asearch((), limit=1000))
                outcomes.add(bool(now))
                assert len(now) in (0, len(ops))
                await memories.aput(("b",), "k", {})
                await memories.abatch([PutOp(("b",), "k", None), *(PutOp(("a",), item[2], None) for item in now)])
                assert await memories.asearch(()) == []
        assert outcomes == {True, False}

    asyncio.run(main())
