"""What is done to a store without opening it: it may be too damaged for that."""

from __future__ import annotations

import os

from . import _core
from ._errors import InvalidInput
from ._key import Key, KeyFile, key_bytes
from ._reports import RepairReport, VerifyReport, with_parts


def verify(
    path: str | os.PathLike[str], *, key: Key | None = None, key_file: KeyFile | None = None
) -> VerifyReport:
    """Reads every byte of the store in a directory or a database, checks every checksum, and says what is wrong where.

    Writes nothing, and works beside a writer. Raises :class:`NotFound` if there is no such directory or database; damage is
    in the report. Of an encrypted store without its key the checksums outside of what is sealed are checked.

    >>> import tempfile
    >>> from aral_store import Store
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     with Store(directory) as store:
    ...         receipt = store.add_message("c1", "Hello, world!")
    ...     verify(directory).is_sound
    True
    """
    return VerifyReport(**with_parts(_core.verify(path, key_bytes(key, key_file))))


def rekey(path: str | os.PathLike[str], *, key: Key, new: Key) -> None:
    """Gives the encrypted store in a directory, which nobody writes to, another key; nothing else is written.

    Raises :class:`KeyRefused` if ``key`` is not its key, and :class:`Locked` while it is open for writing.

    >>> import secrets, tempfile
    >>> from aral_store import Store
    >>> old, new = secrets.token_bytes(32), secrets.token_bytes(32)
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     with Store(directory, key=old) as store:
    ...         receipt = store.add_message("c1", "between us")
    ...     rekey(directory, key=old, new=new)
    ...     with Store(directory, key=new) as store:
    ...         len(store["c1"].messages)
    1
    """
    old_bytes, new_bytes = key_bytes(key), key_bytes(new)
    if old_bytes is None or new_bytes is None:
        raise InvalidInput("give the key that the store has, and the new one")
    _core.rekey(path, old_bytes, new_bytes)


def repair(
    path: str | os.PathLike[str],
    to: str | os.PathLike[str] | None = None,
    *,
    in_place: bool = False,
    key: Key | None = None,
    key_file: KeyFile | None = None,
) -> RepairReport:
    """Saves what can be saved of the store in one directory into a new store in another, and says what could not.

    Nothing is written to ``path``; ``to`` must not exist or be empty. With ``in_place``, instead of ``to``, the new store
    takes the place of the damaged one, which is kept beside it under the name in :attr:`RepairReport.kept`. When this
    returns, the new store is complete and durable; that of an encrypted store, which takes its ``key`` or ``key_file``, opens
    with the same one. Raises :class:`Locked` while the damaged store is open for writing, and :class:`KeyRefused` without its key.

    By its URL, a store in SQLite or PostgreSQL is repaired as well. With ``in_place`` its tables are rebuilt from its events, in one
    transaction, beside whoever has it open; what no event explains is kept in the table ``aral_quarantine``, and where events are
    damaged or missing nothing is changed and :class:`Corrupt` is raised. With ``to``, a directory or the URL of a store that is empty
    or not there, everything that can be read goes there, and nothing is written to ``path``. Raises :class:`Unsupported` for a bucket.

    >>> import tempfile
    >>> from aral_store import Store
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     with Store(directory + "/data") as store:
    ...         receipt = store.add_message("c1", "Hello, world!")
    ...     report = repair(directory + "/data", directory + "/repaired")
    >>> report.is_complete, report.messages
    (True, 1)
    """
    if (to is None) != in_place:
        raise InvalidInput("a repair is either to another directory or in place")
    return RepairReport(**with_parts(_core.repair(path, to, key_bytes(key, key_file))))
