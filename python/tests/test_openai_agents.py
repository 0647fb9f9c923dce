"""The session for the OpenAI Agents SDK, on the SDK itself."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

agents = pytest.importorskip("agents", reason="the extra openai-agents is not installed")

from agents import Agent, ModelResponse, RunConfig, Runner, Session, Usage, function_tool  # noqa: E402
from agents.memory.session_settings import SessionSettings  # noqa: E402
from agents.models.interface import Model  # noqa: E402
from openai.types.responses import (  # noqa: E402
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from aral_store import AsyncStore, InvalidInput, MessageStore, Store  # noqa: E402
from aral_store.openai_agents import AralSession  # noqa: E402
from conftest import Place, unmirrored

ITEMS: list[Any] = [
    {"role": "user", "content": "What shall we do?"},
    {"content": [{"type": "input_text", "text": "Look"}, {"type": "input_image", "image_url": "x"}], "role": "user"},
    {"type": "function_call", "call_id": "c1", "name": "plan", "arguments": '{"deep": [1]}', "status": "completed"},
    {"type": "function_call_output", "call_id": "c1", "output": "half \ud83d a pair"},
    {"type": "reasoning", "id": "r1", "summary": [{"type": "summary_text", "text": "hm"}], "content": None},
    {
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "This.", "annotations": [], "logprobs": []}],
    },
    {},
]


@pytest.fixture(params=["store", "async store"])
def session(request: pytest.FixtureRequest, place: Place):
    store = Store(place, sync="os")
    yield AralSession("s1", store if request.param == "store" else AsyncStore(store))
    store.close()


def test_items_come_back_as_they_were_given(session: AralSession):
    async def main() -> None:
        assert isinstance(session, Session)
        assert await session.get_items() == [] and await session.pop_item() is None
        await session.clear_session()
        await session.add_items([])
        assert "s1" not in session._store
        await session.add_items(ITEMS[:3])
        await session.add_items(ITEMS[3:])
        found = await session.get_items()
        assert found == ITEMS
        assert [list(item) for item in found] == [list(item) for item in ITEMS], "the order of keys"
        assert all(type(item) is dict for item in found)
        assert await session.get_items(limit=2) == ITEMS[-2:]
        assert await session.get_items(limit=0) == [] and await session.get_items(limit=99) == ITEMS
        assert await session.pop_item() == ITEMS[-1] and await session.pop_item() == ITEMS[-2]
        assert await session.get_items() == ITEMS[:-2]
        await session.clear_session()
        assert await session.get_items() == [] and await session.pop_item() is None
        await session.add_items(ITEMS[:1])
        assert await session.get_items() == ITEMS[:1]

    asyncio.run(main())


def test_a_person_can_read_what_was_said(session: AralSession):
    asyncio.run(session.add_items(ITEMS))
    read = [(message.role, message.content) for message in session._store.messages("s1")]
    assert read == [
        ("user", "What shall we do?"),
        ("user", "Look"),
        ("assistant", 'plan({"deep": [1]})'),
        ("tool", "half \ud83d a pair"),
        ("assistant", "hm"),
        ("assistant", "This."),
        ("assistant", ""),
    ]


def test_the_settings_limit_what_is_read(tmp_path: Path):
    session = AralSession("s1", Store(), session_settings=SessionSettings(limit=2))
    asyncio.run(session.add_items(ITEMS))
    assert asyncio.run(session.get_items()) == ITEMS[-2:]
    assert asyncio.run(session.get_items(limit=3)) == ITEMS[-3:]


def test_messages_of_others_are_items_too(place: Place):
    with MessageStore(place, **unmirrored(place)) as aral:
        aral.add_message("s1", "said elsewhere", role="system")
        with Store(place) as store:
            session = AralSession("s1", store)
            assert asyncio.run(session.get_items()) == [{"role": "system", "content": "said elsewhere"}]
            assert asyncio.run(session.pop_item()) == {"role": "system", "content": "said elsewhere"}


def test_items_that_are_no_json_are_refused_and_none_is_added(session: AralSession):
    with pytest.raises(InvalidInput):
        asyncio.run(session.add_items([ITEMS[0], {"role": "user", "content": b"bytes"}]))
    assert asyncio.run(session.get_items()) == []


def test_no_item_is_popped_twice(session: AralSession):
    items: list[Any] = [{"role": "user", "content": str(n)} for n in range(60)]
    other = AralSession("s1", session._owner)

    async def pop_all(session: AralSession) -> list[Any]:
        found = []
        while (item := await session.pop_item()) is not None:
            found.append(item["content"])
        return found

    async def main() -> list[Any]:
        await session.add_items(items)
        found = await asyncio.gather(*(pop_all(each) for each in (session, other) * 4))
        return [content for each in found for content in each]

    popped = asyncio.run(main())
    assert sorted(popped, key=int) == [str(n) for n in range(60)]


def test_an_item_added_while_another_is_popped_is_not_taken_in_its_place(tmp_path: Path, monkeypatch: Any):
    store = Store()
    session = AralSession("s1", store)
    asyncio.run(session.add_items(ITEMS[:2]))
    read = session._read

    def overtaken(*args: Any, **kwargs: Any) -> Any:
        found = read(*args, **kwargs)
        monkeypatch.setattr(session, "_read", read)
        store.add_message("s1", "added meanwhile")
        return found

    monkeypatch.setattr(session, "_read", overtaken)
    assert asyncio.run(session.pop_item()) == {"role": "user", "content": "added meanwhile"}
    assert asyncio.run(session.get_items()) == ITEMS[:2]


def test_a_cancelled_addition_is_whole_or_not_there(session: AralSession):
    batch: list[Any] = [{"role": "user", "content": str(n)} for n in range(50)]

    async def main() -> None:
        for n in range(30):
            task = asyncio.ensure_future(session.add_items(batch))
            for _ in range(n % 5):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.2)
        contents = [item["content"] for item in await session.get_items()]
        assert len(contents) % 50 == 0
        assert contents == [str(n) for n in range(50)] * (len(contents) // 50)

    asyncio.run(main())


def test_a_kill_neither_loses_nor_repeats_an_item_that_was_told_of(place: Place):
    program = """
        import asyncio, os, sys
        from aral_store import Store
        from aral_store.openai_agents import AralSession
        async def main():
            session = AralSession("s1", Store(sys.argv[1]))
            await session.add_items([{"role": "user", "content": str(n)} for n in range(40)])
            for _ in range(25):
                print((await session.pop_item())["content"], flush=True)
            os.kill(os.getpid(), 9)
        asyncio.run(main())
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(place)], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout.split() == [str(n) for n in range(39, 14, -1)]
    with Store(place) as store:
        left = asyncio.run(AralSession("s1", store).get_items())
        assert [item["content"] for item in left] == [str(n) for n in range(15)]


