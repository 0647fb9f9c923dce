"""Messages that are written piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ._json import encode_object
from ._receipts import Receipt

if TYPE_CHECKING:
    from . import _core

_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class OpenReply:
    """A message that was begun piece by piece and that nobody has finished."""

    conversation_id: str
    message_id: str
    begun_at: datetime
    bytes: int
    """How much text has come, in bytes of UTF-8."""

    @classmethod
    def _of(cls, conversation_id: str, message_id: str, begun_at: str, bytes: int) -> OpenReply:
        return cls(conversation_id, message_id, datetime.fromisoformat(begun_at), bytes)


class Reply:
    """A message that is being written. Comes from :meth:`Store.stream` and :meth:`Store.resume`.

    As a context manager it is finished at the end of the block, with what is in :attr:`metadata` by then; an exception leaves it partial, with
    all that was written.

    >>> from aral_store import Store
    >>> store = Store()
    >>> try:
    ...     with store.stream("c1", id="m1") as reply:
    ...         receipt = reply.append("So far")
    ...         raise ConnectionError
    ... except ConnectionError:
    ...     message = store.messages("c1")[0]
    >>> message.content, message.metadata
    ('So far', {'partial': True})
    """

    def __init__(self, reply: _core.Reply) -> None:
        self._reply = reply
        conversation_id, id, _ = reply.about()
        self.conversation_id = conversation_id
        self.id = id
        self.metadata: dict[str, Any] = {}
        """What goes into the message's metadata when it is finished."""

    def append(self, piece: str) -> Receipt | None:
        """Puts a piece of text behind what there is. ``None`` if it is gathered, empty, or half a character.

        Raises :class:`Conflict` if the message is finished, or somebody else has edited it or gone on with it, and :class:`NotFound` if it is gone.
        """
        return _receipt(self._reply.append(piece))

    def flush(self) -> Receipt | None:
        """Writes what is gathered; ``None`` if that is nothing."""
        return _receipt(self._reply.flush())

    def finish(self, metadata: dict[str, Any] | None = None) -> Receipt:
        """Ends it: the mark goes, and :attr:`metadata` and these come in, each in the place of the member with its name."""
        more = encode_object("metadata", self.metadata | (metadata or {}))
        return Receipt(*self._reply.finish(more))

    def abandon(self) -> Receipt:
        """Takes the message away again. Where history is kept, it can be brought back."""
        return Receipt(*self._reply.abandon())

    def close(self) -> None:
        """Writes what is gathered, and leaves it partial; a second call does nothing, nor one of a reply that has ended."""
        self._reply.leave()

    def __enter__(self) -> Reply:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and not self._has_ended():
            self.finish()
        else:
            _left_by(error, self.close)

    def _has_ended(self) -> bool:
        from ._errors import Closed

        try:
            self._reply.about()
        except Closed:
            return True
        return False


def _receipt(row: Any) -> Receipt | None:
    return None if row is None else Receipt(*row)


def _left_by(error: BaseException | None, leave: Callable[[], None]) -> None:
    """Leaves a reply; what ended it first is what is heard of."""
    from ._errors import AralStoreError

    try:
        leave()
    except AralStoreError:
        if error is None:
            raise


class _Runs(Protocol):
    async def _run(self, work: Callable[[], _R]) -> _R: ...


class AsyncReply:
    """A :class:`Reply` whose methods are awaited. Comes from :meth:`AsyncStore.stream` and :meth:`AsyncStore.resume`, and begins with ``async with``.

    >>> import asyncio
    >>> from aral_store import AsyncStore
    >>> async def main():
    ...     async with await AsyncStore.open() as store:
    ...         async with store.stream("c1") as reply:
    ...             await reply.append("Hello.")
    ...         return (await store.messages("c1"))[0].content
    >>> asyncio.run(main())
    'Hello.'
    """

    def __init__(self, store: _Runs, begin: Callable[[], Reply]) -> None:
        self._store = store
        self._begin = begin
        self._begun: Reply | None = None

    @property
    def _reply(self) -> Reply:
        if self._begun is None:
            raise RuntimeError("the reply begins with `async with`")
        return self._begun

    @property
    def id(self) -> str:
        """The message's id."""
        return self._reply.id

    @property
    def conversation_id(self) -> str:
        """The conversation's id."""
        return self._reply.conversation_id

    @property
    def metadata(self) -> dict[str, Any]:
        """What goes into the message's metadata when it is finished."""
        return self._reply.metadata

    async def append(self, piece: str) -> Receipt | None:
        """See :meth:`Reply.append`."""
        reply = self._reply
        return await self._store._run(lambda: reply.append(piece))

    async def flush(self) -> Receipt | None:
        """See :meth:`Reply.flush`."""
        return await self._store._run(self._reply.flush)

    async def finish(self, metadata: dict[str, Any] | None = None) -> Receipt:
        """See :meth:`Reply.finish`."""
        reply = self._reply
        return await self._store._run(lambda: reply.finish(metadata))

    async def abandon(self) -> Receipt:
        """See :meth:`Reply.abandon`."""
        return await self._store._run(self._reply.abandon)

    async def close(self) -> None:
        """See :meth:`Reply.close`."""
        await self._store._run(self._reply.close)

    async def __aenter__(self) -> AsyncReply:
        self._begun = await self._store._run(self._begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        reply = self._reply
        await self._store._run(lambda: reply.__exit__(kind, error, trace))
