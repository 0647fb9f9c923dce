"""Sessions for Google's ADK, on google-adk itself, beside its own services."""

from __future__ import annotations

import asyncio
import multiprocessing
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("google.adk", reason="the extra adk is not installed")

from google.adk.agents import BaseAgent, ParallelAgent, SequentialAgent  # noqa: E402
from google.adk.errors._stale_session_error import StaleSessionError  # noqa: E402
from google.adk.errors.already_exists_error import AlreadyExistsError  # noqa: E402
from google.adk.errors.session_not_found_error import SessionNotFoundError  # noqa: E402
from google.adk.events import Event, EventActions  # noqa: E402
from google.adk.runners import Runner  # noqa: E402
from google.adk.sessions import BaseSessionService, InMemorySessionService, Session  # noqa: E402
from google.adk.sessions.base_session_service import GetSessionConfig  # noqa: E402
from google.adk.sessions.sqlite_session_service import SqliteSessionService  # noqa: E402
from google.adk.tools.tool_confirmation import ToolConfirmation  # noqa: E402
from google.genai import types  # noqa: E402
from pydantic import BaseModel  # noqa: E402

from aral_store import AsyncStore, Closed, InvalidInput, Store  # noqa: E402
from aral_store.google_adk import AralSessionService  # noqa: E402
from conftest import KINDS, Place, cancelled_at, place_in  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.filterwarnings("ignore::UserWarning")]

WHOSE: dict[str, str] = {"app_name": "app", "user_id": "u1"}


def service_of(kind: str, dir: Path) -> BaseSessionService:
    if kind == "adk in memory":
        return InMemorySessionService()
    if kind == "adk sqlite":
        return SqliteSessionService(str(dir / "adk.db"))
    if kind == "memory":
        return AralSessionService(Store())
    return AralSessionService(place_in(kind, dir))


#: What ADK's services do as well, so that a law which is none of ADK's fails on those.
@pytest.fixture(params=["adk in memory", "adk sqlite", "memory", *KINDS])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = service_of(request.param, tmp_path)
    yield made
    if isinstance(made, AralSessionService):
        asyncio.run(made.close())


@pytest.fixture
def ours(place: Place) -> Any:
    made = AralSessionService(place)
    yield made
    asyncio.run(made.close())


def said(text: str, author: str = "user", **more: Any) -> Event:
    role = "user" if author == "user" else "model"
    return Event(author=author, content=types.Content(role=role, parts=[types.Part(text=text)]), **more)


def changing(**delta: Any) -> Event:
    return Event(author="agent", actions=EventActions(state_delta={name.replace("__", ":"): value for name, value in delta.items()}))


def texts(session: Session | None) -> list[str | None]:
    assert session is not None
    return [event.content.parts[0].text for event in session.events if event.content and event.content.parts]


Law = Callable[[BaseSessionService], Coroutine[Any, Any, None]]


async def is_there_until_it_is_deleted(service: BaseSessionService) -> None:
    assert await service.get_session(**WHOSE, session_id="s1") is None
    made = await service.create_session(**WHOSE, state={"k": "v"})
    assert made.id and made.state == {"k": "v"} and made.last_update_time <= time.time()
    assert await service.get_session(**WHOSE, session_id=made.id) == made
    await service.delete_session(**WHOSE, session_id=made.id)
    await service.delete_session(**WHOSE, session_id=made.id)
    assert await service.get_session(**WHOSE, session_id=made.id) is None


async def has_an_id_of_its_own_for_each_user(service: BaseSessionService) -> None:
    first = await service.create_session(**WHOSE, session_id="s1")
    await service.append_event(first, said("hello"))
    await service.create_session(app_name="app", user_id="u2", session_id="s1")
    await service.create_session(app_name="app2", user_id="u1", session_id="s1")
    other = await service.get_session(app_name="app", user_id="u2", session_id="s1")
    assert other is not None and other.events == [] and other.user_id == "u2"
    with pytest.raises(AlreadyExistsError):
        await service.create_session(**WHOSE, session_id="s1")
    assert texts(await service.get_session(**WHOSE, session_id="s1")) == ["hello"]


