"""The original's contract, row by row, in memory and in files."""

from __future__ import annotations

import dataclasses
import enum
import json
import shutil
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from aral_store import (
    AlreadyExists,
    AralStoreError,
    Closed,
    Conflict,
    Conversation,
    ConversationAction,
    Corrupt,
    InvalidInput,
    Message,
    MessageStore,
    NoSpace,
    Store,
    Unsupported,
)
from conftest import KINDS, Place, place_in, unmirrored

FIXTURES = Path(__file__).parents[2] / "tests" / "fixtures" / "aral"


@pytest.fixture(params=["memory", *KINDS])
def store(request: pytest.FixtureRequest, tmp_path: Path):
    place = place_in(request.param, tmp_path)
    more = {} if request.param == "memory" else {"save_dir": place, "sync": "os", **unmirrored(place)}
    with MessageStore(**more) as store:
        yield store


def reopened(store: MessageStore) -> MessageStore:
    """The store as another program finds it; itself if it is in memory."""
    place = store._live.opened._place
    if place is None:
        return store
    store.close()
    return MessageStore(place, **unmirrored(place))


def dump(store: MessageStore) -> dict[str, Any]:
    return {id: conversation.model_dump() for id, conversation in store.conversations.items()}


# K1, K2, K17: titles and ids.


@pytest.mark.parametrize(
    ("title", "id", "expected"),
    [
        (None, "0123456789", "Conversation 01234567"),
        ("", "0123456789", "Conversation 01234567"),
        (0, "abc", "Conversation abc"),
        (" ", "abc", " "),
        ("T", "abc", "T"),
        (None, "\U0001f600" * 9, "Conversation " + "\U0001f600" * 8),
    ],
)
def test_titles(store: MessageStore, title: Any, id: str, expected: str):
    assert Conversation(id=id, title=title).title == expected
    assert store.create_conversation(title, id).title == expected
    store = reopened(store)
    assert store.conversations[id].title == expected


def test_ids_are_random_uuids(store: MessageStore):
    made = [store.create_conversation(), store.create_conversation(id=""), store.create_conversation(id=None)]
    ids = [c.id for c in made] + [store.add_message("c", "x").id, store.add_action("c", "t", {}).id]
    for id in ids:
        assert str(uuid.UUID(id)) == id and uuid.UUID(id).version == 4
    assert len(set(ids)) == 5
    assert made[0].title == "Conversation " + made[0].id[:8]


def test_a_model_without_id_and_title_is_called_by_its_own_id():
    conversation = Conversation()
    assert conversation.title == "Conversation " + conversation.id[:8]


@pytest.mark.parametrize("title", ['"title": ""', '"title": null', '"other": 1'])
def test_a_file_without_a_title_gets_the_default_one(tmp_path: Path, title: str):
    (tmp_path / "conversations").mkdir()
    times = '"created_at": "2025-03-13T15:11:33", "metadata": {}, "messages": [], "actions": []'
    (tmp_path / "conversations/0123456789.json").write_text('{"id": "0123456789", %s, %s}' % (title, times))
    for _ in range(2):
        with MessageStore(tmp_path, sync="os") as store:
            assert store.conversations["0123456789"].title == "Conversation 01234567"
            store.add_message("0123456789", "x")


# K3, K4, K5, K6.


def test_what_is_not_there_begins(store: MessageStore):
    store.add_message("new", "hi")
    store.add_action("newer", "click", {"x": 1})
    store = reopened(store)
    assert store.backend.list_conversation_ids() == ["new", "newer"]
    conversation = store.get_conversation("new")
    assert (conversation.title, conversation.metadata, len(conversation.messages)) == ("Conversation new", {}, 1)
    for call in (lambda: store.add_message("", "x"), lambda: store.add_action("", "x", {})):
        with pytest.raises(ValueError):
            call()
    assert len(store.conversations) == 2


def test_creating_again_replaces(store: MessageStore):
    old = store.create_conversation("first", id="c1", metadata={"old": 1})
    store.create_conversation("another", id="c2")
    store.add_message("c1", "gone")
    new = store.create_conversation("second", id="c1")
    assert (new.messages, new.metadata) == ([], {}) and new is not old
    assert store.get_conversation("c1") is new and [m.content for m in old.messages] == ["gone"]
    assert list(store.conversations) == ["c1", "c2"], "it stays in its place"
    assert store.version("c1") == 3, "versions go on"
    store.add_message("c1", "kept")
    assert [m.content for m in store.get_conversation_messages("c1")] == ["kept"] == [m.content for m in new.messages]
    again = reopened(store)
    assert again.get_conversation("c1").model_dump() == new.model_dump()
    assert list(again.conversations) == ["c1", "c2"]
    again.close()


def test_a_file_of_a_replaced_conversation_is_that_of_the_new_one(tmp_path: Path):
    with MessageStore(tmp_path) as store:
        store.create_conversation("first", id="c1", metadata={"old": 1})
        store.add_message("c1", "gone")
        new = store.create_conversation("second", id="c1")
        file = tmp_path / "conversations/c1.json"
        fields = {"id": "c1", "title": "second", "created_at": new.created_at.isoformat()}
        assert file.read_text() == json.dumps(fields | {"metadata": {}, "messages": [], "actions": []}, indent=2)
        assert json.loads((tmp_path / "message_store.json").read_text()) == {"conversation_ids": ["c1"]}


