"""Threads that calls wait for the device in, while an event loop goes on.

An executor of ``concurrent.futures`` makes a future of each call, with a lock and a condition, and counts its idle threads by a
semaphore: that takes longer than adding a message without a sync. Here a call is put into a queue, and that is all.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable
from queue import SimpleQueue

#: So many calls wait for the device at once; they share syncs, so more threads give more throughput up to here.
MOST = 16

#: What takes no longer than this, in seconds, is waited for without the event loop. To be told of an end by way of the loop takes
#: as long, because two threads sleep and are woken then, one of them by a byte in a socket.
BRIEFLY = 60e-6

#: Whoever makes one such call after the other lets the loop's other tasks have their turn after so many seconds.
TURN = 500e-6

_Call = Callable[[], None]


class _Crew:
    """The threads, which know this and not the :class:`Threads` whose end is theirs."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[tuple[_Call, _Call] | None] = SimpleQueue()
        self.lock = threading.Lock()
        self.threads: list[threading.Thread] = []
        #: The calls that were put into the queue and have not ended.
        self.under_way = 0
        #: What a call takes lately, in seconds. At first it is not known, and nobody is kept waiting for it.
        self.typical = 2 * BRIEFLY
        self.is_over = False

    def work(self) -> None:
        while (calls := self.calls.get()) is not None:
            call, tell = calls
            begun = time.perf_counter()
            call()
            took = time.perf_counter() - begun
            with self.lock:
                self.under_way -= 1
                # One that was kept off its processor for long is forgotten soon.
                self.typical += (min(took, 4 * BRIEFLY) - self.typical) / 8
            # Order: who is told may put in the next call at once, which finds this thread idle then.
            tell()
            # What the call holds is not kept until the next one comes.
            del calls, call, tell

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
        #: When the event loop last had its turn behind a call that was waited for without it.
        self._turn = 0.0
        _crews.add(self._crew)
        weakref.finalize(self, self._crew.end)

    def submit(self, call: _Call, tell: _Call) -> None:
        """Has a thread make the call, and then tell of its end; neither may raise."""
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
            crew.calls.put((call, tell))

    @property
    def is_brief(self) -> bool:
        """Whether a call that was just put in will end so soon, to go by those before it, that the event loop may wait for it."""
        crew = self._crew
        return crew.under_way == 1 and crew.typical < BRIEFLY

    def is_turn_due(self) -> bool:
        """Whether the event loop is to have its turn now; the next one is counted from here then."""
        now = time.perf_counter()
        is_due = now - self._turn > TURN
        if is_due:
            self._turn = now
        return is_due

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
