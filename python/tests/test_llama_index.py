"""The chat store for LlamaIndex, on llama-index-core itself, beside its own store."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("llama_index.core", reason="the extra llama-index is not installed")

from llama_index.core.base.llms.types import (  # noqa: E402
    CachePoint,
    CacheControl,
    CitableBlock,
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from llama_index.core.memory import Memory  # noqa: E402
from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus  # noqa: E402
from llama_index.core.storage.chat_store.sql import SQLAlchemyChatStore  # noqa: E402
from pydantic import BaseModel  # noqa: E402

from aral_store import AsyncStore, Closed, InvalidInput, Store  # noqa: E402
from aral_store.llama_index import AralChatStore  # noqa: E402
from conftest import KINDS, Place, place_in  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")

ACTIVE, ARCHIVED = MessageStatus.ACTIVE, MessageStatus.ARCHIVED


@pytest.fixture(params=["llama index", "memory", *KINDS])
def chats(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "llama index":
        # What its own store does as well is a law of LlamaIndex's.
        yield SQLAlchemyChatStore("chats", f"sqlite+aiosqlite:///{tmp_path}/own.db")
        return
    made = AralChatStore(Store() if request.param == "memory" else place_in(request.param, tmp_path))
    yield made
    asyncio.run(made.close())


@pytest.fixture
def ours(place: Place) -> Any:
    made = AralChatStore(place)
    yield made
    asyncio.run(made.close())


def said(text: str, role: str = "user") -> ChatMessage:
    return ChatMessage(role=MessageRole(role), content=text)


def texts(messages: list[ChatMessage]) -> list[str | None]:
    return [message.content for message in messages]


def whole_messages() -> list[ChatMessage]:
    blocks = [
        ThinkingBlock(content="because"),
        TextBlock(text="Let us see. \ud83d"),
        ImageBlock(image=b"\x89PNG\xff", image_mimetype="image/png"),
        ImageBlock(url="https://example.org/a.png"),
        DocumentBlock(data=b"%PDF", title="t", document_mimetype="application/pdf"),
        CitableBlock(title="t", source="s", content=[TextBlock(text="cited")]),
        CachePoint(cache_control=CacheControl(type="ephemeral")),
        ToolCallBlock(tool_call_id="c1", tool_name="plan", tool_kwargs={"day": 1, "at": [None, {"é": 0.1}]}),
        ToolCallBlock(tool_name="plan", tool_kwargs='{"day": 2'),
    ]
    return [
        said("Be kind.", "system"),
        said("What shall we do?"),
        ChatMessage(role="assistant", blocks=blocks, additional_kwargs={"k": {"deep": [1, None]}, "t": "Let us see. \ud83d"}),
        ChatMessage(role="tool", content="planned", additional_kwargs={"tool_call_id": "c1", "name": "plan"}),
        ChatMessage(role="model"),
        said(""),
    ]


Law = Callable[[AsyncDBChatStore], Coroutine[Any, Any, None]]


async def gives_every_message_back_as_it_was(chats: AsyncDBChatStore) -> None:
    assert await chats.get_messages("k") == [] and await chats.count_messages("k") == 0
    given = whole_messages()
    if isinstance(chats, SQLAlchemyChatStore):
        # It stores no lone surrogate.
        given[2:3] = []
    await chats.add_message("k", given[0])
    await chats.add_messages("k", given[1:])
    assert await chats.get_messages("k") == given and await chats.get_messages("other") == []


async def knows_what_is_archived(chats: AsyncDBChatStore) -> None:
    await chats.add_messages("k", [said(str(n)) for n in range(6)])
    await chats.add_message("k", said("late", "assistant"), ARCHIVED)
    assert await chats.archive_oldest_messages("k", 0) == []
    assert texts(await chats.archive_oldest_messages("k", 2)) == ["0", "1"]
    assert texts(await chats.get_messages("k")) == ["2", "3", "4", "5"]
    assert texts(await chats.get_messages("k", status=ARCHIVED)) == ["0", "1", "late"]
    assert texts(await chats.get_messages("k", status=None)) == ["0", "1", "2", "3", "4", "5", "late"]
    assert [await chats.count_messages("k", status=each) for each in (ACTIVE, ARCHIVED, None)] == [4, 3, 7]
    assert texts(await chats.get_messages("k", limit=2, offset=1)) == ["3", "4"]
    assert texts(await chats.get_messages("k", status=None, limit=3)) == ["0", "1", "2"]
    assert texts(await chats.delete_oldest_messages("k", 1)) == ["2"], "what is archived is not the oldest"
    assert texts(await chats.archive_oldest_messages("k", 9)) == ["3", "4", "5"]
    assert await chats.delete_oldest_messages("k", 9) == [] and await chats.archive_oldest_messages("k", 1) == []
    assert await chats.count_messages("k", status=None) == 6
    await chats.add_message("k", said("new"))
    await chats.delete_messages("k", status=ARCHIVED)
    assert texts(await chats.get_messages("k", status=None)) == ["new"]


async def sets_and_deletes_all_of_a_key(chats: AsyncDBChatStore) -> None:
    await chats.add_messages("a", [said("1"), said("2")])
    await chats.add_message("b", said("b"))
    await chats.archive_oldest_messages("a", 1)
    await chats.set_messages("a", [said("3"), said("4"), said("5")])
    assert texts(await chats.get_messages("a", status=None)) == ["3", "4", "5"]
    await chats.set_messages("a", [said("6")], ARCHIVED)
    assert await chats.get_messages("a") == [] and texts(await chats.get_messages("a", ARCHIVED)) == ["6"]
    assert sorted(await chats.get_keys()) == ["a", "b"]
    await chats.set_messages("a", [])
    assert await chats.get_keys() == ["b"]
    await chats.delete_messages("b")
    await chats.delete_messages("b")
    assert await chats.get_keys() == [] and await chats.delete_message("b", 7) is None


LAWS: list[Law] = [gives_every_message_back_as_it_was, knows_what_is_archived, sets_and_deletes_all_of_a_key]


async def given_up(own: AsyncDBChatStore) -> None:
    """Closes the connections of LlamaIndex's own store, which it has no method for."""
    if isinstance(own, SQLAlchemyChatStore) and own._async_engine is not None:
        await own._async_engine.dispose()


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_a_chat_store(chats: AsyncDBChatStore, law: Law):
    async def main() -> None:
        await law(chats)
        await given_up(chats)

    asyncio.run(main())


