"""The key of an encrypted store, as callers have it."""

from __future__ import annotations

from collections.abc import Callable

from ._errors import InvalidInput

#: 32 bytes, a text of 64 hexadecimal digits, or what gives one of them when it is called.
Key = bytes | str | Callable[[], bytes | str]


def key_bytes(key: Key | None) -> bytes | None:
    """The bytes that the native module takes."""
    given = key() if callable(key) else key
    if given is None and key is None:
        return None
    if isinstance(given, str):
        return given.encode("utf-8", "surrogatepass")
    if isinstance(given, (bytes, bytearray, memoryview)):
        return bytes(given)
    raise InvalidInput("a key is 32 bytes, a text of 64 hexadecimal digits, or a function that gives one of them")
