"""Histories for Microsoft's Agent Framework, on the framework itself, beside its own providers."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import textwrap
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("agent_framework", reason="the extra agent-framework is not installed")

from agent_framework import (  # noqa: E402
    Agent,
    BaseChatClient,
    ChatResponse,
    ChatResponseUpdate,
    Content,
    FileHistoryProvider,
    HistoryProvider,
    Message,
    ResponseStream,
)
from agent_framework._sessions import filter_new_messages  # noqa: E402

from aral_store import AsyncStore, Closed, InvalidInput, Store  # noqa: E402
from aral_store.agent_framework import AralHistoryProvider, replayed  # noqa: E402
from conftest import KINDS, Place, cancelled_at, place_in  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=["framework", "memory", *KINDS])
def provider(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "framework":
        # What its own provider does as well is a law of the framework's.
        yield FileHistoryProvider(tmp_path / "own")
        return
    made = AralHistoryProvider(Store() if request.param == "memory" else place_in(request.param, tmp_path))
    yield made
    asyncio.run(made.close())


@pytest.fixture
def ours(place: Place) -> Any:
    made = AralHistoryProvider(place)
    yield made
    asyncio.run(made.close())


def text(of: list[Message]) -> list[str]:
    return [message.text for message in of]


def whole_messages() -> list[Message]:
    result = [Content.from_text("two texts,"), Content.from_text("and"), Content.from_data(b"\x00\xff", media_type="image/png")]
    return [
        Message("system", ["Be kind."]),
        Message("user", ["What shall we do?", Content.from_uri("https://example.org/a.png", media_type="image/png")], author_name="me"),
        Message(
            "assistant",
            [
                Content.from_text_reasoning(text="because", protected_data="sealed"),
                Content.from_text("Let us see.", annotations=[{"type": "citation", "title": "t", "url": "u"}]),  # type: ignore[typeddict-item]
                Content.from_function_call("c1", "plan", arguments={"day": 1, "at": [None, {"é": 0.1}]}),
                Content.from_function_call("c2", "plan", arguments='{"day": 2}'),
                Content.from_function_call("c3", "plan"),
            ],
            message_id="m1",
            additional_properties={"k": {"deep": [1, None]}, "Let us see.": "Let us see. And so on."},
        ),
        Message(
            "tool",
            [
                Content.from_function_result("c1", result="ok"),
                Content.from_function_result("c2", result=result),
                Content.from_function_result("c3"),
            ],
        ),
        Message("assistant", [Content.from_error(message="failed", error_code="E"), Content.from_usage({"input_token_count": 3})]),
        Message("narrator", []),
        Message("user", [""], message_id="x" * 3000),
    ]


Law = Callable[[HistoryProvider], Coroutine[Any, Any, None]]


async def gives_every_message_back_as_it_was(provider: HistoryProvider) -> None:
    assert await provider.get_messages("s1") == []
    await provider.save_messages("s1", [])
    given = whole_messages()
    await provider.save_messages("s1", given[:3])
    await provider.save_messages("s1", given[3:])
    found = await provider.get_messages("s1")
    assert [vars(message) for message in found] == [vars(message) for message in given]
    assert [vars(c)["items"] for c in found[3].contents] == [vars(c)["items"] for c in given[3].contents]
    assert await provider.get_messages("s2") == []


async def does_not_tell_what_was_inside_of_a_failure(provider: HistoryProvider) -> None:
    failed = Content.from_function_result("c1", result="it failed", exception="KeyError: 'secret'")
    await provider.save_messages("s1", [Message("tool", [failed], raw_representation=object())])
    [found] = await provider.get_messages("s1")
    assert found.contents[0].exception and "secret" not in found.contents[0].exception
    assert found.contents[0].result == "it failed" and found.raw_representation is None


async def adds_no_transcript_again(provider: HistoryProvider) -> None:
    turn = [Message("user", ["Hello"]), Message("assistant", ["Hello!"], message_id="m1")]
    await provider.save_messages("s1", turn)
    await provider.save_messages("s1", turn)
    await provider.save_messages("s1", [*turn, Message("user", ["And"])])
    await provider.save_messages("s1", [Message("user", ["And"])])
    assert text(await provider.get_messages("s1")) == ["Hello", "Hello!", "And", "And"], "a question may be asked twice"


LAWS: list[Law] = [gives_every_message_back_as_it_was, does_not_tell_what_was_inside_of_a_failure, adds_no_transcript_again]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_a_history(provider: HistoryProvider, law: Law):
    asyncio.run(law(provider))


def test_as_much_is_a_replay_as_to_the_framework():
    chance = random.Random(7)

    def some(most: int) -> list[Message]:
        return [
            Message(chance.choice(["user", "assistant"]), [chance.choice("ab")], message_id=chance.choice([None, None, "1", "2"]))
            for _ in range(chance.randrange(most))
        ]

    seen = set()
    for _ in range(6000):
        existing, incoming = some(5), some(4)
        known = replayed(existing, incoming)
        assert incoming[known:] == filter_new_messages(existing, incoming)
        # No more has to be looked at than was given.
        assert replayed(existing[len(existing) - min(len(existing), len(incoming)) :], incoming) == known
        seen.add(known)
    assert seen >= {0, 1, 2, 3}


def test_what_is_said_twice_is_kept_twice_where_nothing_is_replayed(ours: AralHistoryProvider):
    async def main() -> None:
        turn = [Message("user", ["ok"]), Message("assistant", ["Done."])]
        every = AralHistoryProvider(ours._owner.store, skip_replays=False)
        for provider, expected in ((ours, 2), (every, 6)):
            for _ in range(2):
                await provider.save_messages("s1", turn)
            assert len(await provider.get_messages("s1")) == expected

    asyncio.run(main())


@pytest.mark.parametrize("id", [None, "", 7])
def test_a_history_without_a_session_is_refused(id: Any):
    async def main() -> None:
        provider = AralHistoryProvider(Store())
        for call in (provider.get_messages(id), provider.save_messages(id, []), provider.clear(id)):
            with pytest.raises(InvalidInput, match="a history is of a session"):
                await call

    asyncio.run(main())


def test_a_source_of_its_own_has_a_history_of_its_own(ours: AralHistoryProvider):
    async def main() -> None:
        audit = AralHistoryProvider(AsyncStore(ours._owner.store), source_id="audit", load_messages=False)
        await ours.save_messages("s1", [Message("user", ["one"])])
        await audit.save_messages("s1", [Message("user", ["two"])])
        assert text(await ours.get_messages("s1")) == ["one"] and text(await audit.get_messages("s1")) == ["two"]
        await audit.close()
        await ours.clear("s1")
        assert await ours.get_messages("s1") == [] and text(await audit.get_messages("s1")) == ["two"]
        await ours.close()
        for call in (ours.get_messages("s1"), ours.save_messages("s1", []), ours.clear("s1")):
            with pytest.raises(Closed):
                await call

    asyncio.run(main())


def test_a_window_is_what_the_limit_says():
    async def main() -> None:
        store = Store()
        call, result = Content.from_function_call("c1", "plan", arguments="{}"), Content.from_function_result("c1", result="ok")
        turns = [Message("user", ["1"]), Message("assistant", ["1"]), Message("user", ["2"])]
        turns += [Message("assistant", [call]), Message("tool", [result]), Message("assistant", ["2"])]
        turns[1].additional_properties["_excluded"] = True
        await AralHistoryProvider(store).save_messages("s1", turns)
        for more, first in (({"limit": 2}, 4), ({"limit": 2, "whole_turns": True}, 2), ({"limit": 0}, 6), ({}, 0)):
            found = await AralHistoryProvider(store, **more).get_messages("s1")  # type: ignore[arg-type]
            assert [vars(each) for each in found] == [vars(each) for each in turns[first:]]
        assert len(await AralHistoryProvider(store, skip_excluded=True).get_messages("s1")) == 5
        with pytest.raises(InvalidInput, match="limit must be"):
            AralHistoryProvider(store, limit=-1)

    asyncio.run(main())


class Loud(Message):
    def __init__(self, volume: int) -> None:
        super().__init__("user", ["x"])
        self.volume = volume


@pytest.mark.parametrize(
    ("value", "name"),
    [((1, 2), "tuple"), ({1}, "set"), (b"x", "bytes"), (datetime(2026, 1, 1), "datetime"), ({1: "x"}, "int"), (object(), "object")],
)
def test_what_would_not_come_back_equal_is_refused_with_its_name(value: Any, name: str):
    async def main() -> None:
        provider = AralHistoryProvider(Store())
        for message in (
            Message("user", ["x"], additional_properties={"k": [{"deep": value}]}),
            Message("user", [Content.from_text("x", additional_properties={"k": value})]),
            Message("assistant", [Content.from_function_call("c1", "plan", arguments={"k": value})]),
            Message("assistant", [Content("image_generation_tool_result", outputs=value)]),
        ):
            with pytest.raises(InvalidInput, match=name):
                await provider.save_messages("s1", [Message("user", ["before"]), message])
        with pytest.raises(InvalidInput, match="Loud"):
            await provider.save_messages("s1", [Loud(3)])
        for other in ("text", None, {"role": "user"}):
            with pytest.raises(InvalidInput, match="messages of the framework"):
                await provider.save_messages("s1", [other])  # type: ignore[list-item]
        assert await provider.get_messages("s1") == []

    asyncio.run(main())


def test_a_person_reads_and_edits_what_was_said(ours: AralHistoryProvider):
    async def main() -> None:
        store = ours._owner.store
        secret = Content.from_function_result("c1", result="a secret plan, not to be told")
        call = Content.from_function_call("c1", "plan", arguments={"day": 1})
        messages = [Message("user", ["What shall we do?"]), Message("assistant", [call]), Message("tool", [secret])]
        await ours.save_messages("s1", messages)
        read = store.messages("s1")
        assert [(each.role, each.content) for each in read] == [
            ("user", "What shall we do?"),
            ("assistant", '{"day": 1}'),
            ("tool", "a secret plan, not to be told"),
        ]
        store.edit_message("s1", read[1].id, content="none")
        store.edit_message("s1", read[2].id, content="[removed]")
        store.add_message("s1", "I was here.", role="critic")
        store.add_message("s1", "Not ours.", metadata={"agent_framework": {"data": {"content": [7]}, "text": ["x"]}})
        found = await ours.get_messages("s1")
        assert "secret" not in str([message.to_dict() for message in found])
        assert found[1].contents[0].arguments == {"content": "none"}
        assert found[2].contents[0].result == "[removed]" and found[2].contents[0].items[0].text == "[removed]"  # type: ignore[index]
        assert [(message.role, message.text) for message in found[3:]] == [("critic", "I was here."), ("user", "Not ours.")]

    asyncio.run(main())


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_a_call_that_raises_cancelled_error_has_settled(kind: str, many: bool, tmp_path: Path):
    messages = [Message("user", [f"{n}"]) for n in range(30 if many else 1)]

    async def main() -> None:
        outcomes = set()
        async with await AsyncStore.open(place_in(kind, tmp_path), sync="os") as store:
            provider = AralHistoryProvider(store)
            for moment in range(200 if kind == "file" else 40):
                task = asyncio.ensure_future(provider.save_messages("s1", messages))
                await cancelled_at(moment, task)
                # No waiting here: what was cancelled has happened, or never will.
                outcomes.add(len(await provider.get_messages("s1")))
                await provider.clear("s1")
                await provider.save_messages("s1", [Message("user", ["kept"])])
                assert text(await provider.get_messages("s1")) == ["kept"]
                await provider.clear("s1")
        assert outcomes == {0, len(messages)}, "it was cancelled always before it began, or always behind its end"

    asyncio.run(main())


def test_of_those_who_add_at_once_nobody_is_lost(place: Place):
    async def main() -> None:
        async with AralHistoryProvider(place) as provider:
            lists = [[Message("user", [f"{n}/{m}"]) for m in range(10)] for n in range(4)]
            await asyncio.gather(*(provider.save_messages("s1", each) for each in lists))
            found = text(await provider.get_messages("s1"))
            blocks = {tuple(found[at : at + 10]) for at in range(0, len(found), 10)}
            assert blocks == {tuple(text(each)) for each in lists} and len(found) == 40
            # The same from several threads is there once, whoever comes first.
            calls = [asyncio.to_thread(asyncio.run, provider.save_messages("s2", lists[0])) for _ in range(4)]
            await asyncio.gather(*calls)
            assert text(await provider.get_messages("s2")) == text(lists[0])

    asyncio.run(main())


class Counting(BaseChatClient[Any]):
    """A model that says how much it was given, and calls a tool once."""

    def _inner_get_response(self, *, messages: Any, stream: bool, options: Any, **kwargs: Any) -> Any:
        answer = Message("assistant", [f"{len(messages)} messages"], message_id=f"m{len(messages)}")
        if stream:

            async def updates() -> Any:
                yield ChatResponseUpdate(contents=answer.contents, role="assistant", message_id=answer.message_id)

            return ResponseStream(updates(), finalizer=ChatResponse.from_updates)

        async def respond() -> ChatResponse[Any]:
            return ChatResponse(messages=[answer])

        return respond()


def test_an_agent_goes_on_after_a_restart_as_with_the_frameworks_own_provider(place: Place, tmp_path: Path):
    async def turn(provider: HistoryProvider, question: str, stream: bool) -> str:
        agent = Agent(client=Counting(), context_providers=[provider])
        session = agent.create_session(session_id="s1")
        if not stream:
            return (await agent.run(question, session=session)).text
        return (await agent.run(question, session=session, stream=True).get_final_response()).text

    async def main() -> None:
        own = FileHistoryProvider(tmp_path / "own")
        for n in range(3):
            async with AralHistoryProvider(place) as provider:
                answers = [await turn(each, f"question {n}", n == 1) for each in (provider, own)]
                assert answers == [f"{2 * n + 1} messages"] * 2
                found = [[m.to_dict() for m in await each.get_messages("s1")] for each in (provider, own)]
                assert found[0] == found[1] and len(found[0]) == 2 * n + 2

    asyncio.run(main())


def test_without_the_framework_the_import_says_what_to_install():
    program = """
        import sys
        sys.modules["agent_framework"] = None
        try:
            import aral_store.agent_framework
        except ImportError as error:
            assert "aral-store[agent-framework]" in str(error)
        else:
            sys.exit("imported")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)
