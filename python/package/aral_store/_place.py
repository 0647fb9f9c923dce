"""Where a store is: in a directory, or in the database or the bucket that a URL names."""

from __future__ import annotations

import os
from pathlib import Path

from ._core import database
from ._errors import InvalidInput


def is_database(place: str | os.PathLike[str]) -> bool:
    """Whether a place is a database or a bucket and no directory. Raises for a URL of no engine here."""
    return database(place) is not None


def is_bucket(place: str | os.PathLike[str]) -> bool:
    """Whether a place is in a bucket."""
    return (database(place) or "").startswith(("s3://", "gs://", "az://"))


def absolute(place: str | os.PathLike[str]) -> str:
    """A place that stays what it is when the current directory becomes another one. Raises for a URL of no engine here."""
    text = os.fspath(place)
    if not is_database(text):
        return os.path.abspath(text)
    scheme, _, rest = text.partition(":")
    return f"{scheme}:{os.path.abspath(rest)}" if _is_file(scheme) else text


def shown(place: str | os.PathLike[str]) -> str:
    """A place as people may see it: of a URL that may hold a password, what tells where the database is."""
    text = os.fspath(place)
    try:
        return database(text) or text
    except InvalidInput:
        return "…"


def path_of(place: str) -> Path | None:
    """The directory or the file of an absolute place, for an error to name; a server has none."""
    if not is_database(place):
        return Path(place)
    scheme, _, rest = place.partition(":")
    return Path(rest) if _is_file(scheme) else None


def _is_file(scheme: str) -> bool:
    return scheme.lower() in ("sqlite", "sqlite3")
