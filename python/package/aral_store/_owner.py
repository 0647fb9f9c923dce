"""The store of an adapter: one that was handed over, or one of its own at a path or URL."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from types import TracebackType
from typing import Self, TypeVar

from ._async_store import AsyncStore, run_on, settled, store_of
from ._errors import Closed, InvalidInput
from ._key import Key, KeyFile
from ._store import Store

_R = TypeVar("_R")


class Owner:
    """A store that was handed over, or one of its own at a path or URL."""

    def __init__(
        self, store: Store | AsyncStore | str | PathLike[str], key: Key | None = None, key_file: KeyFile | None = None
    ) -> None:
        self._is_own = isinstance(store, (str, PathLike))
        self._owner: Store | AsyncStore
        if isinstance(store, (str, PathLike)):
            self._owner = Store(store, key=key, key_file=key_file)
        else:
            self._owner = store
        self.store = store_of(self._owner)
        if not self._is_own and (key is not None or key_file is not None):
            raise InvalidInput("a key goes with the path of a store; one that is open has been opened with its own")

    async def run(self, work: Callable[[], _R]) -> _R:
        """Does something while the event loop goes on. It has settled when it raises ``CancelledError``."""
        return await run_on(self._owner, work)

    def close(self) -> None:
        """Closes the store, if it was opened here."""
        if self._is_own:
            self.store.close()


class Owning:
    """What does its work on an :class:`Owner`'s store, and gives it up at the end of an ``async with``."""

    __slots__ = ()
    _owner: Owner

    async def _run(self, work: Callable[[], _R]) -> _R:
        if self._owner.store.is_closed:
            raise Closed("the store was closed")
        return await self._owner.run(work)

    async def close(self) -> None:
        """Closes the store, if this has opened it."""
        await settled(None, self._owner.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class OwningBoth:
    """The same for what is used with an event loop and without one."""

    __slots__ = ()
    _owner: Owner

    def close(self) -> None:
        """Closes the store, if this has opened it."""
        self._owner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await settled(None, self.close)
