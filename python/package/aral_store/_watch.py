"""Noticing changes of live objects, so that adding a message need not look for them.

Lists and dictionaries of live objects are subclasses of ``list`` and ``dict`` that say so when they are changed. What
cannot be noticed (a dataclass in a message's metadata, an object in two conversations) makes a conversation one that is
looked through each time: noticing saves time, and is never what a change depends on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

_T = TypeVar("_T")

#: What cannot be changed from within.
_PLAIN = (str, int, float, bool, type(None), datetime, bytes)


class Watch:
    """What has been noticed of one conversation.

    Every change leaves a new mark. Whoever takes the mark down before looking at the conversation knows later whether
    anything has changed since, whatever other threads and other stores have done meanwhile: nobody ever takes a mark back.
    """

    __slots__ = ("mark", "is_blind")

    def __init__(self) -> None:
        self.mark: object = object()
        self.is_blind: bool = False

    def is_quiet_since(self, mark: object) -> bool:
        """Whether nothing has changed since the mark for certain."""
        return self.mark is mark and not self.is_blind


class WatchedDict(dict[Any, Any]):
    """A dictionary that notices its changes."""

    __slots__ = ("_watch",)
    _watch: Watch

    def __reduce__(self) -> tuple[Any, ...]:
        # A copy is nobody's.
        return dict, (dict(self),)


class WatchedList(list[_T]):
    """A list that notices its changes."""

    __slots__ = ("_watch",)
    _watch: Watch

    def __reduce__(self) -> tuple[Any, ...]:
        return list, (list(self),)


def _noticing(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def noticing(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        finally:
            # Order: change, then say so. Reversed, a save in another thread could take the mark and miss the change.
            notice(self)

    return noticing


for _name in ("__setitem__", "__delitem__", "__ior__", "clear", "pop", "popitem", "setdefault", "update"):
    setattr(WatchedDict, _name, _noticing(getattr(dict, _name)))
for _name in (
    "__setitem__",
    "__delitem__",
    "__iadd__",
    "__imul__",
    "append",
    "clear",
    "extend",
    "insert",
    "pop",
    "remove",
    "reverse",
    "sort",
):
    setattr(WatchedList, _name, _noticing(getattr(list, _name)))


def notice(thing: Any) -> None:
    """A watched object has changed."""
    watch = getattr(thing, "_watch", None)
    if watch is not None:
        watch.mark = object()


def own(value: Any) -> Any:
    """The value with all its lists and dictionaries watched; itself if it has none, or if all of them are."""
    if type(value) in (WatchedDict, WatchedList):
        return value
    try:
        return _own(value)
    except RecursionError:
        # Deeper than this interpreter goes, or in itself. It is looked through each time.
        return value


def _own(value: Any) -> Any:
    if type(value) is dict:
        return WatchedDict({key: _own(each) for key, each in value.items()} if value else ())
    if type(value) is list:
        return WatchedList([_own(each) for each in value] if value else ())
    return value


def set_watch(thing: Any, watch: Watch) -> None:
    """Makes a watched object part of what is watched here."""
    before = getattr(thing, "_watch", None)
    if before is not None and before is not watch:
        # It is part of two, and can tell only one of them.
        before.is_blind = watch.is_blind = True
    object.__setattr__(thing, "_watch", watch)


def watch_value(value: Any, watch: Watch) -> None:
    """The same for a value and all that is in it; what is not watched there makes the watch blind."""
    try:
        _watch_value(value, watch)
    except RecursionError:
        watch.is_blind = True


def _watch_value(value: Any, watch: Watch) -> None:
    if isinstance(value, WatchedDict):
        set_watch(value, watch)
        for key, each in value.items():
            if type(each) in (dict, list):
                each = _own(each)
                dict.__setitem__(value, key, each)
            _watch_value(each, watch)
    elif isinstance(value, WatchedList):
        set_watch(value, watch)
        for at, each in enumerate(value):
            if type(each) in (dict, list):
                each = _own(each)
                list.__setitem__(value, at, each)
            _watch_value(each, watch)
    elif type(value) is tuple:
        for each in value:
            _watch_value(each, watch)
    elif type(value) not in _PLAIN:
        watch.is_blind = True


def plain(value: Any) -> Any:
    """A copy with lists and dictionaries of Python's own."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value