async def takes_an_id_with_blanks_for_the_one_without(service: BaseSessionService) -> None:
    made = await service.create_session(**WHOSE, session_id=" s1\n")
    assert made.id == "s1"
    with pytest.raises(AlreadyExistsError):
        await service.create_session(**WHOSE, session_id="s1 ")
    assert await service.get_session(**WHOSE, session_id=" s1\n") is not None
    await service.delete_session(**WHOSE, session_id=" s1\n")
    assert await service.get_session(**WHOSE, session_id="s1") is None
    assert (await service.create_session(**WHOSE, session_id="  ")).id.strip()


async def has_state_of_its_own_of_its_user_and_of_its_app(service: BaseSessionService) -> None:
    first = await service.create_session(**WHOSE, session_id="s1", state={"app:a": 1, "user:u": 1, "own": 1, "temp:t": 1})
    assert first.state == {"app:a": 1, "user:u": 1, "own": 1}
    await service.append_event(first, changing(app__a2=2, user__u2=[None], own={"x": {"y": None}}, temp__t2="t"))
    assert first.state["temp:t2"] == "t", "later steps of the same run see it"
    state = {"app:a": 1, "app:a2": 2, "user:u": 1, "user:u2": [None], "own": {"x": {"y": None}}}
    again = await service.get_session(**WHOSE, session_id="s1")
    assert again is not None and again.state == state
    assert again.events[0].actions.state_delta.keys() == {"app:a2", "user:u2", "own"}
    second = await service.create_session(**WHOSE, session_id="s2")
    assert second.state == {name: state[name] for name in state if name != "own"}
    third = await service.create_session(app_name="app", user_id="u2", session_id="s3")
    assert third.state == {"app:a": 1, "app:a2": 2}
    assert (await service.create_session(app_name="app2", user_id="u1")).state == {}
    assert await service.get_user_state(**WHOSE) == {"u": 1, "u2": [None]}
    assert await service.get_user_state(app_name="app", user_id="nobody") == {}
    await service.delete_session(**WHOSE, session_id="s1")
    assert await service.get_user_state(**WHOSE) == {"u": 1, "u2": [None]}, "it is the user's, not the session's"


async def replaces_a_value_whole_and_keeps_none_and_truth(service: BaseSessionService) -> None:
    session = await service.create_session(**WHOSE, session_id="s1", state={"p": {"a": 1, "b": 2}, "f": False, "n": 10**30})
    await service.append_event(session, changing(p={"a": 3}, x=None, app__x=0.1 + 0.2))
    again = await service.get_session(**WHOSE, session_id="s1")
    assert again is not None and again.state == {"p": {"a": 3}, "f": False, "n": 10**30, "x": None, "app:x": 0.1 + 0.2}
    assert again.state["f"] is False and session.state == again.state


async def lists_sessions_by_their_last_change(service: BaseSessionService) -> None:
    for id in ("a", "b", "c"):
        await service.create_session(**WHOSE, session_id=id, state={"is": id, "app:n": id})
    await service.create_session(app_name="app", user_id="u", session_id="d")
    await service.create_session(app_name="ap", user_id="u1", session_id="e")
    session = await service.get_session(**WHOSE, session_id="a")
    assert session is not None
    await service.append_event(session, said("x", timestamp=time.time() + 1))
    listed = (await service.list_sessions(**WHOSE)).sessions
    assert [each.id for each in listed] == ["b", "c", "a"] and all(each.events == [] for each in listed)
    assert [each.state for each in listed] == [{"is": id, "app:n": "c"} for id in "bca"]
    assert listed[-1].last_update_time == session.last_update_time
    everybody = (await service.list_sessions(app_name="app")).sessions
    assert [(each.user_id, each.id) for each in everybody] == [("u1", "b"), ("u1", "c"), ("u", "d"), ("u1", "a")]
    assert (await service.list_sessions(app_name="app", user_id="")).sessions == []
    assert (await service.list_sessions(app_name="nothing")).sessions == []


async def gives_the_events_that_are_asked_for(service: BaseSessionService) -> None:
    session = await service.create_session(**WHOSE, session_id="s1")
    begin = int(time.time())
    for n in range(1, 6):
        await service.append_event(session, said(str(n), timestamp=begin + n))

    async def found(**config: Any) -> list[str | None]:
        return texts(await service.get_session(**WHOSE, session_id="s1", config=GetSessionConfig(**config)))

    assert await found() == ["1", "2", "3", "4", "5"]
    assert await found(num_recent_events=0) == [] and await found(num_recent_events=3) == ["3", "4", "5"]
    assert await found(num_recent_events=99) == ["1", "2", "3", "4", "5"]
    assert await found(after_timestamp=begin + 4) == ["4", "5"] and await found(after_timestamp=begin + 50) == []
    assert await found(after_timestamp=begin + 4, num_recent_events=3) == ["4", "5"]
    assert await found(after_timestamp=begin + 2, num_recent_events=2) == ["4", "5"]


