"""The store for event loops."""

from __future__ import annotations

import asyncio
import gc
import inspect
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from aral_store import AlreadyExists, AsyncStore, Closed, NoSpace, NotFound, Store, _async_store, _threads
from conftest import Place


def test_calls_side_by_side_are_all_carried_out_and_durable(place: Place):
    async def main() -> None:
        async with await AsyncStore.open(place) as store:
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
    with Store(place) as store:
        assert len(store.messages("c1")) == 100


def test_the_loop_goes_on_while_the_store_waits(place: Place):
    async def main() -> int:
        ticks = 0
        async with await AsyncStore.open(place) as store:
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
        # A reply is begun by `async with`, so that what gives one is awaited there.
        is_reply = name in {"stream", "resume"}
        assert is_reply or inspect.iscoroutinefunction(there) or inspect.isasyncgenfunction(there), name
        assert there.__doc__, name
        assert inspect.signature(there).parameters == inspect.signature(method).parameters, name


def test_it_is_opened_with_all_that_a_store_is_opened_with():
    taken = list(inspect.signature(Store).parameters.values())
    assert list(inspect.signature(AsyncStore.open).parameters.values()) == taken


def test_a_cancelled_batch_is_whole_or_not_there(place: Place):
    async def main() -> None:
        async with await AsyncStore.open(place) as store:
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
            contents = [message.content for message in await store.messages("c1")] if "c1" in await store.ids() else []
            assert contents == [str(n) for n in range(20)] * (len(contents) // 20)
            assert len(contents) >= receipts

    asyncio.run(main())


def contents_of(store: AsyncStore) -> int:
    summary = store._store.summary("c1")
    return 0 if summary is None else summary.messages


def test_what_is_cancelled_does_not_appear_later(place: Place):
    async def main() -> None:
        async with await AsyncStore.open(place) as store:
            batch = [{"type": "add_message", "conversation_id": "c1", "content": "cancelled"}] * 3000
            await store.create("c1")
            for n in range(12):
                task = asyncio.create_task(store.batch(batch))
                await asyncio.sleep(0.001 * n)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                assert contents_of(store) in (0, 3000)
                await store.clear("c1")
                await store.add_message("c1", "the next")
                await asyncio.sleep(0.05)
                assert [message.content for message in await store.messages("c1")] == ["the next"]
                await store.clear("c1")

    asyncio.run(main())


def test_a_call_that_has_begun_is_waited_for_however_often_it_is_cancelled():
    async def main() -> None:
        store = await AsyncStore.open()
        begun, go_on, ended = threading.Event(), threading.Event(), []

        def work() -> None:
            begun.set()
            go_on.wait(20)
            ended.append(1)

        task = asyncio.create_task(store._run(work))
        await asyncio.to_thread(begun.wait, 20)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.02)
            assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended and task.cancelled()
        await store.close()

    asyncio.run(main())


def test_a_call_that_has_no_thread_yet_is_called_off_at_once():
    async def main() -> None:
        store = await AsyncStore.open()
        go_on = threading.Event()
        busy = [asyncio.create_task(store._run(lambda: go_on.wait(20))) for _ in range(_threads.MOST)]
        waiting = asyncio.create_task(store.add_message("c1", "never"))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(waiting, 10)
        go_on.set()
        await asyncio.gather(*busy)
        assert await store.ids() == []
        await store.close()

    asyncio.run(main())


def test_a_timeout_waits_for_what_has_begun():
    async def main() -> None:
        store = await AsyncStore.open()
        ended = []
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await store._run(lambda: (time.sleep(0.3), ended.append(1)))
        assert ended
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(store._run(lambda: (time.sleep(0.3), ended.append(2))), 0.05)
        assert ended == [1, 2]
        await store.close()

    asyncio.run(main())