def test_an_object_that_was_replaced_can_be_saved_back(store: MessageStore):
    old = store.create_conversation("first", id="c1")
    store.add_message("c1", "back again")
    store.create_conversation("second", id="c1")
    store._save_conversation(old)
    assert store.get_conversation("c1") is old
    again = reopened(store)
    assert again.get_conversation("c1").model_dump() == old.model_dump()
    again.close()


def test_a_keyed_creation_replaces_once(store: MessageStore):
    store.add_message("c1", "gone")
    new = store.create_conversation("T", id="c1", key="k")
    store.add_message("c1", "kept")
    assert store.create_conversation("T", id="c1", key="k") is new
    assert [m.content for m in new.messages] == ["kept"]
    with pytest.raises(Conflict):
        store.create_conversation("another", id="c1", key="k")
    # A retry makes another id up; what counts is that the caller gave none.
    made = store.create_conversation(key="none")
    assert store.create_conversation(key="none") is made
    assert made.title == "Conversation " + made.id[:8]
    again = reopened(store)
    assert again.create_conversation(key="none").id == made.id
    again.close()


def test_another_store_sees_a_conversation_that_began_anew(place: Place):
    a, b = MessageStore(place), MessageStore(place)
    a.add_message("c1", "gone")
    live = b.get_conversation("c1")
    new = a.create_conversation("anew", id="c1")
    assert b.get_conversation("c1") is live
    assert live.model_dump() == new.model_dump()
    b._save_conversation(live)
    assert b.version("c1") == 2, "there is nothing to save"
    a.close()
    b.close()


def test_what_is_unknown_is_nothing(store: MessageStore):
    for id in ("nobody", "", "\ud800"):
        assert store.get_conversation(id) is None
        assert store.get_conversation_messages(id) == [] == store.get_conversation_actions(id)
    with pytest.raises(KeyError):
        store.conversations["nobody"]
    assert store.backend.list_conversation_ids() == []


# K7, K8, K9: live objects.


def test_objects_are_live(store: MessageStore):
    conversation = store.create_conversation(id="c1")
    messages = store.get_conversation_messages("c1")
    message = store.add_message("c1", "hi")
    action = store.add_action("c1", "click", {"x": 1})
    assert conversation.messages is messages and messages[0] is message
    assert store.get_conversation_actions("c1")[0] is action
    assert store.get_conversation("c1") is conversation is store.conversations["c1"]
    assert store.get_all_conversations() == [conversation]


def edit_title(c: Conversation) -> None:
    c.title = "new"


def edit_metadata(c: Conversation) -> None:
    c.metadata["k"] = [1, {"deep": None}]


def edit_content(c: Conversation) -> None:
    c.messages[0].content = "changed"


def edit_message_metadata(c: Conversation) -> None:
    c.messages[1].metadata["seen"] = True


def edit_role(c: Conversation) -> None:
    c.messages[1].role = "system"


def edit_id(c: Conversation) -> None:
    c.messages[1].id = "renamed"


def edit_time(c: Conversation) -> None:
    c.messages[0].created_at = datetime(2020, 1, 1, tzinfo=timezone.utc)


def edit_data(c: Conversation) -> None:
    c.actions[0].data["y"] = 2


def add_both(c: Conversation) -> None:
    c.add_message({"content": "from a dict", "role": "assistant"})
    c.add_message(Message(content="as a model", id="m9"))
    c.add_action({"action_type": "t", "data": {}})


def remove_one(c: Conversation) -> None:
    del c.messages[1]


def remove_and_add(c: Conversation) -> None:
    del c.messages[0]
    c.messages[0].content = "edited"
    c.messages.append(Message(content="added"))


def remove_all(c: Conversation) -> None:
    c.messages.clear()
    c.actions = []


def turn_round(c: Conversation) -> None:
    c.messages.reverse()


def insert_first(c: Conversation) -> None:
    c.messages.insert(0, Message(content="before"))


def share_an_id(c: Conversation) -> None:
    c.messages.append(Message(content="twin", id=c.messages[0].id))
    c.messages[0].content = "the first twin"


def remove_and_turn_round(c: Conversation) -> None:
    del c.messages[1]
    c.messages.reverse()


def everything(c: Conversation) -> None:
    for edit in (edit_title, edit_metadata, edit_role, edit_data, insert_first, share_an_id):
        edit(c)


EDITS = [edit_title, edit_metadata, edit_content, edit_message_metadata, edit_role, edit_time, edit_data, add_both]
EDITS += [remove_one, remove_and_add, remove_all, turn_round, insert_first, share_an_id, everything]
EDITS += [edit_id, remove_and_turn_round]


def filled(store: MessageStore) -> Conversation:
    store.add_message("other", "untouched")
    conversation = store.create_conversation("T", id="c1", metadata={"a": 1})
    for n in range(3):
        store.add_message("c1", f"message {n}", metadata={"n": n} if n else None)
    store.add_action("c1", "click", {"x": 1})
    return conversation


