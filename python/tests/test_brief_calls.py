"""A call that takes a moment is waited for without the event loop, and one that takes longer never is."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from aral_store import AsyncStore, Store, _async_store, _threads
from aral_store._async_store import settled
from aral_store._threads import Threads


def test_what_takes_a_moment_is_not_told_by_way_of_the_loop(monkeypatch: pytest.MonkeyPatch):
    for module in (_threads, _async_store):
        monkeypatch.setattr(module, "BRIEFLY", 60.0)

    async def main() -> None:
        told: list[Any] = []
        with monkeypatch.context() as patched:
            patched.setattr(asyncio.get_running_loop(), "call_soon_threadsafe", lambda *call: told.append(call))
            async with AsyncStore(Store()) as store:
                for threads in (store._threads, _threads.common()):
                    threads._crew.typical = 0.0
                for n in range(20):
                    await store.add_message("c1", str(n))
                assert [each.content for each in await store.messages("c1")] == [str(n) for n in range(20)]
        assert not told

    asyncio.run(main())


def test_the_loop_goes_on_while_a_call_takes_longer_than_those_before_it():
    async def main() -> None:
        threads, go = Threads(), threading.Event()
        for _ in range(50):
            assert await settled(threads, lambda: 7) == 7
        threads._crew.typical = 0.0
        loop = asyncio.get_running_loop()
        loop.call_later(0.05, go.set)
        # A loop that stood still would never set it.
        assert await settled(threads, lambda: go.wait(30))
        threads.end()

    asyncio.run(main())


def test_a_stream_of_brief_calls_leaves_the_other_tasks_their_turns(monkeypatch: pytest.MonkeyPatch):
    for module in (_threads, _async_store):
        monkeypatch.setattr(module, "BRIEFLY", 60.0)

    async def main() -> None:
        threads, turns = Threads(), 0
        threads._crew.typical = 0.0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        task = asyncio.create_task(other())
        for _ in range(2000):
            await settled(threads, lambda: None)
        task.cancel()
        assert 2 < turns < 2000
        threads.end()

    asyncio.run(main())


def test_nobody_waits_for_a_call_beside_others_or_while_it_is_not_known_to_be_brief():
    threads = Threads()
    assert not threads.is_brief
    threads._crew.typical = 0.0
    begun, go = threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        go.wait(30)

    threads.submit(call, lambda: None)
    assert begun.wait(30) and threads.is_brief
    threads.submit(lambda: None, lambda: None)
    assert not threads.is_brief
    go.set()
    threads.end()


def test_an_end_at_any_moment_of_the_wait_is_heard_of(monkeypatch: pytest.MonkeyPatch):
    async def main() -> None:
        threads = Threads()
        for n in range(3000):
            threads._crew.typical = 0.0
            monkeypatch.setattr(_async_store, "BRIEFLY", n % 60 * 1e-6)
            assert await asyncio.wait_for(settled(threads, lambda: n), 60) == n
        threads.end()

    asyncio.run(main())


def test_what_fails_in_a_moment_raises_what_it_failed_with(monkeypatch: pytest.MonkeyPatch):
    for module in (_threads, _async_store):
        monkeypatch.setattr(module, "BRIEFLY", 60.0)

    async def main() -> None:
        threads = Threads()
        threads._crew.typical = 0.0
        with pytest.raises(ZeroDivisionError):
            await settled(threads, lambda: 1 // 0)
        threads.end()

    asyncio.run(main())
