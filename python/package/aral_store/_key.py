"""The key of an encrypted store, as callers have it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from ._errors import InvalidInput, KeyRefused

#: 32 bytes, a text of 64 hexadecimal digits, or what gives one of them when it is called.
Key = bytes | str | Callable[[], bytes | str]
#: A file that has 32 bytes, or 64 hexadecimal digits with or without a line end behind them.
KeyFile = str | os.PathLike[str]

#: The longest file that is read as a key.
_MOST = 4096
_DIGITS = re.compile(rb"[0-9A-Fa-f]{64}(\r?\n)?")


def key_bytes(key: Key | None, key_file: KeyFile | None = None) -> bytes | None:
    """The bytes that the native module takes."""
    if key_file is not None:
        if key is not None:
            raise InvalidInput("give the key or the file that it is in, and not both")
        return _read(Path(key_file))
    given = key() if callable(key) else key
    if given is None and key is None:
        return None
    if isinstance(given, str):
        return given.encode("utf-8", "surrogatepass")
    if isinstance(given, (bytes, bytearray, memoryview)):
        return bytes(given)
    raise InvalidInput("a key is 32 bytes, a text of 64 hexadecimal digits, or a function that gives one of them")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(_MOST)
    except OSError as error:
        # Whoever looks for a store that is not there must not take this for it.
        raise KeyRefused(f"the file of the key cannot be read: {error}", path) from error
    if len(found) != 32 and not _DIGITS.fullmatch(found):
        raise InvalidInput(
            f"the file of a key has 64 hexadecimal digits, a line end behind them allowed, or 32 bytes and nothing behind "
            f"them, in {path}",
            path,
        )
    return found