@pytest.mark.parametrize("edit", EDITS)
def test_a_save_takes_every_edit(store: MessageStore, edit: Callable[[Conversation], None]):
    conversation = filled(store)
    edit(conversation)
    expected = conversation.model_dump()
    store._save_conversation(conversation)
    assert store.version("other") == 1
    version = store.version("c1")
    store._save_conversation(conversation)
    assert store.version("c1") == version, "nothing is appended for nothing"
    again = reopened(store)
    assert again.get_conversation("c1").model_dump() == expected
    again.close()


@pytest.mark.parametrize("edit", EDITS)
def test_the_next_save_of_any_kind_takes_the_edits_with_it(store: MessageStore, edit: Callable[[Conversation], None]):
    conversation = filled(store)
    edit(conversation)
    store.add_message("c1", "the next save")
    expected = conversation.model_dump()
    again = reopened(store)
    assert again.get_conversation("c1").model_dump() == expected
    again.close()


@pytest.mark.parametrize("at", [0, 1])
def test_twins_by_id_are_told_apart(store: MessageStore, at: int):
    conversation = filled(store)
    for content in ("one", "two"):
        conversation.add_message(Message(content=content, id="twin"))
    store._save_conversation(conversation)
    conversation.messages[3 + at].content = "edited"
    store._save_conversation(conversation)
    again = reopened(store)
    contents = [m.content for m in again.get_conversation_messages("c1")[3:]]
    assert contents == (["edited", "two"] if at == 0 else ["one", "edited"])
    del again.get_conversation_messages("c1")[3 + at]
    again._save_conversation(again.get_conversation("c1"))
    again = reopened(again)
    assert [m.content for m in again.get_conversation_messages("c1")[3:]] == [contents[1 - at]]
    again.close()


def test_edits_that_are_not_saved_are_not_there(place: Place):
    with MessageStore(place) as store:
        filled(store).title = "never saved"
    with MessageStore(place) as store:
        assert store.conversations["c1"].title == "T"
        store.conversations["c1"].title = "saved with all"
        store._save_to_backend()
    with MessageStore(place) as store:
        assert store.conversations["c1"].title == "saved with all"


def test_every_field_can_be_changed_in_place(store: MessageStore):
    conversation = filled(store)
    before = store.version("c1")
    conversation.created_at = datetime(2020, 1, 1)
    message, action = conversation.messages[1], conversation.actions[0]
    message.role, message.created_at = "tool", datetime(2020, 1, 2)
    action.action_type, action.data, action.created_at = "other", {"new": True}, datetime(2020, 1, 3)
    action.metadata = {"m": 1}
    store._save_conversation(conversation)
    assert store.version("c1") == before + 3, "one event for each thing that was changed"
    again = reopened(store)
    assert again.get_conversation("c1").model_dump() == conversation.model_dump()
    again.close()


def read(store: MessageStore, id: str) -> dict[str, Any] | None:
    """The conversation as it is saved."""
    found = store._store.get(id)
    return None if found is None else found.model_dump()


def test_a_changed_id_saves_the_conversation_under_the_new_one_and_keeps_the_old(store: MessageStore):
    conversation = filled(store)
    before = read(store, "c1")
    conversation.id, conversation.title = "c2", "renamed"
    conversation.add_message({"content": "not saved before"})
    assert store.get_conversation("c1") is conversation and "c2" not in store.conversations, "not saved yet"
    store._save_conversation(conversation)
    # The object is the new one's; what was saved under the old id is as it was, and has another object.
    assert store.get_conversation("c2") is conversation
    assert read(store, "c1") == before == store.get_conversation("c1").model_dump()
    assert list(store.conversations) == ["other", "c1", "c2"]
    message = store.add_message("c2", "to the new one")
    assert conversation.messages[-1] is message
    store.add_message("c1", "to the old one")
    expected = [m.content for m in conversation.messages]
    assert expected == ["message 0", "message 1", "message 2", "not saved before", "to the new one"]
    again = reopened(store)
    assert again.get_conversation("c2").model_dump() == conversation.model_dump()
    assert [m.content for m in again.get_conversation_messages("c1")] == [*expected[:3], "to the old one"]
    again.close()


def save_all(store: MessageStore) -> None:
    store._save_to_backend()


def add_to_the_old_one(store: MessageStore) -> None:
    store.add_message("c1", "to the old one")
    del store.get_conversation("c1").messages[-1]
    store._save_to_backend()


@pytest.mark.parametrize("save", [save_all, add_to_the_old_one])
def test_every_save_takes_a_changed_id_with_it(store: MessageStore, save: Callable[[MessageStore], None]):
    conversation = filled(store)
    before = read(store, "c1")
    conversation.id = "c2"
    save(store)
    assert store.get_conversation("c2") is conversation and read(store, "c1") == before
    assert read(store, "c2") == conversation.model_dump() == before | {"id": "c2"}
    versions = store.version("c1"), store.version("c2")
    store._save_to_backend()
    assert versions == (store.version("c1"), store.version("c2")), "nothing is appended for nothing"


