"""What would not come back as it was given, and the refusal that names it.

Frameworks make JSON of whatever their objects hold, and some of it comes back as something else: a tuple as a list, a
model of one's own as a dict, a number that is none as ``None``. An adapter makes the object again before it stores it, and
refuses it if it is another.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from ._errors import InvalidInput


def check_comes_back(what: str, given: Any, found: Any, ignored: frozenset[str] = frozenset()) -> None:
    """Raises :class:`InvalidInput`, with the place and the type, unless both are the same, fields of these names aside."""
    difference = _difference(given, found, what, ignored)
    if difference is not None:
        place, value = difference
        raise InvalidInput(
            f"{place} is a {type(value).__name__} that would not come back from the store as it is: "
            "give it in the form of JSON (strings, numbers, true, false, null, lists, and dicts with strings as keys)"
        )


def comes_back(given: Any, found: Any, ignored: frozenset[str] = frozenset()) -> bool:
    """Whether both are the same, fields of these names aside."""
    return _difference(given, found, "", ignored) is None


def _difference(given: Any, found: Any, place: str, ignored: frozenset[str]) -> tuple[str, Any] | None:
    """The first place at which they differ, and what was given there."""
    if isinstance(given, BaseModel) or hasattr(type(given), "to_dict"):
        # A class of one's own that adds no field has nothing to lose.
        if not isinstance(given, type(found)) or not _fields(given).keys() <= _fields(found).keys():
            return place, given
        return _between(_fields(given), _fields(found), place, ".{}", ignored)
    if isinstance(given, dict):
        return _between(given, found, place, "[{!r}]", ignored) if isinstance(found, dict) else (place, given)
    if isinstance(given, (list, tuple)):
        if not isinstance(found, type(given)) or len(given) != len(found):
            return place, given
        for at, each in enumerate(given):
            difference = _difference(each, found[at], f"{place}[{at}]", ignored)
            if difference is not None:
                return difference
        return None
    is_same = given is found or (isinstance(found, type(given)) and bool(given == found)) or _is_number(given, found)
    return None if is_same else (place, given)


def _fields(value: Any) -> dict[str, Any]:
    fields: dict[str, Any] = vars(value)
    return fields | (value.__pydantic_extra__ or {}) if isinstance(value, BaseModel) else fields


def _between(
    given: dict[Any, Any], found: dict[Any, Any], place: str, form: str, ignored: frozenset[str]
) -> tuple[str, Any] | None:
    for name, value in given.items():
        if name in ignored:
            continue
        at = place + form.format(name)
        if name not in found:
            return at, value if isinstance(name, str) else name
        difference = _difference(value, found[name], at, ignored)
        if difference is not None:
            return difference
    return None if given.keys() | ignored >= found.keys() else (place, given)


def _is_number(given: Any, found: Any) -> bool:
    """Whether both are the same number. A model's field of one kind may have been given the other."""
    numbers = (int, float)
    return type(given) in numbers and type(found) in numbers and bool(given == found or (given != given and found != found))