async def stores_no_partial_event(service: BaseSessionService) -> None:
    session = await service.create_session(**WHOSE, session_id="s1")
    partial = said("Wha", "agent", partial=True)
    assert await service.append_event(session, partial) is partial
    assert session.events == []
    again = await service.get_session(**WHOSE, session_id="s1")
    assert again is not None and again.events == []


def part_of_each_kind() -> list[types.Part]:
    return [
        types.Part(text="Look: \ud83d"),
        types.Part(text="because", thought=True, thought_signature=b"\x00\xff"),
        types.Part.from_bytes(data=b"\x89PNG\xff", mime_type="image/png"),
        types.Part(function_call=types.FunctionCall(id="c1", name="plan", args={"day": 1, "at": [None, {"é": 0.1}]})),
        types.Part(function_response=types.FunctionResponse(id="c1", name="plan", response={"result": "planned"})),
        types.Part(function_call=types.FunctionCall(name="bare")),
        types.Part(function_response=types.FunctionResponse(name="bare", response={})),
        types.Part(executable_code=types.ExecutableCode(code="1+1", language=types.Language.PYTHON)),
        types.Part(code_execution_result=types.CodeExecutionResult(outcome=types.Outcome.OUTCOME_OK, output="2")),
        types.Part(file_data=types.FileData(file_uri="gs://b/f", mime_type="text/plain")),
        types.Part(text=""),
    ]


def whole_events() -> list[Event]:
    usage = types.GenerateContentResponseUsageMetadata(prompt_token_count=1, total_token_count=2)
    return [
        Event(
            invocation_id="i1",
            author="agent",
            content=types.Content(role="model", parts=part_of_each_kind()),
            partial=False,
            turn_complete=True,
            actions=EventActions(
                state_delta={"k": {"deep": [1, {"none": None}]}},
                artifact_delta={"file": 0},
                transfer_to_agent="other",
                escalate=True,
                requested_tool_confirmations={"c1": ToolConfirmation(hint="sure?", confirmed=False, payload={"n": 1})},
                agent_state={"at": [1]},
            ),
            long_running_tool_ids={"c1", "c2"},
            error_code="E",
            error_message="failed",
            interrupted=True,
            grounding_metadata=types.GroundingMetadata(
                web_search_queries=["q"], search_entry_point=types.SearchEntryPoint(sdk_blob=b"\x00blob")
            ),
            usage_metadata=usage,
            finish_reason=types.FinishReason.STOP,
            citation_metadata=types.CitationMetadata(),
            custom_metadata={"k": None, "a text that is long enough": "Look: \ud83d"},
            input_transcription=types.Transcription(text="heard", finished=True),
            output_transcription=types.Transcription(text="spoken", finished=False),
            branch="a.b",
            output={"text": "done", "n": None},
            timestamp=1700000000.123456789,
        ),
        Event(author="user", content=types.Content(role="user")),
        Event(author="user", content=types.Content(parts=[])),
        Event(author="agent", output="a text"),
        Event(author="user", content=types.UserContent("plainly")),
        Event(author="agent", timestamp=-5.5),
        Event(author="agent", id="x" * 3000, timestamp=1e15),
    ]


async def gives_every_event_back_as_it_was(service: BaseSessionService) -> None:
    session = await service.create_session(**WHOSE, session_id="s1")
    for event in whole_events():
        await service.append_event(session, event)
    again = await service.get_session(**WHOSE, session_id="s1")
    assert again is not None and again.last_update_time == session.last_update_time == 1e15
    assert [each.model_dump() for each in again.events] == [each.model_dump() for each in session.events]
    session.events[4] = again.events[4]
    assert again == session


async def keeps_events_in_the_order_in_which_they_came(service: BaseSessionService) -> None:
    session = await service.create_session(**WHOSE, session_id="s1")
    at = time.time()
    for n in range(4):
        await service.append_event(session, said(str(n), timestamp=at))
    assert texts(await service.get_session(**WHOSE, session_id="s1")) == ["0", "1", "2", "3"]


