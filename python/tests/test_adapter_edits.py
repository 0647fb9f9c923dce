"""An item of a framework and the message that it is are one thing: an edit of either is seen in both."""

from __future__ import annotations

import asyncio
import copy
import json
from pathlib import Path
from typing import Any

import pytest

from aral_store import InvalidInput, Store
from aral_store._texts import put_together, taken_apart
from conftest import Place

TOKENS = [
    {"token": token, "logprob": -0.5, "bytes": list(token.encode()), "top_logprobs": [{"token": token, "logprob": -0.5}]}
    for token in ("The ", "sec", "ret ", "plan")
]

#: Items, the text of each of which must be gone once the message's content was replaced, and what they are then.
ITEMS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"role": "user", "content": "The secret plan"}, {"role": "user", "content": "[removed]"}),
    ({"content": "The secret plan", "role": "user"}, {"content": "[removed]", "role": "user"}),
    (
        {"role": "user", "content": "The secret plan", "type": "message"},
        {"role": "user", "content": "[removed]", "type": "message"},
    ),
    (
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "The secret plan"},
                {"type": "input_image", "image_url": "x"},
                {"type": "input_text", "text": "and the secret\nof it"},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "input_text", "text": "[removed]"}, {"type": "input_image", "image_url": "x"}],
        },
    ),
    (
        {
            "id": "m1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [
                {
                    "type": "output_text",
                    "text": "The secret plan",
                    "annotations": [{"type": "file_citation", "filename": "plan.txt", "index": 3}],
                    "logprobs": TOKENS,
                }
            ],
        },
        {
            "id": "m1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "[removed]", "annotations": [], "logprobs": []}],
        },
    ),
    (
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No secret is told."}]},
        {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "[removed]"}]},
    ),
    (
        {"type": "function_call", "call_id": "c1", "name": "plan", "arguments": '{"of": "secret"}'},
        {"type": "function_call", "call_id": "c1", "name": "plan", "arguments": '{"content": "[removed]"}'},
    ),
    (
        {"type": "function_call_output", "call_id": "c1", "output": "a secret"},
        {"type": "function_call_output", "call_id": "c1", "output": "[removed]"},
    ),
    (
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "a secret"}]},
        {"type": "function_call_output", "call_id": "c1", "output": [{"type": "input_text", "text": "[removed]"}]},
    ),
    (
        {"type": "mcp_call", "id": "x", "name": "n", "arguments": '{"a": "secret"}', "output": "a secret", "error": None},
        {"type": "mcp_call", "id": "x", "name": "n", "arguments": '{"content": "[removed]"}', "output": "", "error": None},
    ),
    (
        {
            "type": "reasoning",
            "id": "r1",
            "summary": [{"type": "summary_text", "text": "secret 1"}, {"type": "summary_text", "text": "secret 2"}],
            "content": [{"type": "reasoning_text", "text": "secret 3"}],
            "encrypted_content": "gAAA",
        },
        {"type": "reasoning", "id": "r1", "summary": [{"type": "summary_text", "text": "[removed]"}], "content": []},
    ),
    (
        {"type": "code_interpreter_call", "code": "print('secret')", "outputs": [{"type": "logs", "logs": "secret"}]},
        {"type": "code_interpreter_call", "code": "[removed]", "outputs": []},
    ),
    (
        {"type": "file_search_call", "queries": ["secret a", "secret b"], "results": [{"text": "secret", "score": 0.5}]},
        {"type": "file_search_call", "queries": ["[removed]"], "results": []},
    ),
    (
        {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "secret", "stderr": "no secret"}]},
        {"type": "shell_call_output", "call_id": "c", "output": [{"stdout": "[removed]", "stderr": ""}]},
    ),
]


@pytest.fixture
def agents() -> Any:
    pytest.importorskip("agents", reason="the extra openai-agents is not installed")
    from aral_store import openai_agents

    return openai_agents


@pytest.fixture
def langchain() -> Any:
    pytest.importorskip("langchain_core", reason="the extra langchain is not installed")
    from aral_store import langchain

    return langchain


@pytest.mark.parametrize(("item", "edited"), ITEMS)
def test_an_edit_reaches_the_item_and_leaves_no_copy_of_the_text(
    agents: Any, place: Place, item: dict[str, Any], edited: dict[str, Any]
):
    with Store(place, sync="os") as store:
        session = agents.AralSession("s1", store)
        asyncio.run(session.add_items([item]))
        assert asyncio.run(session.get_items()) == [item]
        assert list(asyncio.run(session.get_items())[0]) == list(item), "the order of keys"
        assert "secret" in store.messages("s1")[0].content
        store.edit_message("s1", store.messages("s1")[0].id, content="[removed]")
        assert asyncio.run(session.get_items()) == [edited]
        kept = store.messages("s1")[0].model_dump_json()
        assert "secret" not in kept and '"sec"' not in kept and str(list(b"sec"))[1:-1] not in kept.replace(",", ", ")
        assert asyncio.run(session.pop_item()) == edited


