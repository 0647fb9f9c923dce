"""The promises of the original's own page, each as its users write it, with nothing added to the calls."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import pytest

from aral_store import MessageStore


@pytest.fixture(autouse=True)
def in_an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)


def run(program: str) -> str:
    """What another process prints, which must end well and say nothing else."""
    line = [sys.executable, "-c", "from aral_store import MessageStore\n" + textwrap.dedent(program)]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0 and ended.stderr == "", ended.stderr
    return ended.stdout


def saved(id: str, dir: str = "./data") -> dict[str, Any]:
    """What the file of a conversation says at this moment."""
    with open(os.path.join(dir, "conversations", id + ".json")) as file:
        return json.load(file)


def listed(dir: str = "./data") -> list[str]:
    with open(os.path.join(dir, "message_store.json")) as file:
        return json.load(file)["conversation_ids"]


# The page.


def test_in_memory_by_default(tmp_path: Path):
    store = MessageStore()
    conversation = store.create_conversation(title="New Conversation")
    store.add_message(conversation.id, "Hello, world!", role="user")
    assert not list(tmp_path.iterdir())
    assert MessageStore().get_all_conversations() == []


def test_in_files_from_one_parameter_alone():
    store = MessageStore(save_dir="./data")
    assert os.path.isdir("./data/conversations") and os.path.exists("./data/message_store.json")
    assert listed() == [] and store.get_all_conversations() == []


def test_every_change_is_saved_by_the_call_that_makes_it():
    store = MessageStore(save_dir="./data")
    conversation = store.create_conversation(title="New Conversation")
    assert saved(conversation.id)["title"] == "New Conversation" and listed() == [conversation.id]
    store.add_message(conversation.id, "Hello, world!", role="user")
    assert [(m["content"], m["role"]) for m in saved(conversation.id)["messages"]] == [("Hello, world!", "user")]
    store.add_action(conversation.id, "button_click", {"button_id": "submit"})
    [action] = saved(conversation.id)["actions"]
    assert (action["action_type"], action["data"]) == ("button_click", {"button_id": "submit"})
    assert listed() == [conversation.id]


def test_what_is_there_is_loaded_by_another_process_after_this_one_has_ended():
    id = run("""
        store = MessageStore(save_dir="./data")
        conversation = store.create_conversation(title="New Conversation")
        store.add_message(conversation.id, "Hello, world!", role="user")
        print(conversation.id)
    """).strip()
    assert saved(id)["messages"][0]["content"] == "Hello, world!"
    seen = run("""
        store = MessageStore(save_dir="./data")
        for id, conversation in store.conversations.items():
            print(id, conversation.title, [message.content for message in conversation.messages])
    """)
    assert seen == f"{id} New Conversation ['Hello, world!']\n"


def test_reliable_across_restarts():
    for n in range(4):
        printed = run(f"""
            store = MessageStore(save_dir="./data")
            if not store.conversations:
                store.create_conversation(id="c1", title="Example")
            conversation = store.get_conversation(next(iter(store.conversations.keys())))
            store.add_message(conversation.id, "message {n}", role="user")
            print(len(conversation.messages), flush=True)
            import os
            {"os._exit(0)" if n % 2 else ""}
        """)
        assert printed == f"{n + 1}\n"
    assert [message["content"] for message in saved("c1")["messages"]] == [f"message {n}" for n in range(4)]


def test_a_relative_directory_is_the_one_it_was_when_the_store_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = MessageStore(save_dir="data")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.add_message("c1", "x")
    assert (tmp_path / "data/conversations/c1.json").exists() and not list(Path().iterdir())


# As its users test what they make of it: a temporary directory, files looked at right after each call, no close.


def test_the_directories_are_there():
    with tempfile.TemporaryDirectory() as dir:
        store = MessageStore(save_dir=dir)
        assert os.path.exists(os.path.join(dir, "conversations"))
        assert os.path.exists(os.path.join(dir, "message_store.json"))
        del store


def test_a_change_of_an_object_is_in_the_file_once_it_is_saved():
    with tempfile.TemporaryDirectory() as dir:
        store = MessageStore(save_dir=dir)
        conversation = store.create_conversation(id="c1", title="Before")
        conversation.title = "After"
        conversation.metadata["mood"] = "good"
        assert saved("c1", dir)["title"] == "Before"
        store._save_conversation(conversation)
        assert (saved("c1", dir)["title"], saved("c1", dir)["metadata"]) == ("After", {"mood": "good"})
        again = MessageStore(save_dir=dir)
        assert again.get_conversation("c1").title == "After"


def test_a_second_store_on_the_directory_has_what_the_first_one_saved():
    with tempfile.TemporaryDirectory() as dir:
        store = MessageStore(save_dir=dir)
        store.create_conversation(id="c1", title="Mine")
        again = MessageStore(save_dir=dir)
        assert (again.get_conversation("c1").id, again.get_conversation("c1").title) == ("c1", "Mine")
        store.add_message("c1", "Hello!", role="user")
        again = MessageStore(save_dir=dir)
        [message] = again.get_conversation("c1").messages
        assert (message.content, message.role) == ("Hello!", "user")
        store.add_action("c1", "click", {"x": 1})
        again = MessageStore(save_dir=dir)
        [action] = again.get_conversation("c1").actions
        assert (action.action_type, action.data) == ("click", {"x": 1})
        assert list(again.conversations.keys()) == ["c1"] == listed(dir)


def test_stores_one_after_another_and_forgotten_ones():
    with tempfile.TemporaryDirectory() as dir:
        for n in range(5):
            store = MessageStore(save_dir=dir)
            assert len(store.get_conversation_messages("c1")) == n
            store.add_message("c1", str(n))
            if n % 2:
                del store
                gc.collect()
            assert [message["content"] for message in saved("c1", dir)["messages"]] == [str(m) for m in range(n + 1)]


@pytest.mark.parametrize("messages", [1, 150, 2000])
def test_the_file_is_current_when_the_call_returns_however_long_the_conversation(messages: int):
    store = MessageStore(save_dir="./data")
    conversation = store.create_conversation(id="c1")
    for n in range(messages):
        conversation.add_message({"content": str(n)})
    store._save_conversation(conversation)
    assert len(saved("c1")["messages"]) == messages
    for n in range(3):
        store.add_message("c1", "more")
        assert len(saved("c1")["messages"]) == messages + n + 1


@pytest.mark.parametrize("keep", ["", "store.add_message('c2', 'x')", "import gc; del store; gc.collect()"])
def test_a_directory_that_is_taken_away_under_a_store_ends_quietly(keep: str):
    printed = run(f"""
        import tempfile
        with tempfile.TemporaryDirectory() as dir:
            store = MessageStore(save_dir=dir)
            other = MessageStore(save_dir=dir)
            store.add_message("c1", "x")
            other.add_message("c1", "y")
            {keep}
        print("the end")
    """)
    assert printed == "the end\n"


def test_a_test_case_that_takes_its_directory_away_and_makes_it_again():
    for n in range(3):
        store = MessageStore(save_dir="./data")
        assert store.get_all_conversations() == []
        store.create_conversation(id="test-conv-1", title="Test Conversation")
        assert listed() == ["test-conv-1"] and saved("test-conv-1")["title"] == "Test Conversation"
        shutil.rmtree("./data")
