"""Where a store is: in a directory, or in the database that a URL names."""

from __future__ import annotations

import os
from pathlib import Path

from ._core import is_database
from ._errors import InvalidInput


def absolute(place: str | os.PathLike[str]) -> str:
    """A place that stays what it is when the current directory becomes another one. Raises for a URL of no engine here."""
    text = os.fspath(place)
    if not is_database(text):
        return os.path.abspath(text)
    scheme, _, rest = text.partition(":")
    is_file = _is_file(scheme)
    return f"{scheme}:{os.path.abspath(rest)}" if is_file else text


def shown(place: str | os.PathLike[str]) -> str:
    """A place as people may see it: of a URL that may hold a password, only the scheme."""
    text = os.fspath(place)
    try:
        if not is_database(text):
            return text
    except InvalidInput:
        return "…"
    scheme = text.partition(":")[0]
    return text if _is_file(scheme) else f"{scheme}:…"


def path_of(place: str) -> Path:
    """The directory or the file of an absolute place, for an error to name."""
    return Path(place.partition(":")[2] if is_database(place) else place)


def _is_file(scheme: str) -> bool:
    return scheme.lower() in ("sqlite", "sqlite3")
