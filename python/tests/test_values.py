"""The values that the native part makes are those that Python's own reader makes of the same text."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from typing import Any

import pytest

from aral_store import AralStoreError, Store
from aral_store._core import parsed
from aral_store._json import decode, encode
from conftest import Place

ALL = (None, None, None, None, None, None, None, None, False)

PLAIN: list[Any] = [
    None, True, False, 0, -1, 10**17, -(10**17), 10**18, 10**100 + 7, -(2**63), 2**64, 0.0, -0.0, 0.1, 5e-324, 1e22, 1.5e300,
    float("nan"), float("inf"), -float("inf"), "", "a", "é", "😀" * 9, '"', "\\", "\b\f\n\r\t\0\x1f\x7f", "\ud83d", "\udc00x",
    "x" * 24, "x" * 25, "ü" * 12, "\\u0041", [], {}, [[]], {"": {}}, {"a": 1, "b": [None, {"c": "d"}]},
]  # fmt: skip


def told(value: Any) -> str:
    """A value with its kinds and its order."""
    return repr(value)


def some(moments: random.Random, depth: int) -> Any:
    kind = moments.randrange(8)
    if kind == 0 and depth:
        return [some(moments, depth - 1) for _ in range(moments.randrange(4))]
    if kind < 3 and depth:
        keys = ["role", "content", "é", "", "\ud800", '"\\', "text", "a longer name than is kept", "type", "data"]
        return {moments.choice(keys): some(moments, depth - 1) for _ in range(moments.randrange(8))}
    if kind == 3:
        return moments.choice([moments.randrange(-(10**20), 10**20), moments.uniform(-1e3, 1e3), moments.random() * 1e-300])
    if kind == 4:
        return "".join(moments.choice("ab\"\\\n\0é😀\ud83d\ude00") for _ in range(moments.randrange(30)))
    return moments.choice(PLAIN)


def test_metadata_are_what_python_reads(place: Place):
    moments = random.Random(7)
    objects = [{"value": value} for value in PLAIN] + [{"it": some(moments, 5)} for _ in range(400)]
    deep: Any = {}
    for _ in range(100):
        deep = {"deeper": [deep]}
    objects.append(deep)
    with Store(place, sync="os") as store:
        store.batch([{"type": "add_message", "conversation_id": "c1", "content": "", "metadata": each} for each in objects])
        ids, roles, contents, arrays = store._core.columns("c1", ALL)
        texts = json.loads(store._core.messages("c1", ALL))
        expected = [json.loads(json.dumps(each)) for each in objects]
        assert [told(each["metadata"]) for each in texts] == [told(each) for each in expected]
        assert [told(each) for array in arrays for each in decode(array)] == [told(each) for each in expected]
        assert [told(decode(encode(each))) for each in objects] == [told(each) for each in expected]
        made = [parsed(text) for text in (each["metadata"] and encode(each["metadata"]) for each in texts) if text]
        left = sum(each is None for each in made)
        assert 0 < left < len(made), "some are left to Python's reader"
        assert ids == [each["id"] for each in texts] and set(roles) == {"user"} and set(contents) == {""}


def test_items_are_what_python_puts_together(place: Place):
    pytest.importorskip("agents")
    from aral_store.openai_agents import _ITEM, AralSession, _item

    moments = random.Random(11)
    texts = ["", "a", "two\nlines", "é😀", "half \ud83d", '{"deep": [1]}', "f(x)", ")"]
    items: list[Any] = [{}, {"role": 1, "content": "x"}, {"content": "x", "role": "user"}, {"role": "user", "content": None}]
    for _ in range(300):
        text = moments.choice(texts)
        items += [
            {"role": moments.choice(["user", "\ud800", "système"]), "content": text},
            {"type": "function_call", "call_id": text, "name": moments.choice(texts), "arguments": text},
            {"type": "function_call", "name": "f", "arguments": text, "role": "tool", "extra": some(moments, 3)},
            {"type": "function_call_output", "call_id": "c", "output": text},
            {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": moments.choice([None, "gAAA"])},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text, "annotations": []}]},
            {"role": "user", "content": [{"type": "input_text", "text": text}, {"type": "input_text", "text": "b"}]},
            {"type": "other", "value": some(moments, 4)},
        ]

    async def main() -> None:
        with Store(place, sync="os") as store:
            session = AralSession("s1", store)
            await session.add_items(items)
            assert [told(each) for each in await session.get_items()] == [told(each) for each in json.loads(json.dumps(items))]
            # What somebody has done to the metadata or the text meanwhile comes to the same as well.
            for message in store.messages("s1")[::7]:
                kept = moments.choice([
                    {_ITEM: 1}, {_ITEM: {}}, {_ITEM: {"data": {}, "text": ["a", "b"]}}, {_ITEM: {"data": {"role": "x"}, "text": []}},
                    {_ITEM: {"data": {"type": "function_call"}}}, {"mine": 1}, {_ITEM: {"data": {"a": "b"}, "text": [0]}, "mine": 1},
                    {_ITEM: {"data": {"type": "function_call", "name": "f"}}}, {_ITEM: {"data": [1], "text": [0]}},
                    {_ITEM: {"data": {"a": [1]}, "text": ["a", 3]}}, {_ITEM: {"data": {"a": [1], "role": "r"}, "text": ["a", -1]}},
                ])  # fmt: skip
                store.edit_message("s1", message.id, content=moments.choice(texts), metadata=kept)
            _, roles, contents, arrays = store._core.columns("s1", ALL)
            expected = list(map(_item, roles, contents, itertools.chain.from_iterable(map(json.loads, arrays))))
            assert [told(each) for each in await session.get_items()] == [told(each) for each in expected]

    asyncio.run(main())


def test_what_python_cannot_read_is_an_error_that_names_it(place: Place):
    pytest.importorskip("agents")
    from aral_store.openai_agents import AralSession

    with Store(place, sync="os") as store:
        store._append('{"type":"add_message","conversation_id":"s1","content":"x","metadata":{"n":' + "9" * 5000 + "}}")
        with pytest.raises(AralStoreError, match="this interpreter cannot read"):
            asyncio.run(AralSession("s1", store).get_items())