def test_a_message_is_deleted_by_its_place(ours: AralChatStore):
    async def main() -> None:
        await ours.add_messages("k", [said(str(n)) for n in range(3)])
        await ours.archive_oldest_messages("k", 1)
        deleted = await ours.delete_message("k", 1)
        assert deleted == said("1") and texts(await ours.get_messages("k", status=None)) == ["0", "2"]
        assert await ours.delete_message("k", 2) is None
        store = ours._owner.store
        store.add_action("llama-index:k", "mine", {"n": 1})
        store.set_title("llama-index:k", "Plans")
        await ours.set_messages("k", [said("x")])
        await ours.delete_messages("k")
        assert len(store.actions("llama-index:k")) == 1 and store["llama-index:k"].title == "Plans"
        assert await ours.get_keys() == []

    asyncio.run(main())


@pytest.mark.parametrize("key", ["", None, 7])
def test_a_key_that_is_none_and_a_number_that_is_none_are_refused(key: Any):
    async def main() -> None:
        chats = AralChatStore(Store())
        for call in (chats.get_messages(key), chats.add_message(key, said("x")), chats.set_messages(key, []), chats.delete_messages(key)):
            with pytest.raises(InvalidInput, match="a key is"):
                await call
        for number in (chats.get_messages("k", limit=-1), chats.archive_oldest_messages("k", -1), chats.delete_message("k", -1)):
            with pytest.raises(InvalidInput, match="must be from 0"):
                await number
        with pytest.raises(ValueError):
            await chats.add_message("k", said("x"), "lost")  # type: ignore[arg-type]

    asyncio.run(main())


