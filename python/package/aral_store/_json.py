"""Values as the JSON text in which they cross to the store.

Python's own ``json`` on both sides, or what gives the same sooner: NaN, integers of any length and lone surrogates cross unchanged. What is no JSON is
refused here, before anything has changed.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from typing import Any

from ._core import parsed
from ._errors import AralStoreError, InvalidInput


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    # A value of a module's class cannot be there before the module is.
    if (pydantic := sys.modules.get("pydantic")) is not None and isinstance(value, pydantic.BaseModel):
        return value.model_dump()
    dataclasses = sys.modules.get("dataclasses")
    if dataclasses is not None and dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"a value of type {type(value).__name__} has no place in JSON")


_string = json.encoder.encode_basestring_ascii
_encoder = json.JSONEncoder(separators=(",", ":"), default=_plain)


def encode(value: Any) -> str:
    """The JSON text of a value, ASCII only.

    Raises :class:`InvalidInput` for what is no JSON (bytes, sets, UUIDs ...), holds itself, or nests too deeply.
    """
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(str(error)) from error


def string(value: Any) -> str:
    """The same of what is a string, as a rule, in a fraction of the time."""
    return _string(value) if isinstance(value, str) else encode(value)


def encode_object(what: str, value: Any) -> str:
    """The JSON text of a mapping with string keys."""
    if not isinstance(value, dict):
        raise InvalidInput(f"{what} must be a dict, not {type(value).__name__}")
    # Most messages have none.
    return encode(value) if value else "{}"


def with_members(head: dict[str, Any], **members: str) -> str:
    """The JSON text of ``head``, with more members whose JSON text is given."""
    text = encode(head)[:-1]
    return text + "".join(f',"{name}":{value}' for name, value in members.items()) + "}"


class Undecodable(AralStoreError):
    """What is stored is whole, and more than this interpreter reads."""


def decode(text: str, whose: str = "what is stored") -> Any:
    """The value of a JSON text that the store has given."""
    found = parsed(text)
    if found is not None:
        return found
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        # The store holds longer integers and deeper nesting than this interpreter reads by default.
        raise Undecodable(f"this interpreter cannot read {whose}: {error}") from error
