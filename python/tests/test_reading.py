"""Reading much costs little, and what makes it cheap shows nowhere: imports, models, watched values."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import aral_store
from aral_store import Conversation, Message, MessageStore, Store
from conftest import Place, unmirrored


def imported_by(program: str) -> set[str]:
    line = [sys.executable, "-c", f"import sys\n{program}\nprint(*sys.modules)"]
    return set(subprocess.run(line, check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize(
    ("program", "never"),
    [
        ("import aral_store", {"pydantic", "asyncio", "json", "dataclasses", "typing", "aral_store._core"}),
        ("from aral_store import Store, NotFound", {"pydantic", "asyncio", "aral_store._models", "aral_store._reports"}),
        (
            "from aral_store import Store\ns = Store()\ns.add_message('c', 'x', key='k')\n"
            "s.batch([{'type': 'clear', 'conversation_id': 'c'}])\ns.summaries(), s.summary('c')\ns.close()",
            {"pydantic", "asyncio"},
        ),
        ("from aral_store import MessageStore", {"asyncio"}),
    ],
)
def test_what_is_not_asked_for_is_not_imported(program: str, never: set[str]):
    there = imported_by(program)
    assert "aral_store" in there and not never & there


def test_every_name_is_there_all_the_same():
    for name in aral_store.__all__:
        assert getattr(aral_store, name).__name__ == name
    assert set(aral_store.__all__) <= set(dir(aral_store))
    with pytest.raises(AttributeError, match="nonsense"):
        aral_store.nonsense  # type: ignore[attr-defined]
    named = {name for names in aral_store._WHERE.values() for name in names}
    assert named == set(aral_store.__all__)
    assert imported_by("from aral_store import *\nassert MessageStore and Store and verify")


@pytest.fixture
def store(place: Place):
    """With a conversation that was read anew, so that nothing of it was made by the program."""
    with MessageStore(save_dir=place, sync="os", **unmirrored(place)) as store:
        for n in range(3):
            store.add_message("c1", str(n), metadata={"n": n, "in": {"list": [1]}})
        store.add_action("c1", "click", {"at": {"x": 1}})
    with MessageStore(save_dir=place, sync="os", **unmirrored(place)) as store:
        yield store


def saved(store: MessageStore) -> Conversation:
    return store._store["c1"]


WAYS: dict[str, Callable[[Message], None]] = {
    "by its name": lambda message: message.metadata.update(new=1),
    "deep inside": lambda message: message.metadata["in"]["list"].append(1),
    "by getattr": lambda message: getattr(message, "metadata").update(new=1),
    "of a copy": lambda message: message.model_copy().metadata.update(new=1),
    "of a copy by copy": lambda message: copy.copy(message).metadata.update(new=1),
    "of a copy with more": lambda message: message.model_copy(update={"role": "x"}).metadata.update(new=1),
    "from dict": lambda message: dict(message)["metadata"].update(new=1),
    "another one": lambda message: setattr(message, "metadata", {"new": 1}),
}


@pytest.mark.parametrize("save", ["_save_conversation", "add_message"])
@pytest.mark.parametrize("way", WAYS)
def test_what_was_read_and_is_changed_is_saved(store: MessageStore, way: str, save: str):
    live = store.conversations["c1"]
    WAYS[way](live.messages[1])
    if save == "add_message":
        store.add_message("c1", "more")
    else:
        store._save_conversation(live)
    assert saved(store).messages[1].metadata == live.messages[1].metadata != {"n": 1, "in": {"list": [1]}}
    held = live.actions[0].data["at"]
    store._save_conversation(live)
    held["x"] = 2
    store.add_message("c1", "even more")
    assert saved(store).actions[0].data == {"at": {"x": 2}}


def test_what_is_held_since_before_a_save_is_noticed_after_it(store: MessageStore):
    live = store.conversations["c1"]
    held = live.messages[0].metadata
    assert live.messages[0].metadata is held
    store.add_message("c1", "a save")
    held["late"] = True
    store.add_message("c1", "another one")
    assert saved(store).messages[0].metadata["late"] is True


def test_a_message_of_the_store_that_is_put_into_a_live_conversation_is_noticed(store: MessageStore):
    given = store._store.messages("c1")[0]
    held = given.metadata
    live = store.create_conversation(id="c2")
    live.messages.append(given)
    store._save_conversation(live)
    held["late"] = True
    store.add_message("c2", "x")
    assert store._store["c2"].messages[0].metadata["late"] is True


def test_threads_that_ask_at_once_get_one_object(store: MessageStore):
    for message in store.conversations["c1"].messages:
        begin, got = threading.Barrier(8), []

        def ask(message: Message = message) -> None:
            begin.wait()
            got.append(message.metadata)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert all(each is got[0] for each in got) and len(got) == 8


def test_what_was_read_is_as_any_model(store: MessageStore):
    live = store.conversations["c1"]
    read, made = live.messages[0], Message.model_validate(live.messages[0].model_dump())
    assert read == made and repr(read) == repr(made) and read.model_dump_json() == made.model_dump_json()
    assert read.model_fields_set == {"id", "content", "role", "created_at", "metadata"} and read.extra == {}
    assert pickle.loads(pickle.dumps(read)) == copy.deepcopy(read) == read.model_copy() == read
    assert Message.model_validate(read) is read and Conversation.model_validate(live.model_dump()) == live
    assert list(dict(read)) == list(Message.model_fields)
    with pytest.raises(AttributeError):
        Message.metadata


def test_what_messages_share_is_nobodys_to_change(store: MessageStore):
    one, two, *_ = store._store.messages("c1")
    one._extra = {"mine": 1}
    one.role = "other"
    assert one.extra == {"mine": 1} and two.extra == {} and store._store.messages("c1")[0].extra == {}
    copied = two.model_copy(update={"content": "y"})
    copied._extra = {"copied": 1}
    assert two.extra == {}


def test_a_model_may_be_made_more_of(recwarn: pytest.WarningsRecorder):
    class Rated(Message):
        stars: int = 0

    class Typed(Message):
        metadata: dict[str, int]  # type: ignore[assignment]

    rated, typed = Rated(content="x", metadata={"k": 1}), Typed(content="x", metadata={"k": 1})
    rated.metadata["k"] = 2
    assert rated.model_dump()["metadata"] == {"k": 2} and rated.stars == 0 and Rated(content="y").metadata == {}
    assert typed.metadata == {"k": 1}
    with pytest.raises(ValueError):
        Typed(content="x")
    store = MessageStore()
    conversation = Conversation(id="c1", messages=[rated])
    store._save_conversation(conversation)
    conversation.messages[0].metadata["k"] = 3
    store._save_conversation(conversation)
    assert store._store["c1"].messages[0].metadata == {"k": 3}


def test_values_of_the_store_are_the_callers_own():
    store = Store()
    store.add_message("c1", "x", metadata={"k": [1]})
    first: Any = store.messages("c1")[0]
    first.metadata["k"].append(2)
    assert first.metadata == {"k": [1, 2]} and store.messages("c1")[0].metadata == {"k": [1]}