def test_an_id_that_another_one_has_is_refused_and_nothing_is_saved(store: MessageStore):
    conversation = filled(store)
    conversation.id = "other"
    before = read(store, "c1"), read(store, "other"), store.stats().last_seq
    for save in (lambda: store._save_conversation(conversation), lambda: store.add_message("c1", "x"), lambda: save_all(store)):
        with pytest.raises(AlreadyExists, match="store.conversations"):
            save()
    assert (read(store, "c1"), read(store, "other"), store.stats().last_seq) == before
    # What the error says can be done.
    store.conversations["other"] = conversation
    save_all(store)
    assert read(store, "other") == conversation.model_dump() and read(store, "c1") == before[0]
    assert store.get_conversation("c1") is not conversation is store.get_conversation("other")


@pytest.mark.parametrize("bad", ["", None, 7, [], "x" * 5000, "half \ud800"])
def test_an_id_that_is_none_is_refused_and_nothing_is_saved(store: MessageStore, bad: Any):
    conversation = filled(store)
    conversation.id = bad
    last = store.stats().last_seq
    with pytest.raises(InvalidInput):
        store._save_conversation(conversation)
    assert store.stats().last_seq == last
    conversation.id, conversation.title = "c1", "and on it goes"
    store._save_conversation(conversation)
    assert read(store, "c1")["title"] == "and on it goes"


def test_one_that_is_refused_keeps_no_other_file_waiting(tmp_path: Path):
    with MessageStore(tmp_path) as store:
        other, conversation = store.create_conversation(id="other"), store.create_conversation(id="c1")
        other.title, conversation.id = "saved before", "other"
        with pytest.raises(AlreadyExists):
            store._save_to_backend()
        assert json.loads((tmp_path / "conversations/other.json").read_text())["title"] == "saved before"


def test_a_conversation_is_not_ended_by_forgetting_it(store: MessageStore):
    filled(store)
    for forget in (lambda: store.conversations.pop("c1"), store.conversations.clear):
        with pytest.raises(Unsupported) as caught:
            forget()
        assert isinstance(caught.value, NotImplementedError)
    assert list(store.conversations) == ["other", "c1"]


def test_a_new_id_gets_a_file_and_the_old_file_stays(tmp_path: Path):
    with MessageStore(tmp_path) as store:
        filled(store)
        file = tmp_path / "conversations/c1.json"
        before = file.read_bytes()
        store.conversations["c1"].id = "c2"
        store._save_conversation(store.conversations["c1"])
        assert file.read_bytes() == before
        text = (tmp_path / "conversations/c2.json").read_text()
        assert text == before.decode().replace('"id": "c1"', '"id": "c2"')
        assert json.loads((tmp_path / "message_store.json").read_text())["conversation_ids"] == ["other", "c1", "c2"]


@pytest.mark.parametrize(("field", "bad"), [("content", 7), ("role", None), ("metadata", None), ("created_at", "now")])
def test_a_field_of_the_wrong_type_is_refused_and_nothing_is_saved(store: MessageStore, field: str, bad: Any):
    conversation = filled(store)
    before, good = store.version("c1"), getattr(conversation.messages[1], field)
    setattr(conversation.messages[1], field, bad)
    with pytest.raises(InvalidInput):
        store._save_conversation(conversation)
    assert store.version("c1") == before
    setattr(conversation.messages[1], field, good)
    store.add_message("c1", "it goes on")


def test_a_conversation_made_elsewhere_is_saved(store: MessageStore):
    conversation = Conversation(id="mine", metadata={"k": 1})
    conversation.add_message({"content": "hi", "id": "m"})
    store._save_conversation(conversation)
    assert store.get_conversation("mine") is conversation
    again = reopened(store)
    assert again.get_conversation("mine").model_dump() == conversation.model_dump()
    again.close()


def test_order_is_that_of_creation(store: MessageStore):
    for id in ("z", "a", "m"):
        store.create_conversation(id=id)
    store.add_message("a", "the newest")
    assert list(store.conversations) == ["z", "a", "m"] == [c.id for c in store.get_all_conversations()]
    again = reopened(store)
    assert list(again.conversations) == ["z", "a", "m"]
    again.close()


def test_order_is_that_of_the_originals_index(tmp_path: Path):
    ids = ["z", "a", "m", "b"]
    with MessageStore(tmp_path, sync="os", mirror="close") as store:
        for id in sorted(ids):
            store.create_conversation(id=id)
    shutil.rmtree(tmp_path / "log")
    (tmp_path / "message_store.json").write_text(json.dumps({"conversation_ids": ids}, indent=2))
    for _ in range(2):
        with MessageStore(tmp_path, sync="os") as store:
            assert list(store.conversations) == ids == store.backend.list_conversation_ids()
            assert [c.id for c in store.get_all_conversations()] == ids
            store.add_message("m", "the newest")


# K10, K11, K12, K13: what is accepted.


class Colour(str, enum.Enum):
    RED = "red"


class Loud(str):
    pass


