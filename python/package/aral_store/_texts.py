"""An item of a framework as a message: its texts are the message's content, and nowhere else.

What a person can read of an item stands in the content; the metadata keep the rest, and where in it the texts belong. So
an item is put together from what the message holds now: who edits the content has edited the item, and no copy of the
old text is left beside it. A text that stands in an item several times is kept once as well.

The metadata keep no checksum of the text, by which somebody could find out what a removed one was, but its length alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

#: Whose strings are read by people or models, wherever in an item they stand.
_READ = frozenset(
    "arguments code commands command content diff error input logs output query queries reasoning reasoning_content "
    "refusal stderr stdout summary text thinking transcript".split()
)

#: What is looked into for such strings.
_INSIDE = frozenset("action additional_kwargs audio content operation output outputs results summary".split())

#: Where no copy is looked for: names and kinds, which are the same words by chance, and what a tool is called with.
_NAMES = frozenset(
    "args call_id function_call id input invalid_tool_calls model model_name model_provider name object role status "
    "tool_call_id tool_calls type".split()
)

#: What repeats a text in pieces, however short they are.
_PIECES = frozenset({"token", "parsed"})

#: A shorter string stands in a text by chance, and a longer one is a copy.
_COPY = 16

_Path = tuple[str | int, ...]
_Place = tuple[_Path, str]


def taken_apart(item: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The text of an item, and the rest of it, which :func:`put_together` makes an item of again. The item is used up."""
    texts = list(_texts(item, (), False))
    rows: list[list[Any]] = []
    end = 0
    for path, text in texts:
        # Between two texts there is a line's end.
        start = end + 1 if text and end else end
        end = start + len(text)
        rows.append([start, end, *path])
        _put(item, path, None)
    content = "\n".join(text for _, text in texts if text)
    copies = list(_copies(item, content, {text for _, text in texts})) if content else []
    for _, _, *place in copies:
        _put(item, place, None)
    if len(rows) == 1 and rows[0][-1] != "arguments" and not copies and not _belongings(item, rows[0][2:]):
        return content, {"data": item, "text": rows[0][2:]}
    kept = {"data": item, "texts": rows, "length": len(content)}
    return content, kept | ({"copies": copies} if copies else {})


def put_together(kept: Any, content: str) -> dict[str, Any] | None:
    """The item of which this was kept, with the text that the message has now; ``None`` if it has no place for it.

    If that is another text than the item came with, all of it goes where the item's first text was, and whatever else
    told of the old one is left out. What was kept is used up.
    """
    try:
        item: dict[str, Any] = kept["data"]
        place = kept.get("text")
        if place is not None:
            _put(item, place, content)
            return item
        rows, copies = kept["texts"], kept.get("copies", [])
        if kept["length"] == len(content) and _joins(rows, content):
            for start, end, *place in rows:
                _put(item, place, content[start:end])
            for start, end, *place in copies:
                text = content[start:end]
                _put(item, place, list(text.encode()) if place[-1] == "bytes" else text)
            return item
        if not rows:
            # A picture, or the like, in the place of which there is a text now.
            for name in ("content", "output"):
                if isinstance(item.get(name), list):
                    return item | {name: content}
            return None
        _replace(item, rows[0][2:], [row[2:] for row in rows[1:] + copies], content)
        return item
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        # Somebody has changed the metadata so that they are no longer ours.
        return None


def _replace(item: dict[str, Any], first: list[Any], others: list[list[Any]], text: str) -> None:
    _put(item, first, as_arguments(text) if first[-1] == "arguments" else text)
    belongings = _belongings(item, first)
    gone: set[_Path] = set()
    for place in others:
        # A part of a list that was nothing but a text or about one goes; elsewhere the name stays, without a text.
        part = place[: 1 + max((at for at, step in enumerate(place) if isinstance(step, int)), default=-1)]
        if not part or part == first[: len(part)]:
            _put(item, place, "")
        else:
            gone.add(tuple(part))
    # The innermost first, and from behind, so that the places of the others stay.
    for path in sorted(gone, key=lambda path: (len(path), path[-1]), reverse=True):
        del _holder(item, path)[path[-1]]
    for holder, name in belongings:
        if name == "encrypted_content":
            del holder[name]
        else:
            holder[name] = []


def as_arguments(text: str) -> str:
    """What a tool is called with: models and tools expect a JSON object there, whatever somebody has written."""
    try:
        is_object = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        is_object = False
    return text if is_object else json.dumps({"content": text})


def _texts(value: Any, path: _Path, is_read: bool) -> Iterator[_Place]:
    if isinstance(value, str):
        if is_read:
            yield path, value
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _texts(each, (*path, at), is_read)
    elif isinstance(value, dict):
        for name, each in value.items():
            if isinstance(each, str) or name in _INSIDE or (name in _READ and _are_strings(each)):
                yield from _texts(each, (*path, name), name in _READ)


def _are_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _copies(value: Any, content: str, texts: set[str], path: _Path = (), in_pieces: bool = False) -> Iterator[list[Any]]:
    """The places of strings that repeat the content or a part of it, each with the part's beginning and end."""
    if isinstance(value, str):
        is_copy = in_pieces or (value in texts and len(value) > 3) or len(value) >= _COPY
        at = content.find(value) if value and is_copy else -1
        if at >= 0:
            yield [at, at + len(value), *path]
    elif isinstance(value, list):
        for at, each in enumerate(value):
            yield from _copies(each, content, texts, (*path, at), in_pieces)
    elif isinstance(value, dict):
        token = value.get("token")
        for name, each in value.items():
            if name == "bytes" and isinstance(token, str) and _spells(each, token):
                for start, end, *_ in _copies(token, content, texts, (), True):
                    yield [start, end, *path, name]
            elif name not in _NAMES:
                yield from _copies(each, content, texts, (*path, name), in_pieces or name in _PIECES)


def _spells(bytes_: Any, token: str) -> bool:
    try:
        return isinstance(bytes_, list) and bytes_ == list(token.encode())
    except UnicodeEncodeError:
        return False


def _belongings(item: dict[str, Any], path: Any) -> list[tuple[dict[str, Any], str]]:
    """What would tell of the old text beside a new one: where it quotes, how likely it was, the same sealed."""
    found = [(_holder(item, path), name) for name in ("annotations", "logprobs")] + [(item, "encrypted_content")]
    return [(holder, name) for holder, name in found if isinstance(holder, dict) and holder.get(name)]


def _joins(rows: list[list[Any]], content: str) -> bool:
    """Whether between the texts there are still the line's ends, so that all of the content has its place."""
    ends = [row[1] for row in rows if row[0] < row[1]]
    return all(content[end] == "\n" for end in ends[:-1])


def _holder(item: Any, path: Any) -> Any:
    for step in path[:-1]:
        item = item[step]
    return item


def _put(item: dict[str, Any], path: Any, value: Any) -> None:
    _holder(item, path)[path[-1]] = value


def object_of(text: str) -> dict[str, Any]:
    """What a tool is called with, or answers: an object, whatever somebody has written there."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"content": text}
