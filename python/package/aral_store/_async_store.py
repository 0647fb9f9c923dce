"""The store for programs with an event loop."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, cast

from ._async_calls import AsyncCalls
from ._consumer import AsyncConsumer
from ._errors import Closed, Forked
from ._key import Key, KeyFile
from ._place import shown
from ._reply import AsyncReply
from ._store import COMPACT_ABOVE, Store, _events, _next_page
from ._threads import BRIEFLY, Threads, common

if TYPE_CHECKING:
    from ._models import Conversation, Message

_R = TypeVar("_R")


class AsyncStore(AsyncCalls):
    """A :class:`Store` whose methods are awaited; the event loop goes on while the store waits for the device.

    >>> async def main():
    ...     async with await AsyncStore.open() as store:
    ...         await store.add_message("c1", "Hello, world!")
    ...         return (await store.messages("c1", last=1))[0].content
    >>> asyncio.run(main())
    'Hello, world!'

    A call that is cancelled has settled when it raises ``CancelledError``: it has happened, or it never will. So it ends
    once its thread has, which a timeout around it waits for too; a retry with its ``key`` is harmless. Calls that are not
    awaited one after the other are carried out in any order.
    """

    def __init__(self, store: Store) -> None:
        self._store = checked_store(store, "a Store, or is opened with `await AsyncStore.open(…)`,")
        self._pid = os.getpid()
        self._threads = Threads()

    @classmethod
    async def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        sync: Literal["always", "os"] | float = "always",
        read_only: bool = False,
        compact_above: int | None = COMPACT_ABOVE,
        unique_ids: Literal["refuse", "existing"] | None = None,
        salvage: bool = False,
        wait: float = 0.0,
        keep: str | None = None,
        key: Key | None = None,
        key_file: KeyFile | None = None,
    ) -> Self:
        """Opens a store as :class:`Store` does, which also says what the parameters mean."""
        opened: list[Store] = []

        def work() -> Store:
            store = Store(
                path,
                sync=sync,
                read_only=read_only,
                compact_above=compact_above,
                unique_ids=unique_ids,
                salvage=salvage,
                wait=wait,
                keep=keep,
                key=key,
                key_file=key_file,
            )
            opened.append(store)
            return store

        try:
            return cls(await settled(None, work))
        except asyncio.CancelledError:
            # Nobody gets it, and nobody else could open the directory while it is held.
            for store in opened:
                store.close()
            raise

    async def _run(self, work: Callable[[], _R]) -> _R:
        if self._pid != os.getpid():
            raise Forked.here(self._pid)
        if self._store.is_closed:
            raise Closed("the store was closed")
        return await settled(self._threads, work)


    async def ids(self) -> list[str]:
        """The ids of the conversations that can be read, oldest first."""
        return [summary.id for summary in await self.summaries()]

    async def values(self) -> AsyncIterator[Conversation]:
        """The conversations, oldest first, each read when its turn comes."""
        for id in await self.ids():
            conversation = await self.get(id)
            if conversation is not None:
                yield conversation

    async def iter_messages(self, conversation_id: str, *, page: int = 200) -> AsyncIterator[Message]:
        """See :meth:`Store.iter_messages`."""
        newest: Message | None = None
        place = 0
        while True:
            work = functools.partial(_next_page, self._store, conversation_id, newest, place, page)
            found = await self._run(work)
            if not found:
                return
            for message in found:
                yield message
            newest, place = found[-1], place + len(found)

    async def events(self, start: int = 1) -> AsyncIterator[dict[str, Any]]:
        """See :meth:`Store.events`."""
        async for event in self.follow(start, wait=False):
            if event["type"] != "compacted":
                yield event

    async def follow(
        self, start: int = 1, *, wait: bool = True, every: float = 0.05
    ) -> AsyncIterator[dict[str, Any]]:
        """See :meth:`Store.follow`; the event loop goes on while there is nothing more."""
        follower = await self._run(functools.partial(self._store._follower, start))
        while not self.is_closed:
            found = await self._run(follower.next)
            if found is not None:
                for event in _events(found):
                    yield event
            elif wait:
                await asyncio.sleep(every)
            else:
                return

    async def consumer(
        self,
        name: str,
        *,
        begin: int | Literal["start", "now"] = "start",
        conversations: Iterable[str] = (),
        kinds: Iterable[str] = (),
    ) -> AsyncConsumer:
        """See :meth:`Store.consumer`."""
        begun = functools.partial(self._store.consumer, name, begin=begin, conversations=conversations, kinds=kinds)
        return AsyncConsumer(self, await self._run(begun))

    def stream(
        self,
        conversation_id: str,
        content: str = "",
        *,
        role: str = "assistant",
        id: str | None = None,
        metadata: dict[str, Any] | None = None,
        every: float = 0.0,
        bytes: int = 1,
    ) -> AsyncReply:
        """See :meth:`Store.stream`; what it gives is for ``async with``."""
        begin = functools.partial(
            self._store.stream, conversation_id, content, role=role, id=id, metadata=metadata, every=every, bytes=bytes
        )
        return AsyncReply(self, begin)

    def resume(self, conversation_id: str, message_id: str, *, every: float = 0.0, bytes: int = 1) -> AsyncReply:
        """See :meth:`Store.resume`; what it gives is for ``async with``."""
        begin = functools.partial(self._store.resume, conversation_id, message_id, every=every, bytes=bytes)
        return AsyncReply(self, begin)

    async def close(self) -> None:
        """Makes everything durable and gives the handle up; a second call does nothing."""
        try:
            await settled(None, self._store.close)
        finally:
            self._threads.end()

    @property
    def is_closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._store.is_closed

    def __repr__(self) -> str:
        return repr(self._store).replace("store in", "store for an event loop in", 1)

    async def __aenter__(self) -> AsyncStore:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def store_of(store: Store | AsyncStore) -> Store:
    """The store itself, of either kind."""
    return store._store if isinstance(store, AsyncStore) else checked_store(store, "a Store or an AsyncStore")


def checked_store(store: object, expected: str) -> Store:
    """A store that was handed over; a path, above all, is none."""
    if isinstance(store, Store):
        return store
    if isinstance(store, (str, os.PathLike)):
        raise TypeError(f"this takes {expected}, not the path of one: open it with Store({shown(store)!r})")
    raise TypeError(f"this takes {expected}, not {type(store).__name__}")


async def run_on(store: Store | AsyncStore, work: Callable[[], _R]) -> _R:
    """Does something that waits for the device while the event loop goes on: in the store's own threads, if it has any."""
    if isinstance(store, AsyncStore):
        return await store._run(work)
    return await settled(None, work)


