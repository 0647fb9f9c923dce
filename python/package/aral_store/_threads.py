"""Threads that calls wait for the device in, while an event loop goes on.

An executor of ``concurrent.futures`` makes a future of each call, with a lock and a condition, and counts its idle threads by a
semaphore: that takes longer than adding a message without a sync. Here a call is put into a queue, and that is all.
"""

from __future__ import annotations

import atexit
import os
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue

#: So many calls wait for the device at once; they share syncs, so more threads give more throughput up to here.
MOST = 16

_Call = Callable[[], None]


class _Crew:
    """The threads, which know this and not the :class:`Threads` whose end is theirs."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[_Call | None] = SimpleQueue()
        self.lock = threading.Lock()
        self.threads: list[threading.Thread] = []
        #: The calls that were put into the queue and have not ended.
        self.under_way = 0
        self.is_over = False

    def work(self) -> None:
        while (call := self.calls.get()) is not None:
            call()
            # What the call holds is not kept until the next one comes.
            del call
            with self.lock:
                self.under_way -= 1

    def end(self) -> None:
        """Lets the threads end once they have done what there is to do."""
        with self.lock:
            if not self.is_over:
                self.is_over = True
                for _ in self.threads:
                    self.calls.put(None)


_crews: weakref.WeakSet[_Crew] = weakref.WeakSet()


class Threads:
    """Up to :data:`MOST` threads, each begun when a call finds none that is idle."""

    def __init__(self) -> None:
        self._crew = _Crew()
        _crews.add(self._crew)
        weakref.finalize(self, self._crew.end)

    def submit(self, call: _Call) -> None:
        """Has a thread make the call, which must not raise."""
        crew = self._crew
        with crew.lock:
            if crew.is_over:
                raise RuntimeError("the threads have ended")
            crew.under_way += 1
            if crew.under_way > len(crew.threads) < MOST:
                # A daemon, because one that waits for calls would keep the interpreter from ending.
                thread = threading.Thread(target=crew.work, name=f"aral-store_{len(crew.threads)}", daemon=True)
                crew.threads.append(thread)
                thread.start()
            crew.calls.put(call)

    def end(self) -> None:
        """Takes no more calls. Those that were taken are made."""
        self._crew.end()


def _end_all() -> None:
    """At the end of the program: what has begun is waited for, as an executor does."""
    for crew in list(_crews):
        crew.end()
        for thread in crew.threads:
            thread.join()


atexit.register(_end_all)

_common = Threads()


def common() -> Threads:
    """The threads of all stores that have none of their own."""
    return _common


def _after_fork() -> None:
    """A process that is forked off has none of its parent's threads."""
    global _common
    _crews.clear()
    _common = Threads()


os.register_at_fork(after_in_child=_after_fork)
