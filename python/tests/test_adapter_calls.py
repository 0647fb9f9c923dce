"""What the adapters promise of calls: keys, cancelling, closing, clearing, windows."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("agents", reason="the extra openai-agents is not installed")
pytest.importorskip("langchain_core", reason="the extra langchain is not installed")

from agents.memory.session_settings import SessionSettings  # noqa: E402
from langchain_core.messages import (  # noqa: E402
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from openai.types.responses import ResponseOutputMessage, ResponseOutputText  # noqa: E402

from aral_store import AlreadyExists, AsyncStore, Closed, Conflict, InvalidInput, NotFound, Store  # noqa: E402
from aral_store.langchain import AralChatMessageHistory  # noqa: E402
from aral_store.openai_agents import AralSession  # noqa: E402
from conftest import Place, cancelled_at, place_in


@pytest.fixture(params=["store", "async store"])
def owner(request: pytest.FixtureRequest, place: Place) -> Any:
    store = Store(place, sync="os")
    yield store if request.param == "store" else AsyncStore(store)
    store.close()


def user(text: str) -> Any:
    return {"role": "user", "content": text}


def said(session: AralSession) -> list[Any]:
    return [item.get("content") for item in asyncio.run(session.get_items())]  # type: ignore[union-attr]


def test_settings_are_coerced_and_checked_as_the_sdk_does():
    session = AralSession("s1", Store())
    assert session.session_settings == SessionSettings()
    asyncio.run(session.add_items([user(str(n)) for n in range(5)]))
    limited = AralSession("s1", session._owner, session_settings={"limit": 1})
    assert limited.session_settings == SessionSettings(limit=1) and said(limited) == ["4"]
    with pytest.raises((TypeError, ValueError)):
        AralSession("s1", Store(), session_settings={"limit": "many"})
    with pytest.raises((TypeError, ValueError)):
        AralSession("s1", Store(), session_settings={"limits": 1})


def test_a_negative_limit_is_none_as_it_is_to_the_sdk():
    session = AralSession("s1", Store(), session_settings=SessionSettings(limit=2))
    asyncio.run(session.add_items([user(str(n)) for n in range(5)]))
    assert len(asyncio.run(session.get_items(limit=-1))) == 5 and len(asyncio.run(session.get_items(limit=-7))) == 5
    assert len(asyncio.run(session.get_items(whole_turns=True, limit=-1))) == 5
    assert asyncio.run(session.get_items(limit=0)) == asyncio.run(session.get_items(limit=0, whole_turns=True)) == []


@pytest.mark.parametrize("id", ["", None, 7])
def test_a_session_without_an_id_is_refused(id: Any):
    for adapter in (AralSession, AralChatMessageHistory):
        with pytest.raises(InvalidInput):
            adapter(id, Store())


def calls_of(session: AralSession, history: AralChatMessageHistory) -> list[Any]:
    return [
        lambda: session.get_items(),
        lambda: session.add_items([]),
        lambda: session.add_items([user("x")]),
        lambda: session.pop_item(),
        lambda: session.clear_session(),
        lambda: history.aget_messages(),
        lambda: history.aadd_messages([]),
        lambda: history.aadd_messages([HumanMessage("x")]),
        lambda: history.aclear(),
        lambda: asyncio.to_thread(history.add_messages, []),
        lambda: asyncio.to_thread(history.clear),
        lambda: asyncio.to_thread(lambda: history.messages),
    ]


def test_what_is_closed_says_so_to_every_call(owner: Any):
    session, history = AralSession("s1", owner), AralChatMessageHistory("s1", owner)
    asyncio.run(session.add_items([user("kept")]))
    session.close()
    history.close()
    session.close()
    for call in calls_of(session, history):
        with pytest.raises(Closed):
            asyncio.run(call())
    other = AralSession("s1", owner)
    assert said(other) == ["kept"], "the store stays open"
    other._store.close()
    for call in calls_of(other, AralChatMessageHistory("s1", owner)):
        with pytest.raises(Closed):
            asyncio.run(call())


class Held:
    """Lets no mutation through before it is told to."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.gate = threading.Event(), threading.Event()
        monkeypatch.setattr(store, "_append", self.held(store._append))

    def held(self, method: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.begun.set()
            assert self.gate.wait(10)
            return method(*args, **kwargs)

        return call


@pytest.mark.parametrize("which", range(5))
def test_a_call_that_raises_cancelled_error_has_settled(owner: Any, which: int, monkeypatch: pytest.MonkeyPatch):
    session, history = AralSession("s1", owner), AralChatMessageHistory("s1", owner)
    asyncio.run(session.add_items([user("first")]))
    held = Held(session._store, monkeypatch)
    changes = [
        lambda: session.add_items([user("second")]),
        lambda: session.pop_item(),
        lambda: session.clear_session(),
        lambda: history.aadd_messages([HumanMessage("second")]),
        lambda: history.aclear(),
    ]
    after = [["first", "second"], [], [], ["first", "second"], []][which]

    async def main() -> None:
        task = asyncio.ensure_future(changes[which]())
        while not held.begun.is_set():
            await asyncio.sleep(0.001)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0.005)
        assert not task.done(), "it has begun, and nobody knows yet what becomes of it"
        held.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        # No waiting here: what was cancelled is there, and before whatever comes next.
        await session.add_items([user("third")])
        assert [item["content"] for item in await session.get_items()] == [*after, "third"]  # type: ignore[typeddict-item]

    asyncio.run(main())


