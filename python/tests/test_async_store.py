"""The store for event loops."""

from __future__ import annotations

import asyncio
import inspect
from pathlib import Path

import pytest

from aral_store import AsyncStore, Closed, NotFound, Store


def test_calls_side_by_side_are_all_carried_out_and_durable(tmp_path: Path):
    async def main() -> None:
        async with await AsyncStore.open(tmp_path) as store:
            receipts = await asyncio.gather(*(store.add_message("c1", str(n), id=str(n)) for n in range(100)))
            assert all(receipt.is_durable for receipt in receipts)
            assert sorted(receipt.version for receipt in receipts) == list(range(1, 101))
            assert {m.id for m in await store.messages("c1")} == {str(n) for n in range(100)}
            assert await store.ids() == ["c1"]
            assert [c.id async for c in store.values()] == ["c1"]
            with pytest.raises(NotFound):
                await store.messages("nobody")
        assert store.is_closed

    asyncio.run(main())
    with Store(tmp_path) as store:
        assert len(store.messages("c1")) == 100


def test_the_loop_goes_on_while_the_store_waits(tmp_path: Path):
    async def main() -> int:
        ticks = 0
        async with await AsyncStore.open(tmp_path) as store:
            adding = asyncio.create_task(store.add_message("c1", "x" * 20_000_000))
            while not adding.done():
                ticks += 1
                await asyncio.sleep(0)
            await adding
        return ticks

    assert asyncio.run(main()) > 10


def test_a_closed_one_refuses():
    async def main() -> None:
        store = await AsyncStore.open()
        await store.close()
        await store.close()
        with pytest.raises(Closed):
            await store.add_message("c1", "late")

    asyncio.run(main())


def test_it_has_what_the_store_has():
    differs = {"events"}
    for name, method in vars(Store).items():
        if name.startswith("_") or name in differs or not callable(method):
            continue
        there = getattr(AsyncStore, name)
        assert inspect.iscoroutinefunction(there) or inspect.isasyncgenfunction(there), name
        assert there.__doc__, name