async def lets_branches_share_a_session_object(service: BaseSessionService) -> None:
    session = await service.create_session(**WHOSE, session_id="s1")
    await asyncio.gather(*(service.append_event(session, changing(**{f"k{n}": n, "app__n": n})) for n in range(8)))
    again = await service.get_session(**WHOSE, session_id="s1")
    assert again is not None and [event.id for event in again.events] == [event.id for event in session.events]
    assert len(again.events) == 8 and all(again.state[f"k{n}"] == n for n in range(8))


LAWS: list[Law] = [
    is_there_until_it_is_deleted,
    has_an_id_of_its_own_for_each_user,
    takes_an_id_with_blanks_for_the_one_without,
    has_state_of_its_own_of_its_user_and_of_its_app,
    replaces_a_value_whole_and_keeps_none_and_truth,
    lists_sessions_by_their_last_change,
    gives_the_events_that_are_asked_for,
    stores_no_partial_event,
    gives_every_event_back_as_it_was,
    keeps_events_in_the_order_in_which_they_came,
    lets_branches_share_a_session_object,
]

#: Where a service of ADK's own does otherwise.
EXCEPT: dict[str, set[Law]] = {
    # It stores no lone surrogate, and of two appendings at once one may find the database locked.
    "SqliteSessionService": {gives_every_event_back_as_it_was, lets_branches_share_a_session_object},
    "InMemorySessionService": set(),
    "AralSessionService": set(),
}


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_a_session(service: BaseSessionService, law: Law):
    if law in EXCEPT[type(service).__name__]:
        pytest.skip("ADK's own service does not")
    asyncio.run(law(service))


def test_a_service_is_there_again_for_the_next_process(place: Place):
    async def first() -> None:
        async with AralSessionService(place) as service:
            session = await service.create_session(**WHOSE, session_id="s1", state={"n": 1, "app:n": 2})
            await service.append_event(session, said("hello"))

    async def second() -> None:
        with Store(place) as store:
            service = AralSessionService(AsyncStore(store))
            session = await service.get_session(**WHOSE, session_id="s1")
            assert texts(session) == ["hello"] and session is not None and session.state == {"n": 1, "app:n": 2}
            await service.append_event(session, said("and again"))
            await service.close()
            assert not store.is_closed, "it was handed over"

    async def third() -> None:
        async with AralSessionService(place) as service:
            session = await service.get_session(**WHOSE, session_id="s1")
            assert session is not None and texts(session) == ["hello", "and again"]
        for call in (
            service.get_session(**WHOSE, session_id="s1"),
            service.append_event(session, said("late")),
            service.create_session(**WHOSE),
            service.delete_session(**WHOSE, session_id="s1"),
            service.list_sessions(**WHOSE),
        ):
            with pytest.raises(Closed):
                await call
        assert len(session.events) == 2

    for part in (first, second, third):
        asyncio.run(part())


def test_a_session_that_somebody_else_has_changed_is_stale(ours: AralSessionService):
    async def main() -> None:
        made = await ours.create_session(**WHOSE, session_id="s1")
        await ours.append_event(made, said("1"))
        read = await ours.get_session(**WHOSE, session_id="s1")
        copy = made.model_copy(deep=True)
        assert read is not None
        await ours.append_event(read, said("2"))
        for stale in (made, copy):
            with pytest.raises(StaleSessionError, match="modified in storage"):
                await ours.append_event(stale, changing(k=1, app__k=1))
            assert len(stale.events) == 1 and "k" not in stale.state
        again = await ours.get_session(**WHOSE, session_id="s1")
        assert texts(again) == ["1", "2"] and again is not None and again.state == {}
        # An object that ADK has read otherwise has no marker, and is as new as its newest event.
        for event, is_new in ((read.events[-1], True), (read.events[0], False)):
            plain = Session(id="s1", events=[event], **WHOSE)
            if is_new:
                await ours.append_event(plain, said("3"))
            else:
                with pytest.raises(StaleSessionError):
                    await ours.append_event(plain, said("4"))
        # A text that was edited is a change as well.
        session = await ours.get_session(**WHOSE, session_id="s1")
        assert session is not None
        ours._owner.store.edit_message("adk:app/u1/s1", session.events[0].id, content="[removed]")
        with pytest.raises(StaleSessionError):
            await ours.append_event(session, said("4"))
        assert texts(await ours.get_session(**WHOSE, session_id="s1")) == ["[removed]", "2", "3"]

    asyncio.run(main())