def test_what_fails_after_it_was_cancelled_is_cancelled_and_says_why():
    async def main() -> None:
        heard: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append(context))
        store = await AsyncStore.open()

        def work() -> None:
            time.sleep(0.1)
            raise NoSpace("full")

        task = asyncio.create_task(store._run(work))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert isinstance(caught.value.__cause__, NoSpace)
        del task
        gc.collect()
        await store.close()
        assert heard == []

    asyncio.run(main())


def test_an_opening_that_is_cancelled_holds_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    opened: list[Store] = []

    init = Store.__init__

    def slow(self: Store, *args: Any, **kwargs: Any) -> None:
        time.sleep(0.1)
        init(self, *args, **kwargs)
        opened.append(self)

    async def main() -> None:
        task = asyncio.create_task(AsyncStore.open(tmp_path))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    monkeypatch.setattr(Store, "__init__", slow)
    asyncio.run(main())
    assert [store.is_closed for store in opened] == [True]


def test_every_call_settles(monkeypatch: pytest.MonkeyPatch):
    """None of them has a way of its own to a thread."""

    class Settles(Exception):
        pass

    async def settled(*_: object) -> None:
        raise Settles

    async def main() -> None:
        store = await AsyncStore.open()
        monkeypatch.setattr(_async_store, "settled", settled)
        names = [name for name in dir(AsyncStore) if not name.startswith("_") or name == "__aexit__"]
        checked = 0
        for name in names:
            method = getattr(store, name)
            if inspect.isasyncgenfunction(method):
                call = anext(method(*["c1"] if name == "iter_messages" else []))
            elif inspect.iscoroutinefunction(method):
                taken = [each for each in inspect.signature(method).parameters.values() if each.default is each.empty]
                call = method(*[None] * len(taken))
            else:
                continue
            checked += 1
            with pytest.raises(Settles):
                await call
        assert checked > 30

    asyncio.run(main())


def test_a_cancelled_call_can_be_made_again_with_its_key(place: Place):
    async def main() -> None:
        async with await AsyncStore.open(place) as store:
            for n in range(30):
                task = asyncio.create_task(store.add_message("c1", str(n), key=str(n)))
                await asyncio.sleep(0.0001 * (n % 4))
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                await store.add_message("c1", str(n), key=str(n))
            assert [message.content for message in await store.messages("c1")] == [str(n) for n in range(30)]

    asyncio.run(main())


def test_receipts_of_tasks_are_durable_and_tell_one_order(place: Place):
    async def main() -> None:
        async with await AsyncStore.open(place) as store:
            receipts = await asyncio.gather(*(store.add_message("c1", str(n), id=str(n)) for n in range(40)))
            assert all(receipt.is_durable for receipt in receipts)
            assert sorted(receipt.seq for receipt in receipts) == list(range(1, 41))
            in_order = [receipt.id for receipt in sorted(receipts, key=lambda receipt: receipt.version)]
            assert [message.id for message in await store.messages("c1")] == in_order

    asyncio.run(main())


def test_the_event_loop_goes_on_while_calls_wait_for_the_device(place: Place):
    async def main() -> None:
        async with await AsyncStore.open(place) as store:
            text = "x" * 3_000_000
            add = asyncio.gather(*(store.add_message("c1", text) for _ in range(16)))
            ticks = 0
            while not add.done():
                ticks += 1
                await asyncio.sleep(0)
            assert ticks > 20

    asyncio.run(main())


def test_opening_takes_what_a_store_takes_and_says_so():
    of_store, of_async = inspect.signature(Store), inspect.signature(AsyncStore.open)
    assert of_async.parameters == of_store.parameters and "wait" in of_async.parameters

    class Own(AsyncStore):
        pass

    async def opened() -> None:
        with pytest.raises(TypeError, match="wiat"):
            await AsyncStore.open("never", wiat=1)  # type: ignore[call-arg]
        async with await Own.open(unique_ids="refuse") as store:
            assert type(store) is Own
            await store.add_message("c1", "Hi!", id="m1")
            with pytest.raises(AlreadyExists):
                await store.add_message("c1", "Ho!", id="m1")

    asyncio.run(opened())
