"""The chat history for LangChain, on langchain-core itself."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("langchain_core", reason="the extra langchain is not installed")

from langchain_core.language_models.fake_chat_models import FakeListChatModel  # noqa: E402
from langchain_core.messages import (  # noqa: E402
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.runnables.history import RunnableWithMessageHistory  # noqa: E402

from aral_store import AsyncStore, InvalidInput, Store  # noqa: E402
from aral_store.langchain import AralChatMessageHistory  # noqa: E402
from conftest import Place

MESSAGES = [
    SystemMessage("Be kind."),
    HumanMessage("What shall we do? \ud83d", id="h1", name="me", additional_kwargs={"k": [1, {"n": None}]}),
    HumanMessage([{"type": "text", "text": "Look"}, {"type": "image_url", "image_url": {"url": "x"}}]),
    AIMessage(
        "",
        tool_calls=[{"name": "plan", "args": {"day": 1}, "id": "c1", "type": "tool_call"}],
        usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3},
        response_metadata={"model": "m"},
    ),
    ToolMessage("planned", tool_call_id="c1", artifact={"a": 1}),
    AIMessageChunk("This."),
    ChatMessage("Aside.", role="narrator"),
]


@pytest.fixture(params=["store", "async store"])
def history(request: pytest.FixtureRequest, place: Place):
    store = Store(place, sync="os")
    yield AralChatMessageHistory("s1", store if request.param == "store" else AsyncStore(store))
    store.close()


def test_messages_come_back_as_they_were_given(history: AralChatMessageHistory):
    assert history.messages == []
    history.clear()
    history.add_messages([])
    assert "s1" not in history._store
    history.add_messages(MESSAGES[:3])
    for message in MESSAGES[3:]:
        history.add_message(message)
    assert history.messages == MESSAGES
    assert [type(message) for message in history.messages] == [type(message) for message in MESSAGES]
    assert history.last(2) == MESSAGES[-2:]
    history.clear()
    assert history.messages == []
    history.add_user_message("again")
    history.add_ai_message("and again")
    assert history.messages == [HumanMessage("again"), AIMessage("and again")]


def test_the_same_with_an_event_loop(history: AralChatMessageHistory):
    async def main() -> None:
        await history.aadd_messages(MESSAGES)
        assert await history.aget_messages() == MESSAGES
        await history.aclear()
        assert await history.aget_messages() == []

    asyncio.run(main())


def test_a_person_can_read_what_was_said(history: AralChatMessageHistory):
    history.add_messages(MESSAGES)
    read = [(message.role, message.content) for message in history._store.messages("s1")]
    assert read == [
        ("system", "Be kind."),
        ("user", "What shall we do? \ud83d"),
        ("user", "Look"),
        ("assistant", ""),
        ("tool", "planned"),
        ("assistant", "This."),
        ("narrator", "Aside."),
    ]


def test_messages_of_others_are_there_too(history: AralChatMessageHistory):
    for role in ("user", "assistant", "system", "critic"):
        history._store.add_message("s1", f"by {role}", role=role)
    assert history.messages == [
        HumanMessage("by user"),
        AIMessage("by assistant"),
        SystemMessage("by system"),
        ChatMessage("by critic", role="critic"),
    ]


def test_messages_that_are_no_json_are_refused_and_none_is_added(history: AralChatMessageHistory):
    with pytest.raises(InvalidInput):
        history.add_messages([HumanMessage("x"), HumanMessage("y", additional_kwargs={"b": b"bytes"})])
    assert history.messages == []


def test_threads_add_whole_lists(place: Place):
    with Store(place, sync="os") as store:

        async def main() -> None:
            histories = [AralChatMessageHistory("s1", store) for _ in range(6)]
            lists = [[HumanMessage(f"{n}/{m}") for m in range(20)] for n in range(6)]
            await asyncio.gather(*(h.aadd_messages(each) for h, each in zip(histories, lists)))

        asyncio.run(main())
        found = [str(m.content) for m in AralChatMessageHistory("s1", store).messages]
        assert len(found) == 120
        for at in range(0, 120, 20):
            name = found[at].split("/")[0]
            assert found[at : at + 20] == [f"{name}/{m}" for m in range(20)]


@pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")
def test_a_chain_remembers_over_restarts(place: Place):
    for turn in range(2):
        with Store(place) as store:
            asked: list[Any] = []

            class Asked(FakeListChatModel):
                def _call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
                    asked.append([m.content for m in messages])
                    return super()._call(messages, *args, **kwargs)

            chain = RunnableWithMessageHistory(
                Asked(responses=[f"answer {turn}"]), lambda session_id: AralChatMessageHistory(session_id, store)
            )
            chain.invoke([HumanMessage(f"question {turn}")], {"configurable": {"session_id": "s1"}})
    assert asked == [["question 0", "answer 0", "question 1"]]


def test_without_langchain_the_import_says_what_to_install():
    program = """
        import sys
        sys.modules["langchain_core"] = None
        try:
            import aral_store.langchain
        except ImportError as error:
            assert "aral-store[langchain]" in str(error)
        else:
            sys.exit("imported")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True)
