"""What a save costs, and what it notices."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aral_store import Conversation, InvalidInput, Message, MessageStore, Store
from aral_store import _changes
from conftest import Place, unmirrored


@pytest.fixture
def store(place: Place):
    with MessageStore(place, sync="os", **unmirrored(place)) as store:
        yield store


def filled(store: MessageStore, messages: int) -> Conversation:
    conversation = Conversation(id="c1", title="T")
    for n in range(messages):
        conversation.add_message({"content": str(n), "metadata": {"deep": [{"n": n}]}})
    store._save_conversation(conversation)
    return conversation


def saved(store: MessageStore) -> dict[str, Any]:
    with Store(store._live.opened._place) as beside:
        return beside["c1"].model_dump()


@pytest.mark.parametrize("mirror", ["auto", "close", "never"])
def test_adding_looks_at_no_other_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mirror: Any):
    looked_at = []
    for name in ("_is_still", "_message", "_action"):
        before = getattr(_changes, name)
        monkeypatch.setattr(
            _changes, name, lambda *args, before=before: looked_at.append(args) or before(*args)
        )
    with MessageStore(tmp_path, sync="os", mirror=mirror) as store:
        filled(store, 2000)
        looked_at.clear()
        for n in range(10):
            store.add_message("c1", "x", metadata={"n": n})
            store.add_action("c1", "click", {"n": n})
        assert len(looked_at) == 20, "each addition makes a record of itself alone"
        store._save_conversation(store.get_conversation("c1"))
        assert len(looked_at) > 2000


def test_adding_takes_as_long_in_a_long_conversation(tmp_path: Path):
    def seconds(messages: int) -> float:
        with MessageStore(tmp_path / str(messages), sync="os", mirror="never") as store:
            filled(store, messages)
            times = []
            for _ in range(60):
                begun = time.perf_counter()
                store.add_message("c1", "x")
                times.append(time.perf_counter() - begun)
            return sorted(times)[10]

    # Comparing 10,000 messages takes some 30 ms, adding one a tenth of a millisecond.
    assert seconds(10_000) < 10 * seconds(200)


def set_deep(c: Conversation) -> None:
    c.messages[3].metadata["deep"][0]["n"] = "changed"


def set_default(c: Conversation) -> None:
    c.messages[3].metadata.setdefault("new", [])


def update_in_place(c: Conversation) -> None:
    c.messages[3].metadata |= {"more": {"x": 1}}


def grow_deep(c: Conversation) -> None:
    c.messages[3].metadata["deep"] += [1]


def sort_deep(c: Conversation) -> None:
    c.messages[3].metadata["deep"].insert(0, {"first": True})


def swap(c: Conversation) -> None:
    c.messages[0], c.messages[5] = c.messages[5], c.messages[0]


def double(c: Conversation) -> None:
    c.messages[2:4] = [Message(content="in"), Message(content="the middle")]


def rotate(c: Conversation) -> None:
    c.messages.insert(0, c.messages.pop())


def new_list(c: Conversation) -> None:
    c.messages = c.messages[-3:]


def deep_title(c: Conversation) -> None:
    c.metadata["unwatched"] = {"a": [1]}


EDITS = [set_deep, set_default, update_in_place, grow_deep, sort_deep, swap, double, rotate, new_list, deep_title]


@pytest.mark.parametrize("edit", EDITS)
def test_the_next_addition_takes_every_edit_with_it(store: MessageStore, edit: Callable[[Conversation], None]):
    conversation = filled(store, 8)
    store.add_message("c1", "added before")
    edit(conversation)
    store.add_message("c1", "added after")
    assert saved(store) == conversation.model_dump()
    edit(conversation)
    store.add_action("c1", "click", {})
    assert saved(store) == conversation.model_dump()


def test_an_edit_of_what_was_itself_put_in_by_an_edit_is_noticed(store: MessageStore):
    conversation = filled(store, 8)
    message = conversation.messages[3]
    message.metadata = dict(message.metadata)
    store.add_message("c1", "equal, so that nothing had to be saved")
    message.metadata["later"] = {"x": 1}
    store.add_message("c1", "saves the edit")
    message.metadata["later"]["x"] = 2
    store.add_message("c1", "saves the edit within")
    assert saved(store)["messages"][3]["metadata"]["later"] == {"x": 2}
    conversation.messages[-1].content = "an edit of what was added"
    conversation.messages[-1].metadata["k"] = 1
    store.add_message("c1", "the last")
    assert saved(store) == conversation.model_dump()


@dataclasses.dataclass
class Point:
    x: int


def test_what_cannot_be_noticed_is_looked_for(store: MessageStore):
    conversation = filled(store, 2)
    store.add_message("c1", "x", metadata={"at": Point(1), "in a tuple": ([1], 2)})
    conversation.messages[-1].metadata["at"].x = 2
    conversation.messages[-1].metadata["in a tuple"][0].append(3)
    store.add_message("c1", "y")
    assert saved(store)["messages"][2]["metadata"] == {"at": {"x": 2}, "in a tuple": [[1, 3], 2]}
    # A message in two conversations cannot tell both.
    other = Conversation(id="c2", messages=[conversation.messages[0]])
    store._save_conversation(other)
    assert other.messages[0] is conversation.messages[0]
    other.messages[0].content = "edited once"
    store.add_message("c1", "z")
    assert saved(store)["messages"][0]["content"] == "edited once"
    other.messages[0].content = "edited twice"
    store.add_message("c2", "z")
    assert [m.content for m in Store(store._live.opened._place).messages("c2")] == ["edited twice", "z"]


def test_a_refused_save_forgets_no_edit(store: MessageStore):
    conversation = filled(store, 3)
    conversation.messages[0].metadata["bad"] = {1, 2}
    for _ in range(2):
        with pytest.raises(ValueError):
            store.add_message("c1", "refused")
    conversation.messages[0].metadata["bad"] = "good"
    store.add_message("c1", "saved")
    assert saved(store) == conversation.model_dump()


def test_one_object_in_two_stores_is_saved_by_both(store: MessageStore):
    other = MessageStore()
    conversation = filled(store, 3)
    other._save_conversation(conversation)
    conversation.messages[0].content = "edited once"
    store._save_conversation(conversation)
    other.add_message("c1", "takes the edit with it, although the first store has saved it")
    assert other._store["c1"].model_dump() == conversation.model_dump()


@pytest.mark.parametrize("bad", [{"content": "x"}, "x", None])
def test_what_is_no_message_is_refused_among_messages(store: MessageStore, bad: Any):
    conversation = filled(store, 3)
    for items, what in ((conversation.messages, "messages"), (conversation.actions, "actions")):
        items.append(bad)
        for save in (lambda: store._save_conversation(conversation), lambda: store.add_message("c1", "x")):
            with pytest.raises(InvalidInput, match=what):
                save()
        items.pop()
    conversation.messages, kept = None, conversation.messages  # type: ignore[assignment]
    with pytest.raises(InvalidInput, match="messages"):
        store._save_conversation(conversation)
    conversation.messages = kept
    store.add_message("c1", "and on it goes")
    assert saved(store) == conversation.model_dump()


def test_copies_are_plain_and_equal(store: MessageStore):
    conversation = filled(store, 3)
    for other in (copy.deepcopy(conversation), pickle.loads(pickle.dumps(conversation))):
        assert other == conversation
        other.messages[0].metadata["deep"].append("of the copy alone")
    plain = conversation.model_dump()["messages"][0]["metadata"]
    assert type(plain) is dict and type(plain["deep"]) is list
    assert json.loads(json.dumps(conversation.messages[0].metadata)) == plain
    assert repr(conversation.messages[0].metadata) == repr(plain)
    store.add_message("c1", "x")
    assert saved(store) == conversation.model_dump() and len(conversation.messages) == 4