def test_of_several_with_copies_one_appends(ours: AralSessionService):
    async def main() -> None:
        await ours.create_session(**WHOSE, session_id="s1")
        for turn in range(5):
            session = await ours.get_session(**WHOSE, session_id="s1")
            assert session is not None
            copies = [session.model_copy(deep=True) for _ in range(3)]
            events = [changing(**{f"k{turn}": n, "app__k": n, "user__k": n}) for n in range(3)]
            outcomes = await asyncio.gather(*map(ours.append_event, copies, events), return_exceptions=True)
            assert sorted(type(each).__name__ for each in outcomes) == ["Event", "StaleSessionError", "StaleSessionError"]
            [won] = [n for n, each in enumerate(outcomes) if isinstance(each, Event)]
            again = await ours.get_session(**WHOSE, session_id="s1")
            assert again is not None and len(again.events) == turn + 1
            assert (again.state[f"k{turn}"], again.state["app:k"], again.state["user:k"]) == (won, won, won)

    asyncio.run(main())


def test_the_order_is_that_of_the_appending_whatever_the_clocks_say(ours: AralSessionService):
    async def main() -> None:
        session = await ours.create_session(**WHOSE, session_id="s1")
        copy = session.model_copy(deep=True)
        for time_of in (1000.0, 2000.25, 1500.0):
            await ours.append_event(session, said(str(time_of), timestamp=time_of))
        again = await ours.get_session(**WHOSE, session_id="s1")
        assert again == session and again.last_update_time == 1500.0
        for after, found in ((1400.0, ["2000.25", "1500.0"]), (2000.25, ["2000.25"]), (2000.2500001, []), (-1e300, texts(session))):
            config = GetSessionConfig(after_timestamp=after)
            assert texts(await ours.get_session(**WHOSE, session_id="s1", config=config)) == found
        with pytest.raises(StaleSessionError):
            await ours.append_event(copy, said("late"))

    asyncio.run(main())


def test_who_comes_between_the_look_and_the_write_is_noticed(ours: AralSessionService, monkeypatch: pytest.MonkeyPatch):
    store = ours._owner.store
    write = ours._sessions.append
    between: list[Callable[[], Any]] = []

    def overtaken(*args: Any) -> str:
        # What is to be written has been decided on; only then somebody else comes.
        batch = store.batch

        def late(mutations: Any) -> Any:
            while between:
                between.pop()()
            return batch(mutations)

        monkeypatch.setattr(store, "batch", late)
        try:
            return write(*args)
        finally:
            monkeypatch.setattr(store, "batch", batch)

    def of_the_app(**names: Any) -> None:
        data = {"set": names}
        store.add_action("adk-app:app", "state", data)

    async def main() -> None:
        session = await ours.create_session(**WHOSE, session_id="s1", state={"app:n": -1})
        monkeypatch.setattr(ours._sessions, "append", overtaken)
        between.append(lambda: store.add_message("adk:app/u1/s1", "in between"))
        with pytest.raises(StaleSessionError):
            await ours.append_event(session, changing(k=1, app__n=0))
        session = await ours.get_session(**WHOSE, session_id="s1")  # type: ignore[assignment]
        assert texts(session) == ["in between"] and session.state == {"app:n": -1}
        for n in range(63):
            of_the_app(n=n)
        between.append(lambda: of_the_app(other="in between"))
        await ours.append_event(session, changing(app__n=63))
        again = await ours.get_session(**WHOSE, session_id="s1")
        assert again is not None and again.state == {"app:n": 63, "app:other": "in between"}
        summary = store.summary("adk-app:app")
        assert summary is not None and summary.actions == 1

    asyncio.run(main())


def test_a_session_that_was_begun_anew_is_another_one(ours: AralSessionService):
    async def main() -> None:
        first = await ours.create_session(**WHOSE, session_id="s1")
        await ours.append_event(first, said("1"))
        await ours.delete_session(**WHOSE, session_id="s1")
        with pytest.raises(SessionNotFoundError):
            await ours.append_event(first, said("2"))
        second = await ours.create_session(**WHOSE, session_id="s1", state={"new": True})
        await ours.append_event(second, said("2"))
        with pytest.raises(StaleSessionError):
            await ours.append_event(first, said("3"))
        again = await ours.get_session(**WHOSE, session_id="s1")
        assert texts(again) == ["2"] and again is not None and again.state == {"new": True}

    asyncio.run(main())