@pytest.mark.parametrize(
    ("given", "kept"),
    [("", ""), ("x", "x"), (Loud("x"), "x"), (Colour.RED, "red"), (b"gr\xc3\xbc\xc3\x9f", "grüß"), (bytearray(b"b"), "b")],
)
def test_texts_that_are_accepted(store: MessageStore, given: Any, kept: str):
    store.add_message("c1", given, role=given)
    store.add_action("c1", given, {})
    again = reopened(store)
    [message] = again.get_conversation_messages("c1")
    assert (message.content, message.role) == (kept, kept)
    assert again.get_conversation_actions("c1")[0].action_type == kept
    again.close()


@pytest.mark.parametrize("bad", [1, 1.5, True, None, [], {}, b"\xff"])
def test_texts_that_are_refused_leave_nothing(store: MessageStore, bad: Any):
    for call in (
        lambda: store.add_message("c1", bad),
        lambda: store.add_message("c1", "x", role=bad),
        lambda: store.add_action("c1", bad, {}),
        lambda: Message(content=bad),
    ):
        with pytest.raises(ValueError):
            call()
    assert len(store.conversations) == 0


@dataclasses.dataclass
class Point:
    x: int


class Model(BaseModel):
    at: datetime


TIME = datetime(2025, 3, 13, 15, 11, 33, 100)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({b"k": 1}, {"k": 1}),
        ({"k": (1, 2)}, {"k": [1, 2]}),
        ({"k": {1: "a", None: "b", True: "c", 1.5: "d"}}, {"k": {"1": "c", "null": "b", "1.5": "d"}}),
        ({"k": TIME}, {"k": "2025-03-13T15:11:33.000100"}),
        ({"k": Colour.RED}, {"k": "red"}),
        ({"k": Point(1)}, {"k": {"x": 1}}),
        ({"k": Model(at=TIME)}, {"k": {"at": "2025-03-13T15:11:33.000100"}}),
        ({"k": 10**500}, {"k": 10**500}),
        ({"k": float("inf"), "j": "\ud800"}, {"k": float("inf"), "j": "\ud800"}),
    ],
)
def test_metadata_that_is_accepted(place: Place, given: Any, kept: Any):
    with MessageStore(place) as store:
        store.create_conversation(id="c1", metadata=given)
        store.add_message("c1", "x", metadata=given)
        store.add_action("c1", "x", given, metadata=given)
    with MessageStore(place) as store:
        conversation = store.conversations["c1"]
        found = [conversation.metadata, conversation.messages[0].metadata]
        found += [conversation.actions[0].metadata, conversation.actions[0].data]
        assert found == [kept] * 4


LOOP: dict[str, Any] = {}
LOOP["self"] = LOOP


@pytest.mark.parametrize(
    "bad",
    [
        {1: "x"},
        [],
        "x",
        {"k": b"bytes"},
        {"k": {1}},
        {"k": uuid.uuid4()},
        {"k": Decimal(1)},
        {"k": Path("x")},
        {"k": date(2025, 1, 1)},
        {"k": timedelta(1)},
        {"k": {(1, 2): 3}},
        LOOP,
    ],
)
def test_metadata_that_is_refused_leaves_nothing_and_poisons_nothing(store: MessageStore, bad: Any):
    store.add_message("c1", "before")
    for call in (
        lambda: store.create_conversation(id="c2", metadata=bad),
        lambda: store.add_message("c2", "x", metadata=bad),
        lambda: store.add_message("c1", "x", metadata=bad),
        lambda: store.add_action("c1", "x", bad),
        lambda: store.add_action("c2", "x", {}, metadata=bad),
    ):
        with pytest.raises(ValueError):
            call()
    store.add_message("c1", "after")
    assert list(store.conversations) == ["c1"]
    assert [m.content for m in store.get_conversation_messages("c1")] == ["before", "after"]


def test_no_metadata_is_empty_metadata_but_not_for_the_model(store: MessageStore):
    assert store.add_message("c1", "x", metadata=None).metadata == {}
    with pytest.raises(ValidationError):
        Message(content="x", metadata=None)


def test_the_callers_objects_stay_the_callers(store: MessageStore):
    metadata = {"nested": [1]}
    store.create_conversation(id="c1")
    message = store.add_message("c1", "x", metadata=metadata)
    metadata["nested"].append(2)
    store.add_message("c1", "y")
    again = reopened(store)
    assert message.metadata == {"nested": [1]} == again.get_conversation_messages("c1")[0].metadata
    again.close()


def test_unknown_fields_are_ignored_by_the_models():
    assert Message(content="x", colour="red").model_dump().keys() == {"id", "content", "role", "created_at", "metadata"}
    fields = ["id", "title", "created_at", "metadata", "messages", "actions"]
    assert list(Conversation().model_dump()) == fields
    action = ConversationAction(action_type="t", data={})
    assert list(action.model_dump()) == ["id", "action_type", "data", "created_at", "metadata"]


# K14, K15: dictionaries.