class Plan(BaseModel):
    day: int
    at: tuple[int, ...] | None = None


class Loud(ChatMessage):
    volume: int = 1


@pytest.mark.parametrize(
    ("value", "name"),
    [((1, 2), "tuple"), ({1}, "set"), (b"x", "bytes"), (datetime(2026, 1, 1), "datetime"), ({1: "x"}, "int"), (object(), "object"), (Plan(day=1, at=(1,)), "tuple")],
)
def test_what_would_not_come_back_equal_is_refused_with_its_name(value: Any, name: str):
    async def main() -> None:
        chats = AralChatStore(Store())
        with pytest.raises(InvalidInput, match=name):
            await chats.add_messages("k", [said("x"), ChatMessage(content="x", additional_kwargs={"k": [{"deep": value}]})])
        if not isinstance(value, (Plan, bytes)):
            with pytest.raises(InvalidInput, match=name):
                await chats.set_messages("k", [ChatMessage(blocks=[ToolCallBlock(tool_name="plan", tool_kwargs={"k": value})])])
        with pytest.raises(InvalidInput, match="Loud"):
            await chats.add_message("k", Loud(content="x"))
        with pytest.raises(InvalidInput, match="messages of LlamaIndex"):
            await chats.add_message("k", {"role": "user"})  # type: ignore[arg-type]
        assert await chats.get_messages("k") == []
        await chats.add_message("k", ChatMessage(content="x", additional_kwargs={"calls": [Plan(day=1)]}))
        [found] = await chats.get_messages("k")
        assert found.additional_kwargs == {"calls": [{"day": 1, "at": None}]}, "as LlamaIndex itself stores it"

    asyncio.run(main())


def test_a_file_that_is_gone_hides_nothing(tmp_path: Path):
    async def main() -> None:
        chats = AralChatStore(Store())
        path = tmp_path / "picture.png"
        path.write_bytes(b"\x89PNG")
        given = [said("before"), ChatMessage(blocks=[TextBlock(text="Look"), ImageBlock(path=path, detail="low")]), said("after")]
        await chats.add_messages("k", given)
        assert await chats.get_messages("k") == given
        path.unlink()
        found = await chats.get_messages("k")
        assert texts(found) == ["before", "Look", "after"]
        block = found[1].blocks[1]
        assert isinstance(block, ImageBlock) and (block.path, block.detail) == (path, "low")

    asyncio.run(main())