class _Work(Generic[_R]):
    """Work for a thread, which can be called off until it has begun.

    It tells its event loop of its end by itself, and only if somebody waits there. The futures that an executor makes do so
    by way of a lock, a condition and several callbacks, which takes as long as reading a conversation's last messages.
    """

    def __init__(self, work: Callable[[], _R], loop: asyncio.AbstractEventLoop) -> None:
        self._work = work
        self._loop = loop
        self._may_begin = threading.Lock()
        #: Held until it has ended.
        self._ends = threading.Lock()
        self._ends.acquire()
        #: Guards what follows: of the end and of who waits for it, whichever comes second has to see the first.
        self._meets = threading.Lock()
        self._waiting: asyncio.Future[None] | None = None
        self._is_done = False
        self._value: _R | None = None
        self.error: BaseException | None = None

    def __call__(self) -> None:
        if not self._may_begin.acquire(blocking=False):
            return
        try:
            self._value = self._work()
        except BaseException as error:
            self.error = error

    def tell(self) -> None:
        """Tells whoever waits that it has ended, or was called off."""
        with self._meets:
            self._is_done = True
            waiting = self._waiting
        self._ends.release()
        if waiting is None:
            return
        try:
            self._loop.call_soon_threadsafe(_tell, waiting)
        except RuntimeError:
            # The loop was closed, so that nobody waits any more.
            pass

    def ends_within(self, seconds: float) -> bool:
        """Waits so long for its end, without the event loop; says whether it has ended."""
        return self._ends.acquire(timeout=seconds)

    def call_off(self) -> bool:
        """Whether it has not begun, and so never will."""
        return self._may_begin.acquire(blocking=False)

    async def end(self) -> None:
        """Waits until it has ended. Who is cancelled meanwhile may wait again."""
        waiting = self._loop.create_future()
        with self._meets:
            if self._is_done:
                return
            self._waiting = waiting
        await waiting

    def outcome(self) -> _R:
        """What came of it."""
        if self.error is not None:
            raise self.error
        return cast(_R, self._value)


def _tell(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)


async def settled(threads: Threads | None, work: Callable[[], _R]) -> _R:
    """Does something in a thread, and ends when it has ended, also if it is cancelled.

    A write whose thread goes on behind a ``CancelledError`` would be there later, after what the program does next. One that
    waits for a thread is called off at once; one that has begun is waited for, however often the caller is cancelled. It
    ends by itself: a thread waits for the device and for other threads of the store, never for the event loop.
    """
    job = _Work(work, asyncio.get_running_loop())
    threads = threads or common()
    threads.submit(job, job.tell)
    is_turn_due = threads.is_brief and job.ends_within(BRIEFLY) and threads.is_turn_due()
    cancelled: asyncio.CancelledError | None = None
    while True:
        try:
            if is_turn_due:
                is_turn_due = False
                await asyncio.sleep(0)
            await job.end()
            break
        except asyncio.CancelledError as error:
            if job.call_off():
                raise
            cancelled = error
    if cancelled is not None:
        raise cancelled from job.error
    return job.outcome()