def test_dictionaries_there_and_back(store: MessageStore):
    filled(store)
    data = store.to_dict()
    assert list(data) == ["conversations"] and list(data["conversations"]) == ["other", "c1"]
    assert isinstance(data["conversations"]["c1"]["created_at"], datetime)
    again = MessageStore.from_dict(data)
    assert again.to_dict() == data and again.save_dir is None
    assert again.backend.list_conversation_ids() == ["other", "c1"]
    assert MessageStore.from_json(store.to_json()).to_dict() == data
    again.add_message("c1", "it lives")
    assert len(again.conversations["c1"].messages) == 4


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2025-03-13T15:11:33", datetime(2025, 3, 13, 15, 11, 33)),
        ("2025-03-13 15:11", datetime(2025, 3, 13, 15, 11)),
        (TIME, TIME),
        (0, datetime(1970, 1, 1, tzinfo=timezone.utc)),
        ("1700000000000", datetime(2023, 11, 14, 22, 13, 20, tzinfo=timezone.utc)),
    ],
)
def test_times_in_dictionaries(time: Any, expected: datetime):
    conversation = {"id": "inner", "created_at": time, "messages": [{"content": "x", "created_at": time}]}
    store = MessageStore.from_dict({"conversations": {"outer": conversation}})
    found = store.conversations["outer"]
    assert found.id == "inner" and found.created_at == expected == found.messages[0].created_at
    assert (found.created_at.tzinfo is None) == (expected.tzinfo is None)
    store.add_message("outer", "y")
    assert len(found.messages) == 2 and list(store.conversations) == ["outer"]


# K16: how it is opened.


def test_ways_to_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(ValueError, match="save_dir must be provided when using file backend"):
        MessageStore(backend_type="file")
    with pytest.raises(ValueError, match="save_dir must be provided when using file backend"):
        MessageStore("", "file")
    with pytest.raises(ValueError):
        MessageStore(backend_type="sqlite")
    with pytest.raises(ValueError):
        MessageStore(mirror="sometimes")  # type: ignore[arg-type]
    monkeypatch.chdir(tmp_path)
    assert MessageStore(None).save_dir is None and MessageStore(save_dir=None).save_dir is None
    assert not list(tmp_path.iterdir())
    with MessageStore("~") as store:
        monkeypatch.chdir("/")
        store.add_message("c1", "x")
        assert store.save_dir == tmp_path / "~"
    assert (tmp_path / "~/conversations/c1.json").exists()


@pytest.mark.parametrize("more", [(), ("memory",), ("file",)])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_directory_alone_says_that_the_store_is_in_files(tmp_path: Path, kind: type, more: tuple[str, ...]):
    dir = tmp_path / "made" / "as needed"
    with MessageStore(kind(dir), *more) as store:
        assert (dir / "conversations").is_dir()
        assert json.loads((dir / "message_store.json").read_text()) == {"conversation_ids": []}
        store.add_message("c1", "x")
    with MessageStore(dir) as store:
        assert [m.content for m in store.get_conversation_messages("c1")] == ["x"]


def test_a_kind_of_store_that_is_not_known_is_in_files_and_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match="'sqlite' is not known: the store is in files"):
        store = MessageStore("data", "sqlite")
    store.add_message("c1", "x")
    assert (tmp_path / "data/conversations/c1.json").exists()
    store.close()


def test_times_are_naive_and_local(store: MessageStore):
    before = datetime.now()
    message = store.add_message("c1", "x")
    assert before <= message.created_at <= datetime.now() and message.created_at.tzinfo is None
    again = reopened(store)
    assert again.get_conversation_messages("c1")[0].created_at == message.created_at
    again.close()


# K19, K20 and the bytes.


def files(dir: Path) -> dict[str, bytes]:
    found = {}
    for path in dir.rglob("*"):
        name = str(path.relative_to(dir))
        if path.is_file() and not name.startswith("log/"):
            found[name] = path.read_bytes()
    return found


@pytest.mark.parametrize("mirror", ["always", "auto", "close", "never"])
@pytest.mark.parametrize("fixture", sorted(p.name for p in FIXTURES.iterdir()))
def test_the_originals_directories_keep_every_byte(tmp_path: Path, fixture: str, mirror: Any):
    before = files(FIXTURES / fixture)
    dir = tmp_path / "data"
    shutil.copytree(FIXTURES / fixture, dir)
    with MessageStore(dir, mirror=mirror) as store:
        for conversation in store.get_all_conversations():
            store._save_conversation(conversation)
        store._save_to_backend()
        assert store.stats().last_seq == 0, "an object that was read differs from what is stored"
    assert files(dir) == before
    with MessageStore(dir, mirror=mirror) as store:
        for conversation in store.get_all_conversations():
            message = store.add_message(conversation.id, "x")
            conversation.messages.remove(message)
            store._save_conversation(conversation)
            # And once more with all items written anew, which no field may be lost by.
            conversation.messages.insert(0, message)
            store._save_conversation(conversation)
            conversation.messages.remove(message)
            store._save_conversation(conversation)
        store.compact()
    assert files(dir) == before


