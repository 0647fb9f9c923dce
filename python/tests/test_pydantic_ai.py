"""Message histories for Pydantic AI, on pydantic-ai itself."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic_ai", reason="the extra pydantic-ai is not installed")

from pydantic import BaseModel  # noqa: E402
from pydantic_ai import Agent, BinaryContent, ImageUrl, ModelRetry  # noqa: E402
from pydantic_ai.messages import (  # noqa: E402
    FilePart,
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelResponse,
    RetryFeedbackPart,
    RetryInfo,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel  # noqa: E402
from pydantic_ai.models.test import TestModel  # noqa: E402

from aral_store import AsyncStore, Closed, InvalidInput, Store  # noqa: E402
from aral_store.pydantic_ai import AralMessageHistory  # noqa: E402
from conftest import Place, cancelled_at, place_in  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(params=["store", "async store"])
def history(request: pytest.FixtureRequest, place: Place) -> Any:
    store = Store(place, sync="os")
    yield AralMessageHistory("s1", store if request.param == "store" else AsyncStore(store))
    store.close()


def asked(text: str) -> ModelRequest:
    return ModelRequest(parts=[UserPromptPart(text)], timestamp=datetime.now(timezone.utc), run_id="r1")


def json_of(messages: list[ModelMessage]) -> bytes:
    return ModelMessagesTypeAdapter.dump_json(messages)


def whole_messages() -> list[ModelMessage]:
    picture = BinaryContent(b"\x89PNG\xff", media_type="image/png")
    return [
        ModelRequest(parts=[SystemPromptPart("Be kind."), UserPromptPart("What shall we do?")], instructions="Be brief."),
        ModelRequest(parts=[UserPromptPart(["Look", picture, ImageUrl("https://example.org/a.png"), "here"])], metadata={"k": [1, None]}),
        ModelResponse(
            parts=[
                ThinkingPart("because", signature="sealed", provider_name="p"),
                TextPart("Let us see."),
                ToolCallPart("plan", {"day": 1, "at": [None, {"é": 0.1}]}, tool_call_id="c1"),
                ToolCallPart("plan", '{"day": 2}', tool_call_id="c2"),
                ToolCallPart("plan", None, tool_call_id="c3"),
                FilePart(picture),
            ],
            model_name="m",
            provider_details={"k": {"deep": 1}},
            finish_reason="stop",
        ),
        ModelRequest(
            parts=[
                ToolReturnPart("plan", "planned", tool_call_id="c1", metadata={"n": 1}),
                ToolReturnPart("plan", {"days": [1, 2], "n": None}, tool_call_id="c2"),
                ToolReturnPart("plan", ["seen", picture], tool_call_id="c3"),
                ToolReturnPart("plan", "no such day", tool_call_id="c4", outcome="retried"),
                RetryFeedbackPart(content="again", retry=RetryInfo(cause="validation_error")),
            ]
        ),
        ModelRequest(parts=[]),
        ModelResponse(parts=[]),
        ModelRequest(parts=[UserPromptPart("")]),
    ]


def test_messages_come_back_as_they_were_given(history: AralMessageHistory):
    assert history.messages() == [] and history.add([]) == 0
    history.clear()
    assert "s1" not in history._store
    given = whole_messages()
    assert history.add(given) == len(given)
    found = history.messages()
    # To Pydantic AI a picture that comes from JSON is a class of its own, and equal to no other.
    assert json_of(found) == json_of(given) and found == ModelMessagesTypeAdapter.validate_json(json_of(given))
    assert found[4:] == given[4:] and found[0] == given[0]
    assert history.messages(2) == given[-2:]
    history.clear()
    assert history.messages() == []


def test_the_same_with_an_event_loop(history: AralMessageHistory):
    async def main() -> None:
        given = whole_messages()
        assert await history.aadd(given) == len(given)
        assert json_of(await history.amessages()) == json_of(given) and await history.amessages(1) == given[-1:]
        await history.aclear()
        assert await history.amessages() == []
        history.close()
        for call in (history.aadd([]), history.amessages(), history.aclear()):
            with pytest.raises(Closed):
                await call

    asyncio.run(main())


def test_a_part_of_an_old_form_is_read_as_pydantic_ai_reads_it():
    history = AralMessageHistory("s1", Store())
    given: list[ModelMessage] = [ModelRequest(parts=[RetryPromptPart("no such day", tool_name="plan", tool_call_id="c4")])]
    history.add(given)
    assert history.messages() == ModelMessagesTypeAdapter.validate_json(json_of(given))
    assert history.messages()[0].parts[0].outcome == "retried"  # type: ignore[union-attr]


def test_what_can_be_gone_through_once_is_added_whole(history: AralMessageHistory):
    assert history.add(asked(text) for text in ("a", "b")) == 2
    assert asyncio.run(history.aadd(asked(text) for text in ("c", "d"))) == 2
    assert len(history.messages()) == 4


def test_new_messages_and_all_messages_do_alike(history: AralMessageHistory):
    given = [asked(str(n)) for n in range(6)]
    assert history.add(given[:2]) == 2 and history.add(given[:2]) == 0
    assert history.add(given[:4]) == 2, "the whole transcript"
    assert history.add(given[2:5]) == 1, "a part of it"
    store = history._store
    store.edit_message("s1", store.messages("s1")[3].id, content="[removed]")
    assert history.add(given) == 1, "also if a text was edited"
    assert [m.parts[0].content for m in history.messages()] == ["0", "1", "2", "[removed]", "4", "5"]  # type: ignore[union-attr]
    plain = ModelResponse(parts=[TextPart("x")], timestamp=datetime(2026, 1, 1, tzinfo=timezone.utc))
    assert history.add([plain]) == 1 and history.add([plain]) == 0


class Plan(BaseModel):
    day: int
    at: datetime


@dataclass
class Place2:
    name: str


def test_what_a_tool_returns_is_there_as_the_model_was_given_it():
    history = AralMessageHistory("s1", Store())
    plan = Plan(day=1, at=datetime(2026, 1, 1))
    history.add([ModelRequest(parts=[ToolReturnPart("plan", value, tool_call_id="c1")]) for value in (plan, Place2("here"), (1, 2))])
    assert [m.parts[0].content for m in history.messages()] == [  # type: ignore[union-attr]
        {"day": 1, "at": "2026-01-01T00:00:00"},
        {"name": "here"},
        [1, 2],
    ]


@pytest.mark.parametrize(
    ("value", "name"),
    [(object(), "object"), (float("nan"), r"\['k'\]\[0\] is a number"), (float("-inf"), "is a number"), (lambda: 1, "function")],
)
def test_what_has_no_json_is_refused_with_its_name(value: Any, name: str):
    history = AralMessageHistory("s1", Store())
    for message in (
        ModelRequest(parts=[ToolReturnPart("plan", {"k": [value]}, tool_call_id="c1")]),
        ModelRequest(parts=[UserPromptPart("x")], metadata={"k": [value]}),
        ModelResponse(parts=[ToolCallPart("plan", {"k": [value]})]),
    ):
        with pytest.raises(InvalidInput, match=name):
            history.add([asked("before"), message])
    for other in ("text", None, {"kind": "request"}, UserPromptPart("x")):
        with pytest.raises(InvalidInput, match="messages of Pydantic AI"):
            history.add([other])  # type: ignore[list-item]
    with pytest.raises(InvalidInput):
        AralMessageHistory("", Store())
    assert history.messages() == []


def test_a_person_reads_and_edits_what_was_said(history: AralMessageHistory):
    store = history._store
    secret = {"result": "a secret plan, not to be told"}
    history.add(
        [
            asked("What shall we do?"),
            ModelResponse(parts=[ToolCallPart("plan", {"day": 1}, tool_call_id="c1")]),
            ModelRequest(parts=[ToolReturnPart("plan", secret, tool_call_id="c1")]),
            ModelResponse(parts=[TextPart("It is secret, so let us see.")], metadata={"copy": "It is secret, so let us see."}),
        ]
    )
    read = store.messages("s1")
    assert [(each.role, each.content) for each in read] == [
        ("user", "What shall we do?"),
        ("assistant", '{"day": 1}'),
        ("tool", '{"result": "a secret plan, not to be told"}'),
        ("assistant", "It is secret, so let us see."),
    ]
    for at, text in ((1, "none"), (2, "[removed]"), (3, "[removed]")):
        store.edit_message("s1", read[at].id, content=text)
    store.add_message("s1", "I was here.", role="critic")
    store.add_message("s1", "So was I.", role="assistant", metadata={"pydantic_ai": {"data": {"content": [7]}, "text": ["x"]}})
    found = history.messages()
    assert b"secret" not in ModelMessagesTypeAdapter.dump_json(found)
    assert found[1].parts[0].args == {"content": "none"}  # type: ignore[union-attr]
    assert [m.parts[0].content for m in found[2:]] == ["[removed]", "[removed]", "I was here.", "So was I."]  # type: ignore[union-attr]
    assert [m.kind for m in found[4:]] == ["request", "response"]


def test_a_window_of_whole_turns_begins_with_the_user():
    history = AralMessageHistory("s1", Store())
    turns: list[ModelMessage] = [
        ModelRequest(parts=[SystemPromptPart("Be kind."), UserPromptPart("1")]),
        ModelResponse(parts=[TextPart("1")]),
        asked("2"),
        ModelResponse(parts=[ToolCallPart("plan", {}, tool_call_id="c1")]),
        ModelRequest(parts=[ToolReturnPart("plan", "ok", tool_call_id="c1"), UserPromptPart("and")]),
        ModelResponse(parts=[TextPart("2")]),
    ]
    history.add(turns)
    for last, first in ((1, 2), (3, 2), (4, 2), (5, 2), (6, 0), (None, 0)):
        assert history.messages(last, whole_turns=True) == turns[first:]
    assert history.messages(2) == turns[-2:]


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_a_call_that_raises_cancelled_error_has_settled(kind: str, many: bool, tmp_path: Path):
    messages = [asked(f"{n}") for n in range(25 if many else 1)]

    async def main() -> None:
        outcomes = set()
        async with await AsyncStore.open(place_in(kind, tmp_path), sync="os") as store:
            history = AralMessageHistory("s1", store)
            for moment in range(200 if kind == "file" else 40):
                task = asyncio.ensure_future(history.aadd(messages))
                await cancelled_at(moment, task)
                # No waiting here: what was cancelled has happened, or never will.
                outcomes.add(len(await history.amessages()))
                await history.aclear()
                kept = asked("kept")
                await history.aadd([kept])
                assert await history.amessages() == [kept]
                await history.aclear()
        assert outcomes == {0, len(messages)}, "it was cancelled always before it began, or always behind its end"

    asyncio.run(main())


def test_the_same_from_several_threads_is_there_once(place: Place):
    with Store(place, sync="os") as store:
        messages = [asked(str(n)) for n in range(10)]

        async def main() -> list[int]:
            histories = [AralMessageHistory("s1", store) for _ in range(4)]
            return await asyncio.gather(*(asyncio.to_thread(each.add, messages) for each in histories))

        assert sorted(asyncio.run(main())) == [0, 0, 0, 10]
        assert AralMessageHistory("s1", store).messages() == messages


def test_who_comes_between_the_look_and_the_write_is_noticed(place: Place, monkeypatch: pytest.MonkeyPatch):
    with Store(place, sync="os") as store:
        history, other = AralMessageHistory("s1", store), AralMessageHistory("s1", store)
        messages, batch = [asked(str(n)) for n in range(3)], store.batch

        def late(mutations: Any) -> Any:
            # What is to be written has been decided on; only then somebody else comes.
            monkeypatch.setattr(store, "batch", batch)
            assert other.add(messages[:2]) == 2
            return batch(mutations)

        monkeypatch.setattr(store, "batch", late)
        assert history.add(messages) == 1 and history.messages() == messages


def model(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Calls the tool once in each turn, and says how much it was given."""
    last = messages[-1].parts[-1]
    if isinstance(last, UserPromptPart):
        return ModelResponse(parts=[ToolCallPart("plan", {"day": len(messages)})])
    return ModelResponse(parts=[TextPart(f"{len(messages)} messages")])