@pytest.mark.parametrize("count", [1, 1000])
@pytest.mark.parametrize("which", ["session", "history", "store"])
@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_at_whatever_moment_an_addition_is_cancelled_it_has_happened_or_never_will(
    kind: str, which: str, count: int, tmp_path: Path
):
    async def main() -> None:
        async with await AsyncStore.open(place_in(kind, tmp_path), sync="os") as store:
            session, history = AralSession("s1", store), AralChatMessageHistory("s1", store)
            additions: dict[str, Callable[[], Any]] = {
                "session": lambda: session.add_items([user("cancelled")] * count),
                "history": lambda: history.aadd_messages([HumanMessage("cancelled")] * count),
                "store": lambda: store.batch(
                    [{"type": "add_message", "conversation_id": "s1", "content": "cancelled"}] * count
                ),
            }
            outcomes = set()
            for moment in range(200 if kind == "file" else 40):
                task = asyncio.ensure_future(additions[which]())
                await cancelled_at(moment, task)
                # No waiting here: what was cancelled has happened, or never will.
                outcomes.add(len(await session.get_items()))
                await session.clear_session()
                await session.add_items([user("kept")])
                assert await session.get_items() == [user("kept")]
                await session.clear_session()
        assert outcomes == {0, count}, "it was cancelled always before it began, or always behind its end"

    asyncio.run(main())


def test_nothing_of_a_cancelled_addition_appears_later(owner: Any):
    session = AralSession("s1", owner)
    items = [user(str(n)) for n in range(1000)]

    async def main() -> None:
        for n in range(6):
            task = asyncio.ensure_future(session.add_items(items))
            await asyncio.sleep(0.001 * n)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await session.clear_session()
            await session.add_items([user("kept")])
            await asyncio.sleep(0.02)
            assert await session.get_items() == [user("kept")]
            await session.clear_session()

    asyncio.run(main())


def test_a_retry_with_the_key_adds_nothing(owner: Any):
    session, history = AralSession("s1", owner), AralChatMessageHistory("h1", owner)
    for _ in range(2):
        asyncio.run(session.add_items([user("one"), user("two")], key="request-7"))
        asyncio.run(session.add_items([], key="request-8"))
        asyncio.run(history.aadd_messages([HumanMessage("one")], key="request-9"))
        history.add_messages([AIMessage("two", id="a1"), AIMessage("three")], key="request-10")
    assert said(session) == ["one", "two"]
    assert [message.content for message in history.messages] == ["one", "two", "three"]
    for others in ([user("one"), user("2")], [user("one"), user("two"), user("three")], [user("two")]):
        with pytest.raises(Conflict):
            asyncio.run(session.add_items(others, key="request-7"))
    asyncio.run(session.add_items([user("two")]))
    assert said(session) == ["one", "two", "two"]


def test_who_cannot_hand_over_a_key_gets_one_from_the_block_around(owner: Any):
    session, history = AralSession("s1", owner), AralChatMessageHistory("h1", owner)

    async def run() -> None:
        await session.add_items([user("one")])
        await asyncio.gather(session.add_items([user("two"), user("three")]))

    for _ in range(2):
        with session.keyed("run-1"):
            asyncio.run(run())
            asyncio.run(session.add_items([user("own key")], key="other"))
        with history.keyed("run-2"):
            history.add_user_message("one")
            asyncio.run(history.aadd_messages([AIMessage("two")]))
    assert said(session) == ["one", "two", "three", "own key"]
    assert [message.content for message in history.messages] == ["one", "two"]
    asyncio.run(session.add_items([user("one")]))
    assert said(session)[-1] == "one"
    with pytest.raises(Conflict), session.keyed("run-1"):
        asyncio.run(session.add_items([user("another")]))