def test_the_same_event_is_stored_once(ours: AralSessionService):
    async def main() -> None:
        session = await ours.create_session(**WHOSE, session_id="s1")
        event = said("1", actions=EventActions(state_delta={"k": 1, "temp:t": 1}))
        again = event.model_copy(deep=True)
        await ours.append_event(session, event)
        await ours.append_event(session, event)
        await ours.append_event(session, again)
        # A try whose caller has not heard that it was stored: the object is as it was before.
        old = await ours.create_session(**WHOSE, session_id="s2")
        before = old.model_copy(deep=True)
        await ours.append_event(old, said("1", id="e1", timestamp=5.0))
        await ours.append_event(before, said("1", id="e1", timestamp=5.0))
        assert texts(before) == ["1"] and before == await ours.get_session(**WHOSE, session_id="s2")
        await ours.append_event(before, said("2", id="e1", timestamp=5.0))
        assert texts(await ours.get_session(**WHOSE, session_id="s2")) == ["1", "2"], "another one with its id"
        assert texts(await ours.get_session(**WHOSE, session_id="s1")) == ["1"]

    asyncio.run(main())


class Plan(BaseModel):
    day: int


class Shouted(Event):
    volume: int = 1


class Tone(StrEnum):
    LOW = "low"


NAMED: list[tuple[Any, str]] = [
    ((1, 2), "tuple"),
    ({1}, "set"),
    (b"x", "bytes"),
    (Plan(day=1), "Plan"),
    ({"deep": [{"x": (1,)}]}, r"\['deep'\]\[0\]\['x'\] is a tuple"),
    ({1: "x"}, "int"),
    (lambda: 1, "function"),
    (Tone.LOW, "Tone"),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("value", "name"), NAMED)
def test_what_would_not_come_back_equal_is_refused_with_its_name(value: Any, name: str):
    async def main() -> None:
        service = AralSessionService(Store())
        with pytest.raises(InvalidInput, match=name):
            await service.create_session(**WHOSE, session_id="s1", state={"k": value})
        session = await service.create_session(**WHOSE, session_id="s1")
        for event in (
            Event(author="agent", actions=EventActions(state_delta={"k": value})),
            Event(author="agent", output=value),
            Event(author="agent", custom_metadata={"k": value}),
            Event(author="agent", content=types.Content(parts=[types.Part(function_call=types.FunctionCall(args={"k": value}))])),
        ):
            with pytest.raises(InvalidInput, match=name):
                await service.append_event(session, event)
        with pytest.raises(InvalidInput, match="Shouted"):
            await service.append_event(session, Shouted(author="agent", volume=3))
        again = await service.get_session(**WHOSE, session_id="s1")
        assert session.events == [] and again is not None and again.events == [] and again.state == {}

    asyncio.run(main())


def test_a_person_reads_and_edits_what_was_said(ours: AralSessionService):
    async def main() -> None:
        session = await ours.create_session(**WHOSE, session_id="s1")
        call = types.Part(function_call=types.FunctionCall(name="plan", args={"day": 1}))
        result = types.Part(function_response=types.FunctionResponse(name="plan", response={"result": "a secret plan"}))
        secret = "The code is 555-0100, keep it."
        for event in (
            said("What shall we do?", timestamp=1.5),
            Event(author="agent", content=types.Content(role="model", parts=[call])),
            Event(author="agent", content=types.Content(role="user", parts=[result])),
            said(secret, "agent", actions=EventActions(state_delta={"app:last": 1}), custom_metadata={"copy": secret}),
        ):
            await ours.append_event(session, event)
        store = ours._owner.store
        read = store.messages("adk:app/u1/s1")
        assert [(each.role, each.content) for each in read] == [
            ("user", "What shall we do?"),
            ("assistant", '{"day": 1}'),
            ("tool", '{"result": "a secret plan"}'),
            ("assistant", secret),
        ]
        assert read[0].created_at.timestamp() == 1.5 and [each.id for each in read] == [each.id for each in session.events]
        for id, text in ((read[1].id, "none"), (read[2].id, "[removed]"), (read[3].id, "[removed]")):
            store.edit_message("adk:app/u1/s1", id, content=text)
        store.add_message("adk:app/u1/s1", "I was here.", role="critic")
        store.add_message("adk:app/u1/s1", "Not ours.", metadata={"adk": {"data": {"content": 7}, "text": ["x", "y"]}})
        again = await ours.get_session(**WHOSE, session_id="s1")
        assert again is not None and "secret" not in again.model_dump_json() and "555-0100" not in again.model_dump_json()
        parts = [event.content.parts[0] for event in again.events if event.content and event.content.parts]
        assert parts[1].function_call and parts[1].function_call.args == {"content": "none"}
        assert parts[2].function_response and parts[2].function_response.response == {"content": "[removed]"}
        assert [part.text for part in parts[3:]] == ["[removed]", "I was here.", "Not ours."]
        assert [event.author for event in again.events[-2:]] == ["critic", "user"]

    asyncio.run(main())


