"""In the place of the framework's own store, by every name under which programs, tests and examples import that one.

The framework has no licence to be copied, so a stand-in with the same modules and names is made here. It lies as the
framework does: in a folder ``src``, so that it is ``aral`` once it is installed and ``src.aral`` in its own folder.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

FRAMEWORK = {
    "src/aral/__init__.py": "",
    "src/aral/storage/__init__.py": """
        from .message_store import Conversation, ConversationAction, Message, MessageStore
        KEPT = "what is not replaced"
    """,
    "src/aral/storage/message_store.py": """
        class Message: pass
        class Conversation: pass
        class ConversationAction: pass
        class MessageStore:
            def __init__(self, *args, **kwargs):
                raise AssertionError("the framework's own store was made")
    """,
    "src/aral/agent.py": """
        from .storage import MessageStore

        class BaseAgent:
            def __init__(self, message_store=None, save_dir=None, verbose=False):
                if message_store:
                    self.message_store = message_store
                else:
                    self.message_store = MessageStore(save_dir=save_dir) if save_dir else MessageStore()
                backend = getattr(self.message_store, "backend", None)
                if verbose and hasattr(backend, "list_conversation_ids"):
                    self.seen = backend.list_conversation_ids()

            def on_message(self, convo_id, message):
                self.message_store.add_message(convo_id, message, role="user")
                answer = "Echo: " + message
                self.message_store.add_message(convo_id, answer, role="assistant")
                return answer

            def get_conversations(self):
                return [
                    {"id": conv.id, "title": conv.title, "messages": [
                        {"id": msg.id, "content": msg.content, "role": msg.role, "created_at": msg.created_at.isoformat()}
                        for msg in conv.messages
                    ]}
                    for conv in self.message_store.get_all_conversations()
                ]
    """,
}

#: The framework's name, and the folder that has to be on the path for it.
NAMES = [("aral", "src"), ("src.aral", ".")]


@pytest.fixture
def framework(tmp_path: Path) -> Path:
    for name, text in FRAMEWORK.items():
        path = tmp_path / "framework" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return tmp_path / "framework"


def run(program: str, path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(path)},
        cwd=path.parent,
        capture_output=True,
        text=True,
    )


def done(program: str, path: Path, *arguments: object) -> str:
    ended = run(program, path, *arguments)
    assert ended.returncode == 0 and ended.stderr == "", ended.stderr
    return ended.stdout


@pytest.mark.parametrize(("name", "folder"), NAMES)
@pytest.mark.parametrize("before", ["", "import {0}", "import {0}.storage", "import {0}.agent"])
def test_every_module_of_the_framework_has_this_store(framework: Path, name: str, folder: str, before: str):
    program = f"""
        {before.format(name)}
        import aral_store.aral
        import sys, {name}.agent, {name}.storage
        from {name}.storage import Conversation, ConversationAction, Message, MessageStore, KEPT
        from {name}.storage.message_store import MessageStore as deepest
        for each in ("MessageStore", "Message", "Conversation", "ConversationAction"):
            for module in ({name}.storage, {name}.storage.message_store, aral_store.aral):
                assert getattr(module, each) is getattr(aral_store, each), (module, each)
        assert {name}.agent.MessageStore is deepest is MessageStore is aral_store.MessageStore
        assert KEPT == "what is not replaced"
        import importlib
        importlib.reload(aral_store.aral)
        importlib.reload({name}.storage)
        assert {name}.storage.MessageStore is aral_store.MessageStore
    """
    done(program, framework / folder)


@pytest.mark.parametrize(("name", "folder"), NAMES)
def test_an_agent_with_a_directory_finds_everything_again(framework: Path, tmp_path: Path, name: str, folder: str):
    program = f"""
        import sys
        import aral_store.aral
        from {name}.agent import BaseAgent
        agent = BaseAgent(save_dir=sys.argv[1], verbose=True)
        assert agent.seen == sys.argv[2:]
        assert agent.on_message("c1", "hi") == "Echo: hi"
        print([message["content"] for message in agent.get_conversations()[0]["messages"]])
    """
    data = tmp_path / "data"
    assert done(program, framework / folder, data) == "['hi', 'Echo: hi']\n"
    assert done(program, framework / folder, data, "c1") == "['hi', 'Echo: hi', 'hi', 'Echo: hi']\n"
    file = json.loads((data / "conversations/c1.json").read_text())
    assert [message["content"] for message in file["messages"]] == ["hi", "Echo: hi"] * 2, "and nobody closed it"


def test_an_agent_takes_a_store_that_is_empty_for_one(framework: Path, tmp_path: Path):
    program = """
        import sys
        import aral_store.aral
        from aral.agent import BaseAgent
        from aral.storage import MessageStore
        store = MessageStore(save_dir=sys.argv[1])
        assert BaseAgent(message_store=store).message_store is store
    """
    done(program, framework / "src", tmp_path / "data")


def test_the_line_comes_first_also_where_a_program_finds_the_framework_later(framework: Path, tmp_path: Path):
    program = """
        import aral_store.aral
        import sys
        sys.path.insert(0, sys.argv[1])
        from src.aral.storage import MessageStore
        assert MessageStore is aral_store.MessageStore
        store = MessageStore(save_dir="./data")
        conversation = store.create_conversation(title="Example Conversation")
        store.add_message(conversation.id, "Hello!", role="user")
        print(conversation.id)
    """
    id = done(program, tmp_path / "nothing", framework).strip()
    assert (tmp_path / "data/conversations" / f"{id}.json").exists()


def test_without_the_framework_the_line_does_nothing(tmp_path: Path):
    ended = run("import aral_store.aral, aral.storage", tmp_path)
    assert ended.returncode == 1 and "No module named 'aral'" in ended.stderr
    done("from importlib.util import find_spec; import aral_store.aral; assert find_spec('aral') is None", tmp_path)
    done("from aral_store import MessageStore; MessageStore()", tmp_path)


def test_another_package_of_that_name_is_refused_when_its_storage_is_imported(tmp_path: Path):
    (tmp_path / "aral").mkdir()
    (tmp_path / "aral/__init__.py").write_text("")
    line = "import aral_store.aral, aral.storage"
    assert "No module named 'aral.storage'" in run(line, tmp_path).stderr
    (tmp_path / "aral/storage.py").write_text("class Message: pass")
    for each in (line, "import aral.storage, aral_store.aral"):
        ended = run(each, tmp_path)
        assert ended.returncode == 1 and "has no MessageStore" in ended.stderr
    (tmp_path / "aral/storage.py").write_text("import a_dependency_that_is_missing")
    assert "No module named 'a_dependency_that_is_missing'" in run(line, tmp_path).stderr