def test_clearing_keeps_what_is_no_item(owner: Any):
    store = owner if isinstance(owner, Store) else owner._store
    for clear in (
        lambda: asyncio.run(AralSession("s1", owner).clear_session()),
        lambda: AralChatMessageHistory("s1", owner).clear(),
        lambda: asyncio.run(AralChatMessageHistory("s1", owner).aclear()),
    ):
        store.reset("s1", title="Plans", metadata={"k": 1})
        store.add_message("s1", "one", id="twice")
        store.add_action("s1", "search", {"q": 1}, id="a1", metadata={"m": 1})
        store.add_message("s1", "two", id="twice")
        actions = store.actions("s1")
        clear()
        assert store.messages("s1") == [] and store.actions("s1") == actions
        assert store["s1"].title == "Plans" and store["s1"].metadata == {"k": 1}
        version = store.summary("s1").version  # type: ignore[union-attr]
        clear()
        assert store.summary("s1").version == version, "nothing to clear is no event"  # type: ignore[union-attr]
    with pytest.raises(NotFound):
        asyncio.run(AralSession("s2", owner).clear_session())
        store["s2"]


def test_objects_of_the_sdk_are_items_and_anything_else_is_refused():
    session = AralSession("s1", Store())
    message = ResponseOutputMessage(
        id="m1",
        type="message",
        role="assistant",
        status="completed",
        content=[ResponseOutputText(text="This.", type="output_text", annotations=[])],
    )
    sent = message.model_dump(exclude_unset=True)
    asyncio.run(session.add_items([message, {"role": "user", "content": [message.content[0]]}]))  # type: ignore[list-item]
    found = asyncio.run(session.get_items())
    assert found[0] == sent and found[1]["content"][0]["text"] == "This."  # type: ignore[typeddict-item, index]
    for item in ("text", None, 7, [user("x")], object()):
        with pytest.raises(InvalidInput):
            asyncio.run(session.add_items([user("x"), item]))  # type: ignore[list-item]
    assert len(asyncio.run(session.get_items())) == 2


def test_an_id_of_the_items_own_is_the_messages(owner: Any):
    session, history = AralSession("s1", owner), AralChatMessageHistory("h1", owner)
    item = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    fakes = [item | {"id": "__fake_id__"}, item | {"id": ""}, item | {"id": "x" * 2000}, item | {"id": 7}]
    asyncio.run(session.add_items([item, item, *fakes]))
    assert asyncio.run(session.get_items()) == [item, item, *fakes]
    ids = [message.id for message in session._store.messages("s1")]
    assert ids[:2] == ["msg_1", "msg_1"] and len(set(ids)) == 5
    history.add_messages([AIMessage("one", id="run-1"), AIMessage("two", id="run-1")])
    history._store.edit_message("h1", "run-1", content="the later one")
    assert history.messages == [AIMessage("one", id="run-1"), AIMessage("the later one", id="run-1")]


def test_a_store_with_unique_ids_takes_no_item_twice():
    item = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}
    for rule in ("refuse", "existing"):
        store = Store(unique_ids=rule)  # type: ignore[arg-type]
        session, history = AralSession("s1", store), AralChatMessageHistory("h1", store)
        asyncio.run(session.add_items([item]))
        history.add_messages([AIMessage("one", id="run-1")])
        if rule == "existing":
            asyncio.run(session.add_items([item]))
            history.add_messages([AIMessage("one", id="run-1")])
        for again in ([item | {"status": "completed"}], [item, user("new")]):
            with pytest.raises(AlreadyExists):
                asyncio.run(session.add_items(again))
        with pytest.raises(AlreadyExists):
            history.add_messages([AIMessage("another", id="run-1")])
        assert asyncio.run(session.get_items()) == [item]
        assert history.messages == [AIMessage("one", id="run-1")]


def call(id: str) -> Any:
    return {"type": "function_call", "call_id": id, "name": "plan", "arguments": "{}"}


def result(id: str) -> Any:
    return {"type": "function_call_output", "call_id": id, "output": "planned"}


def answer(text: str) -> Any:
    return {"type": "message", "role": "assistant", "content": text}


TURNS = [
    {"role": "system", "content": "Be kind."},
    user("1"),
    call("a"),
    call("b"),
    result("b"),
    result("a"),
    answer("1"),
    user("2"),
    answer("2"),
    user("3"),
    call("c"),
    user("while it was asked for"),
    result("c"),
    answer("3"),
]


