"""Why something could not be done.

Every class is an :class:`AralStoreError`, and where Python has an obvious exception for it, that one too::

    >>> from aral_store import NotFound, Store
    >>> try:
    ...     Store()["nobody"]
    ... except KeyError as error:
    ...     isinstance(error, NotFound)
    True
"""

from __future__ import annotations

import errno
import os


class AralStoreError(Exception):
    """What every error of the store is.

    ``path`` and ``offset`` say where, if it happened in a file.
    """

    def __init__(self, message: str, path: os.PathLike[str] | None = None, offset: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.path = path
        self.offset = offset

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.message, self.path, self.offset)


class InvalidInput(AralStoreError, ValueError):
    """The call asks for something impossible: change the call."""


class Conflict(AralStoreError):
    """The conversation is not in the state that the call expects: read again, decide again."""


class AlreadyExists(AralStoreError, FileExistsError):
    """There is a conversation with this id: choose another id, or reset the one there is."""


class NotFound(AralStoreError, KeyError):
    """There is no such conversation, message, action, file or store."""


class Locked(AralStoreError, BlockingIOError):
    """Another process holds the store for writing: wait, or open it for reading."""


class ReadOnly(AralStoreError, PermissionError):
    """The store was opened for reading, or the file system is read-only."""


class UnsupportedFormat(AralStoreError):
    """Written by a newer version of this software: upgrade."""


class Corrupt(AralStoreError):
    """Bytes on disk are not what was written: see ``path``, run ``verify``, then the command ``repair``."""


class NoSpace(AralStoreError, OSError):
    """The disk or the quota is full: make room, then try again."""

    def __init__(self, message: str, path: os.PathLike[str] | None = None, offset: int | None = None) -> None:
        super().__init__(message, path, offset)
        self.errno: int = errno.ENOSPC


class OutOfMemory(AralStoreError, MemoryError):
    """The memory that it takes cannot be had: ask for less at once, or give the process more."""


class IoFailed(AralStoreError, OSError):
    """The operating system refused or failed."""


class Failed(AralStoreError, RuntimeError):
    """A write or a sync failed before, so that nothing more is written: close the store and open it again."""


class Forked(AralStoreError, RuntimeError):
    """A process uses a store of the one that it was forked off from: open the store in the process that uses it.

    A database that the parent had open at that moment cannot be opened in the child at all: open it after the fork, or start
    the process by ``spawn``.
    """

    @classmethod
    def here(cls, opened: int) -> Forked:
        """The error in this process, for a store that another process has opened."""
        return cls(
            f"process {opened} opened the store, and this is process {os.getpid()}, which was forked off; "
            "open the store in the process that uses it"
        )

    @classmethod
    def of_database(cls, opened: int) -> Forked:
        """The error for an opening in this process, of a database that another one had open when this was forked off."""
        return cls(
            f"process {opened} had the database open when this one, {os.getpid()}, was forked off, so that SQLite takes its "
            "locks for this one's: fork before the database is opened or after it is closed, or start the process by spawn"
        )


class Closed(AralStoreError, ValueError):
    """The store was closed; a ``ValueError``, as for a closed file."""


class Unsupported(AralStoreError, NotImplementedError):
    """This kind of store does not do that."""


class KeyRefused(AralStoreError, PermissionError):
    """The store is encrypted, and no key was given, or another one than its own: give its key."""


class Missed(AralStoreError, LookupError):
    """Events that a consumer has not read are gone: see which, make good for them, then put the consumer behind them."""


def check_count(name: str, count: int | None) -> None:
    """Refuses what cannot be a number of things; what is no number at all is a ``TypeError`` further on."""
    if isinstance(count, int) and not 0 <= count < 1 << 63:
        raise InvalidInput(f"{name} must be from 0 to 2^63 - 1, not {count}")