def run(agent: Agent[Any, Any], question: str, messages: list[ModelMessage]) -> Any:
    # `run_sync` leaves an event loop behind.
    return asyncio.run(agent.run(question, message_history=messages))


def test_an_agent_goes_on_after_a_restart_as_if_there_had_been_none(place: Place):
    agent = Agent(FunctionModel(model))

    @agent.tool_plain(retries=2)
    def plan(day: int) -> str:
        if day == 1:
            raise ModelRetry("not the first")
        return f"planned {day}"

    remembered: list[ModelMessage] = []
    for n in range(3):
        with Store(place) as store:
            history = AralMessageHistory("s1", store)
            assert history.messages() == remembered
            result = run(agent, f"question {n}", history.messages())
            assert result.output == run(agent, f"question {n}", remembered).output
            remembered = result.all_messages()
            assert history.add(remembered if n == 1 else result.new_messages()) == len(result.new_messages())
    assert len(remembered) == 12


def test_a_test_model_calls_every_tool_and_comes_back(history: AralMessageHistory):
    agent = Agent(TestModel(), output_type=list[int])

    @agent.tool_plain
    def plan(day: int, names: list[str]) -> dict[str, Any]:
        return {"day": day, "names": names}

    result = run(agent, "What shall we do?", [])
    history.add(result.new_messages())
    assert history.messages() == result.all_messages()


def test_without_pydantic_ai_the_import_says_what_to_install():
    program = """
        import sys
        sys.modules["pydantic_ai"] = None
        try:
            import aral_store.pydantic_ai
        except ImportError as error:
            assert "aral-store[pydantic-ai]" in str(error)
        else:
            sys.exit("imported")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)