@pytest.mark.parametrize(("item", "edited"), ITEMS)
def test_an_edit_reaches_what_an_earlier_version_has_stored(agents: Any, item: dict[str, Any], edited: dict[str, Any]):
    store = Store()
    before = agents._first_text(item)
    store.add_message("s1", before, role=item.get("role", "tool"), metadata={"openai_agents_item": item})
    session = agents.AralSession("s1", store)
    assert asyncio.run(session.get_items()) == [item]
    store.edit_message("s1", store.messages("s1")[0].id, content="[removed]")
    assert asyncio.run(session.get_items()) == [edited]


def test_an_edit_of_a_call_in_the_form_of_a_call_is_one_of_its_arguments(agents: Any):
    store = Store()
    session = agents.AralSession("s1", store)
    asyncio.run(session.add_items([{"type": "function_call", "call_id": "c1", "name": "plan", "arguments": "{}"}]))
    store.edit_message("s1", store.messages("s1")[0].id, content='plan({"day": 2})')
    assert asyncio.run(session.get_items())[0]["arguments"] == '{"day": 2}'
    store.edit_message("s1", store.messages("s1")[0].id, content='{"day": 3}')
    assert asyncio.run(session.get_items())[0]["arguments"] == '{"day": 3}'


def test_a_text_in_the_place_of_a_picture_is_there(agents: Any):
    store = Store()
    session = agents.AralSession("s1", store)
    picture = {"type": "input_image", "image_url": "x"}
    given = [
        {"role": "user", "content": [picture]},
        {"type": "function_call_output", "call_id": "c1", "output": [picture]},
        {"type": "web_search_call", "id": "w1", "status": "completed"},
        {},
    ]
    asyncio.run(session.add_items(given))
    assert asyncio.run(session.get_items()) == given
    for message in store.messages("s1"):
        store.edit_message("s1", message.id, content="[removed]")
    assert asyncio.run(session.get_items()) == [
        {"role": "user", "content": "[removed]"},
        {"type": "function_call_output", "call_id": "c1", "output": "[removed]"},
        {"role": "assistant", "content": "[removed]"},
        {"role": "assistant", "content": "[removed]"},
    ]


def test_an_edit_of_the_role_reaches_the_item(agents: Any):
    store = Store()
    session = agents.AralSession("s1", store)
    asyncio.run(session.add_items([{"role": "user", "content": [{"type": "input_text", "text": "x"}]}]))
    store.edit_message("s1", store.messages("s1")[0].id, role="system")
    assert asyncio.run(session.get_items())[0]["role"] == "system"


def test_metadata_that_somebody_has_spoilt_hide_no_item(agents: Any, langchain: Any):
    store = Store()
    for metadata in (1, [], {}, {"data": 1}, {"data": {}, "text": ["a", "b"]}, {"data": {}, "texts": [[0]], "length": 4}):
        for name in ("openai_agents", "openai_agents_item", "langchain", "langchain_message"):
            store.add_message("s1", "text", metadata={name: metadata})
    items = asyncio.run(agents.AralSession("s1", store).get_items())
    assert len(items) == 24 and items.count({"role": "user", "content": "text"}) >= 20
    messages = langchain.AralChatMessageHistory("s1", store).messages
    assert [message.content for message in messages] == ["text"] * 24


def messages_of_langchain() -> list[tuple[Any, Any]]:
    from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

    call: Any = {"name": "plan", "args": {"day": 1}, "id": "c1", "type": "tool_call"}
    tokens = {"logprobs": {"content": copy.deepcopy(TOKENS)}, "model_name": "m"}
    return [
        (HumanMessage("secret"), HumanMessage("[removed]")),
        (HumanMessage("secret", name="me"), HumanMessage("[removed]", name="me")),
        (ChatMessage("secret", role="narrator"), ChatMessage("[removed]", role="narrator")),
        (SystemMessage(["a secret", {"type": "text", "text": "secret"}, "secret"]), SystemMessage(["[removed]"])),
        (
            HumanMessage([{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "secret"}]),
            HumanMessage([{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "[removed]"}]),
        ),
        (
            AIMessage([{"type": "thinking", "thinking": "a secret"}, {"type": "text", "text": "secret"}], tool_calls=[call]),
            AIMessage([{"type": "thinking", "thinking": "[removed]"}], tool_calls=[call]),
        ),
        (
            AIMessage("", tool_calls=[call], additional_kwargs={"reasoning_content": "a secret"}),
            AIMessage("[removed]", tool_calls=[call], additional_kwargs={"reasoning_content": ""}),
        ),
        (
            AIMessage("The secret plan", response_metadata=tokens, additional_kwargs={"parsed": {"a": "secret"}}),
            AIMessage(
                "[removed]",
                response_metadata={"logprobs": {"content": []}, "model_name": "m"},
                additional_kwargs={"parsed": {"a": ""}},
            ),
        ),
        (
            ToolMessage("a secret of some length", tool_call_id="c1", artifact={"all": ["a secret of some length"], "n": 1}),
            ToolMessage("[removed]", tool_call_id="c1", artifact={"all": [], "n": 1}),
        ),
        (
            ToolMessage([{"type": "image_url", "image_url": {"url": "secret"}}], tool_call_id="c1"),
            ToolMessage("[removed]", tool_call_id="c1"),
        ),
    ]