@pytest.mark.parametrize("kind", ["memory", "file", "sqlite"])
def test_a_state_of_many_changes_stays_small(kind: str, tmp_path: Path):
    async def main() -> None:
        place = None if kind == "memory" else place_in(kind, tmp_path)
        with Store(place, sync="os") as store:
            service = AralSessionService(store)
            session = await service.create_session(**WHOSE, session_id="s1", state={"first": 0})
            created = session.last_update_time
            store.add_action("adk:app/u1/s1", "mine", {"n": 1})
            session = await service.get_session(**WHOSE, session_id="s1")  # type: ignore[assignment]
            for n in range(200):
                await service.append_event(session, changing(**{f"k{n % 7}": n, "app__n": n, "user__n": n}))
            for id in ("adk:app/u1/s1", "adk-app:app", "adk-user:app/u1"):
                summary = store.summary(id)
                assert summary is not None and summary.actions <= 65
            assert [each.data for each in store.actions("adk:app/u1/s1") if each.action_type == "mine"] == [{"n": 1}]
            again = await service.get_session(**WHOSE, session_id="s1")
            assert again == session and again is not None and again.state["app:n"] == 199 and again.state["first"] == 0
            store.clear("adk:app/u1/s1")
            empty = await service.get_session(**WHOSE, session_id="s1")
            assert empty is not None and empty.events == [] and abs(empty.last_update_time - created) < 5

    asyncio.run(main())


@pytest.mark.parametrize("names", [("a/b", "u%1", "s 1"), ("", "", "s"), ("é", "\ud83d", "x/../y")])
def test_names_may_be_anything(names: tuple[str, str, str]):
    app, user, id = names

    async def main() -> None:
        service = AralSessionService(Store())
        made = await service.create_session(app_name=app, user_id=user, session_id=id, state={"user:u": 1})
        assert await service.get_session(app_name=app, user_id=user, session_id=id) == made
        [listed] = (await service.list_sessions(app_name=app)).sessions
        assert (listed.user_id, listed.id, listed.state) == (user, id, {"user:u": 1})

    asyncio.run(main())


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_a_call_that_raises_cancelled_error_has_settled(kind: str, large: bool, tmp_path: Path):
    text = "x" * (15_000 if large else 10)

    async def main() -> None:
        outcomes = set()
        async with await AsyncStore.open(place_in(kind, tmp_path), sync="os") as store:
            service = AralSessionService(store)
            for moment in range(200 if kind == "file" else 40):
                session = await service.create_session(**WHOSE, session_id="s1")
                task = asyncio.ensure_future(service.append_event(session, said(text, actions=EventActions(state_delta={"k": 1}))))
                await cancelled_at(moment, task)
                # No waiting here: what was cancelled has happened, or never will; and the object is as what is stored.
                again = await service.get_session(**WHOSE, session_id="s1")
                assert again is not None and again == session
                outcomes.add(len(again.events))
                await service.append_event(session, said("next"))
                assert texts(session)[-1] == "next"
                await service.delete_session(**WHOSE, session_id="s1")
                assert await service.get_session(**WHOSE, session_id="s1") is None
            assert outcomes == {0, 1}, "it was cancelled always before it began, or always behind its end"

    asyncio.run(main())