def test_fields_without_a_name_are_kept(tmp_path: Path):
    shutil.copytree(FIXTURES / "readme", tmp_path / "data")
    [file] = (tmp_path / "data/conversations").iterdir()
    document = json.loads(file.read_text())
    document["starred"] = True
    document["messages"][0]["tokens"] = {"in": 7}
    file.write_text(json.dumps(document, indent=2))
    index = tmp_path / "data/message_store.json"
    index.write_text(json.dumps({"owner": "me"} | json.loads(index.read_text()), indent=2))
    before = files(tmp_path / "data")
    with MessageStore(tmp_path / "data") as store:
        conversation = store.conversations[document["id"]]
        assert conversation.extra == {"starred": True} and conversation.messages[0].extra == {"tokens": {"in": 7}}
        conversation.messages.insert(0, Message(content="so that all are written anew"))
        store._save_conversation(conversation)
        del conversation.messages[0]
        store._save_conversation(conversation)
    assert files(tmp_path / "data") == before


def test_the_files_are_there_when_a_call_returns(tmp_path: Path):
    def on_disk(id: str) -> dict[str, Any]:
        return json.loads((tmp_path / "conversations" / f"{id}.json").read_text())

    store = MessageStore(tmp_path)
    conversation = store.create_conversation(id="c1", title="T")
    assert json.loads((tmp_path / "message_store.json").read_text()) == {"conversation_ids": ["c1"]}
    assert on_disk("c1")["title"] == "T"
    store.add_message("c1", "hi", role="assistant", metadata={"k": 1})
    assert on_disk("c1")["messages"][0]["content"] == "hi"
    store.add_action("c2", "click", {"x": 1})
    assert on_disk("c2")["actions"][0]["data"] == {"x": 1}
    conversation.title = "U"
    store._save_conversation(conversation)
    assert on_disk("c1")["title"] == "U"
    expected = json.dumps(json.loads(conversation.model_dump_json()), indent=2)
    assert (tmp_path / "conversations/c1.json").read_text() == expected
    store.close()


@pytest.mark.parametrize(("mirror", "is_there"), [("close", True), ("never", False)])
def test_the_files_at_the_end(tmp_path: Path, mirror: Any, is_there: bool):
    file = tmp_path / "conversations/c1.json"
    with MessageStore(tmp_path, mirror=mirror) as store:
        store.add_message("c1", "x")
        assert not file.exists()
    assert file.exists() == is_there
    with MessageStore(tmp_path, mirror=mirror) as store:
        store.compact()
    assert file.exists()


def test_files_that_take_long_follow_within_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("aral_store._mirror._FEW_ITEMS", 1)
    with MessageStore(tmp_path, mirror="auto") as store:
        for n in range(3):
            store.add_message("c1", str(n))
        file = tmp_path / "conversations/c1.json"
        deadline = time.monotonic() + 10
        while not file.exists() or len(json.loads(file.read_text())["messages"]) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_mirror_that_cannot_be_written_is_warned_of_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    store = MessageStore(tmp_path, mirror="always")

    def refuse() -> None:
        raise NoSpace("full")

    with monkeypatch.context() as broken, pytest.warns(RuntimeWarning, match="saved, but"):
        broken.setattr(store._store, "compact", refuse)
        store.add_message("c1", "x")
    store.close()
    assert json.loads((tmp_path / "conversations/c1.json").read_text())["messages"][0]["content"] == "x"


# What is fixed, and what is more.


def test_damage_is_said_and_is_never_overwritten(tmp_path: Path):
    with MessageStore(tmp_path) as store:
        store.add_message("c1", "x")
        store.add_message("c2", "y")
    file = tmp_path / "conversations/c1.json"
    file.write_bytes(b'{"id": "c1", "mess')
    with pytest.warns(RuntimeWarning, match="'c1' cannot be read"):
        store = MessageStore(tmp_path)
    for call in (
        lambda: store.get_conversation("c1"),
        lambda: store.add_message("c1", "z"),
        lambda: store.create_conversation(id="c1"),
    ):
        with pytest.raises(Corrupt):
            call()
    store.add_message("c2", "z")
    store.close()
    assert file.read_bytes() == b'{"id": "c1", "mess'


def test_two_stores_on_one_directory_lose_nothing(place: Place):
    a, b = MessageStore(place), MessageStore(place)
    live = a.create_conversation(id="c1")
    a.add_message("c1", "from a")
    assert b.get_conversation("c1").messages[0].content == "from a"
    b.add_message("c1", "from b")
    a.add_message("c1", "from a again")
    contents = ["from a", "from b", "from a again"]
    assert [m.content for m in a.get_conversation("c1").messages] == contents
    assert a.get_conversation("c1") is live
    assert [m.content for m in b.get_conversation("c1").messages] == contents
    # A save that writes all anew is refused if it would drop what another has added meanwhile.
    live.messages.reverse()
    b.add_message("c1", "unseen")
    with pytest.raises(Conflict):
        a._save_conversation(live)
    a.close()
    assert [m.content for m in b.get_conversation("c1").messages] == [*contents, "unseen"]
    b.close()


