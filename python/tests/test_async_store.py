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


def test_a_cancelled_batch_is_whole_or_not_there(tmp_path: Path):
    async def main() -> None:
        async with await AsyncStore.open(tmp_path) as store:
            batch = [{"type": "add_message", "conversation_id": "c1", "content": str(n)} for n in range(20)]
            receipts = 0
            for n in range(60):
                task = asyncio.create_task(store.batch(batch))
                for _ in range(n % 6):
                    await asyncio.sleep(0.0002)
                task.cancel()
                try:
                    receipts += len(await task)
                except asyncio.CancelledError:
                    pass
            # A batch that had begun when it was cancelled goes on.
            await store.sync()
            await asyncio.sleep(0.3)
            contents = [message.content for message in await store.messages("c1")] if "c1" in await store.ids() else []
            assert contents == [str(n) for n in range(20)] * (len(contents) // 20)
            assert len(contents) >= receipts

    asyncio.run(main())


def test_a_cancelled_call_can_be_made_again_with_its_key(tmp_path: Path):
    async def main() -> None:
        async with await AsyncStore.open(tmp_path) as store:
            for n in range(30):
                task = asyncio.create_task(store.add_message("c1", str(n), key=str(n)))
                await asyncio.sleep(0.0001 * (n % 4))
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await store.add_message("c1", str(n), key=str(n))
            assert [message.content for message in await store.messages("c1")] == [str(n) for n in range(30)]

    asyncio.run(main())


def test_receipts_of_tasks_are_durable_and_tell_one_order(tmp_path: Path):
    async def main() -> None:
        async with await AsyncStore.open(tmp_path) as store:
            receipts = await asyncio.gather(*(store.add_message("c1", str(n), id=str(n)) for n in range(40)))
            assert all(receipt.is_durable for receipt in receipts)
            assert sorted(receipt.seq for receipt in receipts) == list(range(1, 41))
            in_order = [receipt.id for receipt in sorted(receipts, key=lambda receipt: receipt.version)]
            assert [message.id for message in await store.messages("c1")] == in_order

    asyncio.run(main())


def test_the_event_loop_goes_on_while_calls_wait_for_the_device(tmp_path: Path):
    async def main() -> None:
        async with await AsyncStore.open(tmp_path) as store:
            text = "x" * 3_000_000
            add = asyncio.gather(*(store.add_message("c1", text) for _ in range(16)))
            ticks = 0
            while not add.done():
                ticks += 1
                await asyncio.sleep(0)
            assert ticks > 20

    asyncio.run(main())
