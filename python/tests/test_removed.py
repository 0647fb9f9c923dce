"""A conversation that another handle has removed is gone from every live object's store too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from aral_store import MessageStore, Store
from conftest import Place


@pytest.fixture
def both(place: Place):
    with MessageStore(save_dir=place) as store, Store(place) as other:
        store.create_conversation(id="kept", title="Kept")
        conversation = store.create_conversation(id="c1", title="Mine")
        store.add_message("c1", "one")
        store.add_action("c1", "click", {})
        other.remove("c1")
        yield store, other, conversation


Both = tuple[MessageStore, Store, object]


def test_it_is_gone_and_answers_as_any_unknown_id(both: Both):
    store, _, conversation = both
    assert len(conversation.messages) == 1  # type: ignore[attr-defined]
    for id in ("c1", "never"):
        assert id not in store.conversations and store.get_conversation(id) is None
        assert store.get_conversation_messages(id) == [] == store.get_conversation_actions(id)
        assert store.version(id) == 0
        with pytest.raises(KeyError):
            store.conversations[id]
    assert list(store.conversations) == ["kept"] == list(store.to_dict()["conversations"])
    assert [each.id for each in store.get_all_conversations()] == ["kept"]
    assert store.backend.list_conversation_ids() == ["kept"] and len(store.conversations) == 1


def test_an_addition_begins_it_as_it_begins_any_unknown_one(both: Both):
    store, other, before = both
    message = store.add_message("c1", "two")
    conversation = store.get_conversation("c1")
    assert conversation is not None and conversation is not before
    assert conversation.messages == [message] and conversation.actions == []
    assert conversation.title == "Conversation c1" == other["c1"].title
    assert [m.content for m in other.messages("c1")] == ["two"]
    assert list(store.conversations) == ["kept", "c1"]


def test_saving_everything_does_not_bring_it_back(both: Both):
    store, other, conversation = both
    conversation.title = "Changed"  # type: ignore[attr-defined]
    store._save_to_backend()
    assert "c1" not in other and "c1" not in store.conversations
    store.conversations["kept"].title = "Renamed"
    store._save_to_backend()
    assert other["kept"].title == "Renamed" and "c1" not in other


def test_saving_the_object_itself_does_whole(both: Both):
    store, other, conversation = both
    conversation.title = "Mine again"  # type: ignore[attr-defined]
    store._save_conversation(conversation)  # type: ignore[arg-type]
    assert [m.content for m in other.messages("c1")] == ["one"] and len(other.actions("c1")) == 1
    assert other["c1"].title == "Mine again" and store.get_conversation("c1") is conversation


@pytest.mark.parametrize(
    "make",
    [
        lambda store: store.create_conversation("Another", id="c1"),
        lambda store: store.create_conversation("Another", id="c1", key="k"),
    ],
)
def test_creating_it_makes_another_one(both: Both, make: Callable[[MessageStore], object]):
    store, other, before = both
    made = make(store)
    assert made is store.get_conversation("c1") is not before
    assert other["c1"].title == "Another" and other["c1"].messages == []


@pytest.mark.parametrize("events", [1, 2, 3, 4])
def test_one_that_was_begun_again_meanwhile_is_shown_whatever_its_version(place: Place, events: int):
    with MessageStore(save_dir=place) as store, Store(place) as other:
        store.create_conversation(id="c1", title="Before")
        store.add_message("c1", "one")
        store.add_message("c1", "two")
        assert store.version("c1") == 3
        other.remove("c1")
        other.create("c1", title="After")
        for n in range(events - 1):
            other.add_message("c1", f"new {n}")
        assert other.summary("c1").version == events  # type: ignore[union-attr]
        expected = [f"new {n}" for n in range(events - 1)]
        found = store.get_conversation("c1")
        assert (found.title, [m.content for m in found.messages]) == ("After", expected)  # type: ignore[union-attr]
        store.add_message("c1", "last")
        assert [m.content for m in store.get_conversation_messages("c1")] == [*expected, "last"]
        assert [m.content for m in other.messages("c1")] == [*expected, "last"]


def test_one_message_store_hears_of_what_another_one_lost(place: Place):
    with MessageStore(save_dir=place) as one, MessageStore(save_dir=place) as two:
        one.add_message("c1", "x")
        assert len(two.get_conversation_messages("c1")) == 1
        with Store(place) as third:
            third.remove("c1")
        assert one.get_conversation("c1") is None and two.get_conversation("c1") is None
        two.add_message("c1", "y")
        assert [m.content for m in one.get_conversation_messages("c1")] == ["y"]


def test_in_memory_too():
    store = MessageStore()
    store.add_message("c1", "x")
    store._store.remove("c1")
    assert store.get_conversation("c1") is None and list(store.conversations) == []
    assert store.add_message("c1", "y") in store.get_conversation_messages("c1")