def test_a_person_reads_and_edits_what_was_said(ours: AralChatStore):
    async def main() -> None:
        store, id = ours._owner.store, "llama-index:k"
        call = ToolCallBlock(tool_name="plan", tool_kwargs={"day": 1})
        secret = "a secret plan, not to be told"
        answer = ChatMessage(role="tool", content=secret, additional_kwargs={"copy": secret})
        await ours.add_messages("k", [said("What shall we do?"), ChatMessage(role="assistant", blocks=[call]), answer])
        await ours.archive_oldest_messages("k", 3)
        read = store.messages(id)
        assert [(each.role, each.content) for each in read] == [
            ("user", "What shall we do?"),
            ("assistant", '{"day": 1}'),
            ("tool", secret),
        ]
        store.edit_message(id, read[1].id, content="none")
        store.edit_message(id, read[2].id, content="[removed]")
        store.add_message(id, "I was here.", role="critic")
        store.add_message(id, "Not ours.", metadata={"llama_index": {"data": {"content": [7]}, "text": ["x"]}})
        found = await ours.get_messages("k", status=None)
        assert "secret" not in str([message.model_dump() for message in found])
        assert isinstance(found[1].blocks[0], ToolCallBlock) and found[1].blocks[0].tool_kwargs == {"content": "none"}
        assert [(message.role.value, message.content) for message in found[2:]] == [
            ("tool", "[removed]"),
            ("assistant", "I was here."),
            ("user", "Not ours."),
        ]

    asyncio.run(main())


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_a_call_that_raises_cancelled_error_has_settled(kind: str, which: int, tmp_path: Path):
    many = [said(f"{n}") for n in range(25)]

    async def main() -> None:
        outcomes = set()
        async with await AsyncStore.open(place_in(kind, tmp_path), sync="os") as store:
            chats = AralChatStore(store)
            for moment in range((200 if which < 2 else 60) if kind == "file" else 25):
                await chats.set_messages("k", [said("first"), said("second")])
                calls = [
                    lambda: chats.add_message("k", said("x")),
                    lambda: chats.add_messages("k", many),
                    lambda: chats.set_messages("k", many),
                    lambda: chats.archive_oldest_messages("k", 1),
                ]
                task = asyncio.ensure_future(calls[which]())
                for _ in range(moment % 4):
                    await asyncio.sleep(0)
                if moment > 10:
                    await asyncio.sleep(0.00002 * moment)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                # No waiting here: what was cancelled has happened, or never will.
                outcomes.add(await chats.count_messages("k"))
                await chats.delete_messages("k")
                await chats.add_message("k", said("kept"))
                assert texts(await chats.get_messages("k", status=None)) == ["kept"]
        assert outcomes == {2, (3, 27, 25, 1)[which]}, "it was cancelled always before it began, or always behind its end"

    asyncio.run(main())


def test_of_those_who_archive_at_once_each_gets_others(place: Place):
    async def main() -> None:
        async with AralChatStore(place) as chats:
            await chats.add_messages("k", [said(str(n)) for n in range(12)])
            calls = [chats.archive_oldest_messages("k", 2) for _ in range(2)]
            # From threads with loops of their own too.
            threads = [asyncio.to_thread(asyncio.run, chats.delete_oldest_messages("k", 2)) for _ in range(2)]
            adding = [chats.add_message("k", said("late")) for _ in range(2)]
            found = await asyncio.gather(*calls, *threads, *adding)
            taken = [text for each in found[:4] for text in texts(each or [])]
            assert sorted(map(str, taken)) == sorted(map(str, range(8)))
            assert texts(await chats.get_messages("k")) == ["8", "9", "10", "11", "late", "late"]
        with pytest.raises(Closed):
            await chats.get_messages("k")

    asyncio.run(main())


def test_a_memory_goes_on_after_a_restart_as_with_llama_indexs_own_store(place: Place, tmp_path: Path):
    async def turn(chats: AsyncDBChatStore, n: int) -> list[Any]:
        memory = Memory.from_defaults(session_id="s1", chat_store=chats, token_limit=60, token_flush_size=20, chat_history_token_ratio=0.5)
        await memory.aput(said(f"question {n} " + "word " * 8))
        await memory.aput_messages([said(f"answer {n} " + "word " * 8, "assistant")])
        given = [await memory.aget(), await memory.aget_all(status=None), await memory.aget_all(status=ARCHIVED)]
        if n == 5:
            await memory.areset()
            given.append(await memory.aget_all(status=None))
        return given

    async def main() -> None:
        own = SQLAlchemyChatStore("chats", f"sqlite+aiosqlite:///{tmp_path}/own.db")
        for n in range(6):
            async with AralChatStore(place) as chats:
                found = await turn(chats, n)
                assert found == await turn(own, n)
        assert found[2] and found[3] == []
        await given_up(own)

    asyncio.run(main())


def test_without_llama_index_the_import_says_what_to_install():
    program = """
        import sys
        sys.modules["llama_index.core"] = None
        try:
            import aral_store.llama_index
        except ImportError as error:
            assert "aral-store[llama-index]" in str(error)
        else:
            sys.exit("imported")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)