class Scripted(Model):
    """A model that first calls a tool and then answers, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    async def get_response(self, system_instructions: Any, input: Any, *args: Any, **kwargs: Any) -> ModelResponse:
        self.asked.append(list(input))
        output: list[Any]
        if input[-1].get("role") == "user" and "tool" in input[-1]["content"]:
            n = len(self.asked)
            output = [
                ResponseFunctionToolCall(
                    call_id=f"call-{n}", name="plan", arguments='{"day": 1}', type="function_call"
                )
            ]
        else:
            text = ResponseOutputText(text=f"answer {len(self.asked)}", type="output_text", annotations=[])
            output = [
                ResponseOutputMessage(
                    id=f"m{len(self.asked)}", type="message", role="assistant", status="completed", content=[text]
                )
            ]
        return ModelResponse(output=output, usage=Usage(), response_id=None)

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


@function_tool
def plan(day: int) -> str:
    """Plans a day."""
    return f"day {day} is planned"


def test_an_agent_remembers_over_restarts(place: Place):
    model = Scripted()
    agent = Agent(name="planner", model=model, tools=[plan])
    quiet = RunConfig(tracing_disabled=True)
    for turn, text in enumerate(["use the tool", "and then?"]):
        with Store(place) as store:
            session = AralSession("s1", store)
            result = asyncio.run(Runner.run(agent, text, session=session, run_config=quiet))
            assert result.final_output == f"answer {len(model.asked)}"
            contents = [message.content for message in store.messages("s1")]
            assert contents[:4] == ["use the tool", 'plan({"day": 1})', "day 1 is planned", "answer 2"]
            assert len(contents) == 4 + 2 * turn
    asked = model.asked[-1]
    assert len(asked) == 5 and asked[-1]["content"] == "and then?"
    assert asked[2]["output"] == "day 1 is planned"