def test_each_other_call_that_is_cancelled_has_settled(ours: AralSessionService):
    async def main() -> None:
        for moment in range(12):
            for call in (
                lambda: ours.create_session(**WHOSE, session_id="s1", state={"app:n": 1}),
                lambda: ours.delete_session(**WHOSE, session_id="s1"),
            ):
                task = asyncio.ensure_future(call())
                await asyncio.sleep(0.0001 * moment)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                before = await ours.get_session(**WHOSE, session_id="s1")
                await asyncio.sleep(0.002)
                assert await ours.get_session(**WHOSE, session_id="s1") == before

    asyncio.run(main())


def append_in_a_thread(place: Place, user: str, count: int) -> None:
    async def main() -> None:
        async with AralSessionService(place) as service:
            session = await service.create_session(app_name="app", user_id=user)
            for n in range(count):
                await service.append_event(session, changing(**{"own": n, f"app__{user}": n}))

    asyncio.run(main())


def test_processes_share_what_is_of_the_app(tmp_path: Path):
    place = place_in("sqlite", tmp_path)
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=append_in_a_thread, args=(place, f"u{n}", 70)) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(100)
        assert worker.exitcode == 0

    async def main() -> None:
        async with AralSessionService(place) as service:
            listed = (await service.list_sessions(app_name="app")).sessions
            assert [each.state for each in listed] == [{"own": 69, "app:u0": 69, "app:u1": 69}] * 2

    asyncio.run(main())


def test_threads_share_a_service(place: Place):
    async def one(service: AralSessionService, user: str) -> None:
        session = await service.create_session(app_name="app", user_id=user, session_id="s")
        for n in range(10):
            await service.append_event(session, changing(**{"own": n, f"app__{user}": n}))

    async def main() -> None:
        async with AralSessionService(place) as service:
            await asyncio.gather(*(asyncio.to_thread(asyncio.run, one(service, f"u{n}")) for n in range(4)))
            listed = (await service.list_sessions(app_name="app")).sessions
            assert len(listed) == 4 and all(len(each.state) == 5 and each.state["own"] == 9 for each in listed)

    asyncio.run(main())


class Saying(BaseAgent):
    """An agent that says what it has been told, and remembers how often."""

    async def _run_async_impl(self, ctx: Any) -> Any:
        told = [event for event in ctx.session.events if event.author == "user"]
        yield said(f"half of {self.name}", self.name, partial=True, invocation_id=ctx.invocation_id)
        delta = {self.name: len(told), "user:seen": len(told), "temp:seen": True, "app:last": self.name}
        actions = EventActions(state_delta=delta)
        yield said(f"{self.name} heard {len(told)}", self.name, actions=actions, invocation_id=ctx.invocation_id)


@pytest.mark.filterwarnings("ignore")
def test_a_runner_goes_on_after_a_restart_as_with_adks_own_service(place: Place):
    def agent() -> BaseAgent:
        both = ParallelAgent(name="both", sub_agents=[Saying(name="a"), Saying(name="b")])
        return SequentialAgent(name="root", sub_agents=[Saying(name="first"), both])

    async def turn(service: BaseSessionService, text: str) -> list[str | None]:
        runner = Runner(agent=agent(), app_name="app", session_service=service)
        events = runner.run_async(user_id="u1", session_id="s1", new_message=types.UserContent(text))
        return sorted([event.content.parts[0].text or "" async for event in events if event.content and event.content.parts])

    async def main() -> None:
        adk = InMemorySessionService()
        await adk.create_session(**WHOSE, session_id="s1")
        async with AralSessionService(place) as service:
            await service.create_session(**WHOSE, session_id="s1")
        for n in range(3):
            async with AralSessionService(place) as service:
                assert await turn(service, f"turn {n}") == await turn(adk, f"turn {n}")
                mine, theirs = [await each.get_session(**WHOSE, session_id="s1") for each in (service, adk)]
                assert mine is not None and theirs is not None and sorted(map(str, texts(mine))) == sorted(map(str, texts(theirs)))
                assert mine.state.pop("app:last") in "ab" and theirs.state.pop("app:last") in "ab"
                assert mine.state == theirs.state and mine.state["user:seen"] == n + 1

    asyncio.run(main())


def test_without_adk_the_import_says_what_to_install():
    program = """
        import sys
        sys.modules["google.adk"] = None
        try:
            import aral_store.google_adk
        except ImportError as error:
            assert "aral-store[adk]" in str(error)
        else:
            sys.exit("imported")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)
