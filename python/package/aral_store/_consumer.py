"""Named readers of a store's log, whose place in it outlives them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ._errors import check_count
from ._json import decode

if TYPE_CHECKING:
    from . import _core

_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    """How far a consumer has come.

    ``missed`` are the first and the last of the events that are gone and were not acknowledged; ``holder`` is who reads as it at the moment;
    ``error`` is why nobody can say how far it has come.
    """

    name: str
    acknowledged: int
    lag: int
    missed: tuple[int, int] | None
    holder: str | None
    error: str | None


class Consumer:
    """Reads the events of a store under a name: each at least once, in order, from behind what was acknowledged under that name.

    Comes from :meth:`Store.consumer`, and is closed as a file is, so that another one can read under the name.

    >>> from aral_store import Store
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory, Store(directory) as store:
    ...     receipt = store.add_message("c1", "Hello, world!")
    ...     with store.consumer("indexer") as consumer:
    ...         for event in consumer.next_batch():
    ...             print(event["seq"], event["content"])
    ...             consumer.acknowledge(event["seq"])
    ...     with store.consumer("indexer") as consumer:
    ...         consumer.next_batch()
    1 Hello, world!
    []
    """

    def __init__(self, consumer: _core.Consumer, name: str) -> None:
        self._consumer = consumer
        self.name = name

    def next_batch(self, most: int = 100) -> list[dict[str, Any]]:
        """The next events, at most so many, as :meth:`Store.follow` gives them; none if there are no more for now.

        Raises :class:`Missed` where events are gone that were not acknowledged, until :meth:`Store.reset_consumer` has it go on
        behind them.
        """
        check_count("most", most)
        return [decode(event) for event in self._consumer.next_batch(most)]

    def acknowledge(self, seq: int) -> None:
        """Says that all that was given up to this event is done with. When this returns, that is durable."""
        check_count("seq", seq)
        self._consumer.acknowledge(seq)

    @property
    def acknowledged(self) -> int:
        """Everything up to this event is acknowledged."""
        return self._consumer.acknowledged()

    @property
    def missed(self) -> tuple[int, int] | None:
        """The first and the last of the events that are gone, once it has come to any."""
        return self._consumer.missed()

    def close(self) -> None:
        """Lets another one read under the name; a second call does nothing."""
        self._consumer.close()

    def __enter__(self) -> Consumer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Runs(Protocol):
    async def _run(self, work: Callable[[], _R]) -> _R: ...


class AsyncConsumer:
    """A :class:`Consumer` whose methods are awaited. Comes from :meth:`AsyncStore.consumer`."""

    def __init__(self, store: _Runs, consumer: Consumer) -> None:
        self._store = store
        self._consumer = consumer
        self.name: str = consumer.name

    async def next_batch(self, most: int = 100) -> list[dict[str, Any]]:
        """See :meth:`Consumer.next_batch`."""
        return await self._store._run(lambda: self._consumer.next_batch(most))

    async def acknowledge(self, seq: int) -> None:
        """See :meth:`Consumer.acknowledge`."""
        await self._store._run(lambda: self._consumer.acknowledge(seq))

    async def close(self) -> None:
        """Lets another one read under the name; a second call does nothing."""
        await self._store._run(self._consumer.close)

    async def __aenter__(self) -> AsyncConsumer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
