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
from agents.memory import OpenAIResponsesCompactionSession  # noqa: E402
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


def texts_of(session: Any) -> list[str]:
    return [item["content"] for item in done(session.get_items())]


def done(work: Any) -> Any:
    return asyncio.run(work)


def some(*contents: str) -> list[Any]:
    return [{"role": "user", "content": content} for content in contents]


@pytest.fixture(params=["ours", "the SDK's"])
def two(request: pytest.FixtureRequest, place: Place, tmp_path: Path):
    """Two sessions with one id, as two processes may have them: ours, and the SDK's own, which has to hold to the same."""
    if request.param == "ours":
        with Store(place, sync="os") as store:
            yield AralSession("s1", store), AralSession("s1", store)
        return
    sessions = [agents.SQLiteSession("s1", tmp_path / "sdk.db") for _ in range(2)]
    yield sessions
    for session in sessions:
        session.close()


def test_the_newest_items_are_replaced_at_once_or_not_at_all(two: Any):
    one, other = two
    done(one.add_items(some("a", "b", "c", "d")))
    for limit, items, is_complete in ((2, ["c", "d"], False), (4, ["a", "b", "c", "d"], True), (9, ["a", "b", "c", "d"], True)):
        snapshot = done(one._get_compaction_snapshot(limit))
        assert ([item["content"] for item in snapshot.items], snapshot.complete) == (items, is_complete)
    snapshot = done(one._get_compaction_snapshot(3))
    assert done(snapshot.replace_suffix(1, some("summary", "more"))) is True
    assert texts_of(other) == ["a", "b", "summary", "more"]
    # What it was made of is not there any more.
    assert done(snapshot.replace_suffix(1, some("twice"))) is False
    assert done(snapshot.replace_suffix(3, some("nothing"))) is False
    snapshot = done(one._get_compaction_snapshot(2))
    done(other.add_items(some("behind")))
    assert done(snapshot.replace_suffix(0, some("late"))) is False
    assert texts_of(one) == ["a", "b", "summary", "more", "behind"]
    with pytest.raises(Exception):
        done(done(one._get_compaction_snapshot(1)).replace_suffix(0, [object()]))
    assert texts_of(one) == ["a", "b", "summary", "more", "behind"], "all of it or nothing"


def test_items_before_those_that_are_replaced_are_pruned_as_long_as_they_may(two: Any):
    one, _ = two
    done(one.add_items(some("old 1", "old 2", "old 3", "kept", "old 4", "x", "y")))
    snapshot = done(one._get_compaction_snapshot(2, prune_prefix=lambda item: item["content"].startswith("old")))
    assert done(snapshot.replace_suffix(0, some("z"))) is True
    assert texts_of(one) == ["kept", "old 4", "z"]
    snapshot = done(one._get_compaction_snapshot(9, prune_prefix=lambda item: True))
    assert done(snapshot.replace_suffix(2, some("alone"))) is True
    assert texts_of(one) == ["alone"]


def test_a_run_whose_session_is_compacted_keeps_what_was_before_its_window(place: Place):
    class Responses:
        asked: list[Any] = []

        async def compact(self, **what: Any) -> Any:
            self.asked.append(what)
            summary = {"type": "compaction", "id": "cmp_1", "encrypted_content": "all that was said"}
            return type("Compacted", (), {"output": [summary], "usage": None})()

    class Stored(Scripted):
        """A response that has an id is one that can be compacted."""

        async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
            response = await super().get_response(*args, **kwargs)
            response.response_id = "resp_1"
            return response

    with Store(place, sync="os") as store:
        below = AralSession("s1", store, session_settings={"limit": 1})
        done(below.add_items(some("long ago", "then", "before")))
        client = type("Client", (), {"responses": Responses()})()
        session = OpenAIResponsesCompactionSession(
            "s1", below, client=client, compaction_mode="input", should_trigger_compaction=lambda _: True
        )
        quiet = RunConfig(tracing_disabled=True)
        done(Runner.run(Agent(name="planner", model=Stored()), "and now?", session=session, run_config=quiet))
        (asked,) = client.responses.asked
        assert [item["content"] for item in asked["input"][:2]] == ["before", "and now?"]
        *before, summary = done(AralSession("s1", store).get_items())
        assert [item["content"] for item in before] == ["long ago", "then"], "the model was not shown these"
        assert summary == {"type": "compaction", "id": "cmp_1", "encrypted_content": "all that was said"}


def test_a_replacement_that_is_overtaken_looks_again(place: Place, monkeypatch: pytest.MonkeyPatch):
    with Store(place, sync="os") as store:
        session = AralSession("s1", store)
        done(session.add_items(some("a", "b")))
        snapshot, batch = done(session._get_compaction_snapshot(1)), store.batch
        for meanwhile, replaced, left in (
            # Nothing of the items, so that they are the newest still.
            (lambda: store.set_title("s1", "T"), True, ["a", "c"]),
            (lambda: store.add_message("s1", "behind"), False, ["a", "c", "behind"]),
        ):
            def late(*what: Any) -> Any:
                monkeypatch.undo()
                meanwhile()
                return batch(*what)

            monkeypatch.setattr(store, "batch", late)
            assert done(snapshot.replace_suffix(0, some("c"))) is replaced
            assert texts_of(session) == left
            snapshot = done(session._get_compaction_snapshot(1))


def test_a_class_with_its_own_way_with_items_has_no_replacement_made_for_it(place: Place):
    class Own(AralSession):
        async def get_items(self, *args: Any, **kwargs: Any) -> Any:
            return (await super().get_items(*args, **kwargs))[1:]

    with Store(place, sync="os") as store:
        session = Own("s1", store)
        done(session.add_items(some("a", "b")))
        assert done(session._get_compaction_snapshot(2)) is None


def test_of_two_items_with_one_id_the_right_one_stays(place: Place):
    with Store(place, sync="os") as store:
        session = AralSession("s1", store)
        twins = [{"id": "m1", "role": "user", "content": content} for content in ("first", "second")]
        done(session.add_items([twins[0], *some("a"), twins[1], *some("b")]))
        snapshot = done(session._get_compaction_snapshot(2))
        assert done(snapshot.replace_suffix(0, some("c"))) is True
        assert texts_of(session) == ["first", "a", "c"]
        done(session.add_items([twins[1], *some("d")]))
        snapshot = done(session._get_compaction_snapshot(1, prune_prefix=lambda item: True))
        assert done(snapshot.replace_suffix(0, some("e"))) is True
        assert texts_of(session) == ["first", "a", "c", "second", "e"]


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