@pytest.mark.parametrize(
    ("limit", "first"),
    [(1, 9), (2, 9), (4, 9), (5, 9), (6, 9), (7, 7), (8, 7), (12, 7), (13, 1), (14, 1), (99, 1), (None, 1), (0, 14)],
)
def test_a_window_of_whole_turns_begins_with_the_user_and_has_the_calls_of_its_results(limit: int | None, first: int):
    session = AralSession("s1", Store(), whole_turns=True)
    asyncio.run(session.add_items(TURNS))
    assert asyncio.run(session.get_items(limit)) == TURNS[first:]
    assert asyncio.run(AralSession("s1", session._owner).get_items(limit, whole_turns=True)) == TURNS[first:]
    last = TURNS if limit is None else TURNS[len(TURNS) - min(limit, len(TURNS)) :]
    assert asyncio.run(session.get_items(limit, whole_turns=False)) == last, "the SDK's own meaning"


def test_a_conversation_without_a_users_turn_keeps_calls_and_results_together():
    session = AralSession("s1", Store(), whole_turns=True)
    items = [answer("0"), call("a"), result("a"), answer("1")]
    asyncio.run(session.add_items(items))
    assert asyncio.run(session.get_items(2)) == items[-1:] and asyncio.run(session.get_items(3)) == items[-3:]
    asyncio.run(session.clear_session())
    assert asyncio.run(session.get_items(2)) == []


def test_a_window_of_langchain_messages_is_whole_too():
    asks = AIMessage("", tool_calls=[{"name": "plan", "args": {}, "id": "c1", "type": "tool_call"}])
    messages: list[BaseMessage] = [
        SystemMessage("Be kind."),
        HumanMessage("1"),
        AIMessage("1"),
        HumanMessage("2"),
        asks,
        ToolMessage("planned", tool_call_id="c1"),
        AIMessage("2"),
    ]
    history = AralChatMessageHistory("s1", Store())
    history.add_messages(messages)
    for count, first in ((1, 3), (2, 3), (4, 3), (5, 3), (6, 1), (7, 1), (None, 1)):
        assert history.last(count, whole_turns=True) == messages[first:]
        assert asyncio.run(history.alast(count, whole_turns=True)) == messages[first:]
    assert history.last(2) == asyncio.run(history.alast(2)) == messages[-2:]


class Note(BaseMessage):
    type: str = "note"


class Shouted(HumanMessage):
    volume: int


def test_a_message_of_a_type_that_cannot_be_read_back_is_refused(owner: Any):
    history = AralChatMessageHistory("s1", owner)
    for message in (Note("x"), BaseMessage(content="x", type="anything"), "no message", {"role": "user"}):
        with pytest.raises(InvalidInput):
            history.add_messages([HumanMessage("before"), message])  # type: ignore[list-item]
        with pytest.raises(InvalidInput):
            asyncio.run(history.aadd_messages([HumanMessage("before"), message]))  # type: ignore[list-item]
    assert history.messages == []
    history.add_messages([Shouted("x", volume=3), ChatMessage("y", role="note"), ChatMessage("z", role="")])
    assert [(type(message), message.content) for message in history.messages] == [
        (HumanMessage, "x"),
        (ChatMessage, "y"),
        (ChatMessage, "z"),
    ]
    assert history.messages[0].volume == 3  # type: ignore[attr-defined]


def test_one_message_that_langchain_cannot_read_hides_no_other():
    store = Store()
    history = AralChatMessageHistory("s1", store)
    history.add_user_message("before")
    store.add_message("s1", "a note", role="note", metadata={"langchain_message": {"type": "note", "data": {"content": "x"}}})
    store.add_message("s1", "no id", role="tool", metadata={"langchain_message": {"type": "tool", "data": {"content": "x"}}})
    history.add_user_message("after")
    assert history.messages == [
        HumanMessage("before"),
        ChatMessage("a note", role="note"),
        ChatMessage("no id", role="tool"),
        HumanMessage("after"),
    ]


@pytest.mark.parametrize("make", [AsyncStore, lambda path: AralSession("u", path), lambda path: AralChatMessageHistory("u", path)])
@pytest.mark.parametrize("path", ["data", Path("data")])
def test_the_path_of_a_store_is_refused_at_once_with_what_to_pass(make: Any, path: Any):
    with pytest.raises(TypeError, match=r"takes a Store.*open it with Store\('data'\)"):
        make(path)
    with pytest.raises(TypeError, match="takes a Store.*not NoneType"):
        make(None)


def test_a_window_of_a_number_that_is_none_is_refused_as_invalid():
    history = AralChatMessageHistory("u", Store())
    for count in (-1, 1 << 63):
        with pytest.raises(InvalidInput, match="count must be from 0"):
            history.last(count)