def test_keys_and_versions(store: MessageStore):
    first = store.add_message("c1", "once", key="k")
    assert store.add_message("c1", "once", key="k") is first
    live = store.get_conversation_messages("c1")
    store.add_message("c1", "once", key="k")
    assert live == [first]
    assert store.add_message("c1", "next", expect=1).content == "next"
    with pytest.raises(Conflict):
        store.add_message("c1", "late", expect=1)
    with pytest.raises(Conflict):
        store.add_action("c1", "late", {}, expect=0)
    assert store.version("c1") == 2 and store.version("nobody") == 0
    assert [m.content for m in store.get_conversation_messages("c1")] == ["once", "next"]
    one = store.create_conversation("T", id="c2", key="create")
    assert store.create_conversation("T", id="c2", key="create") is one
    again = reopened(store)
    assert again.add_message("c1", "once", key="k").id == first.id
    assert len(again.get_conversation_messages("c1")) == 2
    again.close()


def test_a_killed_program_loses_nothing_it_was_told_is_saved(tmp_path: Path):
    program = """
        import os, sys
        from aral_store import MessageStore
        store = MessageStore(sys.argv[1], mirror=sys.argv[2])
        for n in range(30):
            print(store.add_message("c1", str(n)).id, flush=True)
        os.kill(os.getpid(), 9)
    """
    for mirror in ("always", "auto", "close", "never"):
        dir = tmp_path / mirror
        arguments = [sys.executable, "-c", textwrap.dedent(program), str(dir), mirror]
        printed = subprocess.run(arguments, capture_output=True, text=True).stdout.split()
        assert len(printed) == 30
        with MessageStore(dir, mirror=mirror) as store:
            assert [m.id for m in store.get_conversation_messages("c1")] == printed


def test_nothing_is_printed(place: Place, capfd: pytest.CaptureFixture[str]):
    with MessageStore(place) as store:
        filled(store)
        with pytest.raises(AralStoreError):
            store.add_message("c1", "x", expect=99)
    assert capfd.readouterr() == ("", "")


def test_after_closing(tmp_path: Path):
    store = MessageStore(tmp_path)
    store.add_message("c1", "x")
    store.close()
    store.close()
    for call in (
        lambda: store.add_message("c1", "late"),
        lambda: store.get_conversation("c1"),
        lambda: store.create_conversation(),
        lambda: store.get_all_conversations(),
        lambda: store.get_conversation_messages("nobody"),
        lambda: store._save_to_backend(),
        lambda: store._save_conversation(Conversation(id="c2")),
        lambda: store.compact(),
        lambda: store.to_dict(),
        lambda: store.version("c1"),
        lambda: len(store.conversations),
        lambda: store.backend.list_conversation_ids(),
    ):
        with pytest.raises(Closed):
            call()
    # Also where there is nothing to do.
    empty = MessageStore()
    empty.close()
    for call in (empty._save_to_backend, empty.get_all_conversations, lambda: empty._store.batch([])):
        with pytest.raises(Closed):
            call()


# K10 and K20, which no test above shows.


def test_roles_are_free_contents_may_be_empty_and_ids_may_be_used_twice(store: MessageStore):
    conversation = store.create_conversation(id="c1")
    store.add_message("c1", "", role="")
    store.add_message("c1", "x" * 1_000_000, role="narrator")
    for _ in range(2):
        conversation.add_message(Message(content="twin", id="m"))
    store._save_conversation(conversation)
    again = reopened(store)
    found = [(m.role, len(m.content), m.id == "m") for m in again.get_conversation_messages("c1")]
    assert found == [("", 0, False), ("narrator", 1_000_000, False), ("user", 4, True), ("user", 4, True)]
    again.close()


def test_other_keys_of_the_index_survive_every_save(tmp_path: Path):
    with MessageStore(tmp_path) as store:
        store.add_message("c1", "x")
    index = tmp_path / "message_store.json"
    index.write_text(json.dumps({"owner": "me", "conversation_ids": ["c1"], "v": 2}, indent=2))
    with MessageStore(tmp_path, mirror="always") as store:
        store.create_conversation(id="c2")
        store.conversations["c1"].title = "changed"
        store._save_to_backend()
    assert list(json.loads(index.read_text()).items()) == [("owner", "me"), ("conversation_ids", ["c1", "c2"]), ("v", 2)]


def test_the_golden_stores_are_read_as_they_were_written():
    golden = Path(__file__).parents[2] / "tests" / "golden" / "v1"
    for name in ("closed", "compacted", "killed"):
        expected = [json.loads(line) for line in (golden / f"{name}.jsonl").read_text().splitlines()]
        with Store(golden / name, read_only=True) as store:
            assert expected and len(store) > 0
            given = [m for m in expected if "content" in m]
            assert [m.id for id in store for m in store.messages(id)] == [m["id"] for m in given]
            assert [m.content for id in store for m in store.messages(id)] == [m["content"] for m in given]


def test_an_empty_save_dir_is_memory_as_the_originals_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match="names no directory.*in memory") as warned:
        store = MessageStore(save_dir="")
    assert [each.filename for each in warned] == [__file__]
    assert store.save_dir is None
    store.add_message("c1", "one")
    store.close()
    assert list(tmp_path.iterdir()) == []
