"""What is done to a store without opening it: it may be too damaged for that."""

from __future__ import annotations

import os

from . import _core
from ._errors import InvalidInput
from ._reports import RepairReport, VerifyReport, with_parts


def verify(path: str | os.PathLike[str]) -> VerifyReport:
    """Reads every byte of the store in a directory or a database, checks every checksum, and says what is wrong where.

    Writes nothing, and works beside a writer. Raises :class:`NotFound` if there is no such directory or database; damage is
    in the report.

    >>> import tempfile
    >>> from aral_store import Store
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     with Store(directory) as store:
    ...         receipt = store.add_message("c1", "Hello, world!")
    ...     verify(directory).is_sound
    True
    """
    return VerifyReport(**with_parts(_core.verify(path)))


def repair(
    path: str | os.PathLike[str], to: str | os.PathLike[str] | None = None, *, in_place: bool = False
) -> RepairReport:
    """Saves what can be saved of the store in one directory into a new store in another, and says what could not.

    Nothing is written to ``path``; ``to`` must not exist or be empty. With ``in_place``, instead of ``to``, the new store
    takes the place of the damaged one, which is kept beside it under the name in :attr:`RepairReport.kept`. When this
    returns, the new store is complete and durable. Raises :class:`Locked` while the damaged store is open for writing, and
    :class:`Unsupported` for a database.

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
    return RepairReport(**with_parts(_core.repair(path, to)))
