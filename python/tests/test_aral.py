"""In the place of the framework's own store: a stand-in for the framework, made here, runs on it unchanged."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

#: What is known of the framework's modules: names, and what they call.
FRAMEWORK = {
    "aral/__init__.py": """
        from .agent import Agent
        from .storage import Conversation, ConversationAction, Message, MessageStore
    """,
    "aral/storage/__init__.py": """
        from .message_store import Conversation, ConversationAction, Message, MessageStore
        KEPT = "what is not replaced"
    """,
    "aral/storage/message_store.py": """
        class Message: pass
        class Conversation: pass
        class ConversationAction: pass
        class MessageStore:
            def __init__(self, *args, **kwargs):
                raise AssertionError("the framework's own store was made")
    """,
    "aral/agent.py": """
        from .storage import MessageStore

        class Agent:
            def __init__(self, store: MessageStore, verbose=False):
                self.store = store
                if verbose and hasattr(store, "backend") and hasattr(store.backend, "list_conversation_ids"):
                    self.seen = store.backend.list_conversation_ids()

            def handle(self, conversation_id, text):
                self.store.add_message(conversation_id, text, role="user")
                history = self.store.get_conversation_messages(conversation_id)
                answer = f"{len(history)}: {history[-1].content}"
                self.store.add_message(conversation_id=conversation_id, content=answer, role="assistant")
                self.store.add_action(conversation_id, "answered", {"length": len(answer)})
                return answer
    """,
    "aral/server.py": """
        from aral.storage import MessageStore
        import aral.storage.message_store

        def message(agent, body):
            if not body.get("conversation_id") or not body.get("message"):
                return 400, {"error": "conversation_id and message are required"}
            return 200, {"response": agent.handle(body["conversation_id"], body["message"])}

        def conversations(agent):
            return {"conversations": [
                {"id": c.id, "title": c.title, "messages": [
                    {"id": m.id, "content": m.content, "role": m.role, "created_at": m.created_at.isoformat()}
                    for m in c.messages
                ]} for c in agent.store.get_all_conversations()
            ]}
    """,
}


@pytest.fixture
def framework(tmp_path: Path) -> Path:
    for name, text in FRAMEWORK.items():
        path = tmp_path / "framework" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return tmp_path / "framework"


def run(program: str, path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *arguments],
        env=os.environ | {"PYTHONPATH": str(path)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("before", ["", "import aral", "import aral.server"])
def test_every_module_of_the_framework_has_this_store(framework: Path, before: str):
    program = f"""
        {before}
        import aral_store.aral
        import aral, aral.server, aral.storage
        from aral.storage import Conversation, ConversationAction, Message, MessageStore, KEPT
        from aral.storage.message_store import MessageStore as deepest
        for name in ("MessageStore", "Message", "Conversation", "ConversationAction"):
            for module in (aral, aral.storage, aral.storage.message_store, aral_store.aral):
                assert getattr(module, name) is getattr(aral_store, name), (module, name)
        assert aral.agent.MessageStore is aral.server.MessageStore is deepest is aral_store.MessageStore
        assert KEPT == "what is not replaced"
        import importlib
        importlib.reload(aral_store.aral)
        assert aral.MessageStore is aral_store.MessageStore
    """
    done = run(program, framework)
    assert done.returncode == 0, done.stderr


def test_agent_and_server_run_on_it_and_find_everything_again(framework: Path, tmp_path: Path):
    program = """
        import sys
        import aral_store.aral
        from aral import Agent, MessageStore
        from aral.server import conversations, message
        agent = Agent(MessageStore(save_dir=sys.argv[1], backend_type="file"), verbose=True)
        assert agent.seen == sys.argv[2].split()
        assert message(agent, {"message": "x"})[0] == message(agent, {"conversation_id": "c"})[0] == 400
        print(message(agent, {"conversation_id": "c1", "message": "hi"}))
        print(conversations(agent))
    """
    first = run(program, framework, str(tmp_path / "data"), "")
    assert first.returncode == 0 and "(200, {'response': '1: hi'})" in first.stdout, first.stderr
    again = run(program, framework, str(tmp_path / "data"), "c1")
    assert again.returncode == 0 and "(200, {'response': '3: hi'})" in again.stdout, again.stderr
    assert again.stdout.count("'created_at'") == 4
    assert (tmp_path / "data/conversations/c1.json").exists(), "nobody closed it, and the files are there"


def test_without_the_framework_the_import_says_so(tmp_path: Path):
    done = run("import aral_store.aral", tmp_path)
    assert done.returncode == 1 and "ImportError: the Aral framework is not installed" in done.stderr
    done = run("from aral_store import MessageStore; MessageStore()", tmp_path)
    assert done.returncode == 0, done.stderr


def test_another_package_of_that_name_is_left_alone(tmp_path: Path):
    (tmp_path / "aral").mkdir()
    (tmp_path / "aral/__init__.py").write_text("")
    done = run("import aral_store.aral", tmp_path)
    assert done.returncode == 1 and "is not installed" in done.stderr
    (tmp_path / "aral/storage.py").write_text("class Message: pass")
    done = run("import aral_store.aral", tmp_path)
    assert done.returncode == 1 and "has no MessageStore" in done.stderr
    (tmp_path / "aral/storage.py").write_text("import a_dependency_that_is_missing")
    done = run("import aral_store.aral", tmp_path)
    assert done.returncode == 1 and "No module named 'a_dependency_that_is_missing'" in done.stderr
