"""The store of an adapter: one that was handed over, or one of its own at a path or URL."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from typing import TypeVar

from ._async_store import AsyncStore, run_on, store_of
from ._store import Store

_R = TypeVar("_R")


class Owner:
    """A store that was handed over, or one of its own at a path or URL."""

    def __init__(self, store: Store | AsyncStore | str | PathLike[str]) -> None:
        self._is_own = isinstance(store, (str, PathLike))
        self._owner: Store | AsyncStore = Store(store) if isinstance(store, (str, PathLike)) else store
        self.store = store_of(self._owner)

    async def run(self, work: Callable[[], _R]) -> _R:
        """Does something while the event loop goes on. It has settled when it raises ``CancelledError``."""
        return await run_on(self._owner, work)

    def close(self) -> None:
        """Closes the store, if it was opened here."""
        if self._is_own:
            self.store.close()