def test_an_edit_reaches_the_langchain_message_and_leaves_no_copy_of_the_text(langchain: Any):
    for given, edited in messages_of_langchain():
        store = Store()
        history = langchain.AralChatMessageHistory("s1", store)
        history.add_message(given)
        assert history.messages == [given]
        store.edit_message("s1", store.messages("s1")[0].id, content="[removed]")
        assert history.messages == [edited]
        if "image_url" not in repr(given):
            assert "secret" not in store.messages("s1")[0].model_dump_json()


def test_an_edit_reaches_a_langchain_message_of_an_earlier_version(langchain: Any):
    from langchain_core.messages import message_to_dict

    for given, edited in messages_of_langchain():
        store = Store()
        form = message_to_dict(given)
        store.add_message("s1", str(given.text), role=langchain._role_of(given), metadata={"langchain_message": form})
        history = langchain.AralChatMessageHistory("s1", store)
        assert history.messages == [given]
        store.edit_message("s1", store.messages("s1")[0].id, content="[removed]")
        assert history.messages == [edited]


def test_an_edit_of_the_role_makes_another_message(langchain: Any):
    from langchain_core.messages import ChatMessage, HumanMessage, SystemMessage

    store = Store()
    history = langchain.AralChatMessageHistory("s1", store)
    history.add_message(HumanMessage("x", name="me"))
    store.edit_message("s1", store.messages("s1")[0].id, role="system")
    assert history.messages == [SystemMessage("x")]
    store.edit_message("s1", store.messages("s1")[0].id, role="critic")
    assert history.messages == [ChatMessage("x", role="critic")]


def strings() -> list[Any]:
    return ["", "a", "a longer text, with many words", "two\nlines", "half \ud83d", "\ud83d\ude00", "ünï 😀", "\n", "\0"]


def test_whatever_the_texts_are_an_item_comes_back(agents: Any):
    """Each text in each place, beside each other one."""
    items: list[Any] = []
    for one in strings():
        for two in strings():
            items += [
                {"role": "user", "content": [{"type": "input_text", "text": one}, {"type": "input_text", "text": two}]},
                {"type": "reasoning", "summary": [{"text": one}], "content": [{"text": two}], "encrypted_content": two},
                {"content": one, "output": two, "note": {"deep": [one, {"more": two}]}, "arguments": one},
                {"type": "function_call", "name": one, "arguments": two},
            ]
    store = Store()
    session = agents.AralSession("s1", store)
    asyncio.run(session.add_items(items))
    # Two surrogates that stand together are one character to JSON.
    assert asyncio.run(session.get_items()) == json.loads(json.dumps(items))
    for message in store.messages("s1"):
        store.edit_message("s1", message.id, content="[a new text]")
    for item in asyncio.run(session.get_items()):
        text = json.dumps(item)
        assert "[a new text]" in text
        assert item.get("type") == "function_call" or "longer text, with" not in text


def test_the_metadata_keep_no_text_that_the_content_has():
    content, kept = taken_apart({"role": "user", "content": [{"type": "input_text", "text": "What shall we do?"}]})
    assert content == "What shall we do?"
    assert kept == {
        "data": {"role": "user", "content": [{"type": "input_text", "text": None}]},
        "text": ["content", 0, "text"],
    }
    # The command line's export reads this form too.
    assert taken_apart({"call_id": "c1", "output": "x"}) == (
        "x",
        {"data": {"call_id": "c1", "output": None}, "text": ["output"]},
    )
    assert put_together(copy.deepcopy(kept), "X") == {"role": "user", "content": [{"type": "input_text", "text": "X"}]}


def test_what_nests_too_deeply_or_holds_itself_is_refused(agents: Any):
    def nested(depth: int) -> Any:
        deep: Any = "x"
        for _ in range(depth):
            deep = {"content": deep}
        return deep

    session = agents.AralSession("s1", Store())
    asyncio.run(session.add_items([nested(300)]))
    itself: dict[str, Any] = {"role": "user"}
    itself["content"] = [itself]
    for item in (nested(5000), itself):
        with pytest.raises(InvalidInput):
            asyncio.run(session.add_items([item]))
    assert asyncio.run(session.get_items()) == [nested(300)]
