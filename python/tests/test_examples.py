"""The examples in the docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from aral_store import Store
from conftest import DATABASES, place_in

ROOT = Path(__file__).parents[2]
README = (ROOT / "python/README.md").read_text()
#: The pages of the frameworks.
PAGES = [(ROOT / "docs" / page).read_text() for page in ("openai-agents.md", "langchain.md", "langgraph.md", "google-adk.md", "agent-framework.md", "llama-index.md", "pydantic-ai.md")]
SNIPPETS = [
    snippet
    for text in (README, (ROOT / "README.md").read_text(), *PAGES)
    for snippet in re.findall(r"```python\n(.*?)```", text, re.DOTALL)
]

#: In the place of a model and of the framework, so that what is printed runs as it is printed.
STAND_INS = {
    "from agents ": """
import agents
class Answer:
    final_output = "Let us see."
async def run(agent, text, session):
    await session.add_items([{"role": "user", "content": text}])
    return Answer()
agents.Runner.run = run
""",
}

#: What a snippet needs that imports from a package.
NEEDED = {
    "agents": "agents",
    "agents.memory": "agents",
    "aral_store.openai_agents": "agents",
    "aral_store.openai_agents_advanced": "agents",
    "aral_store.langchain": "langchain_core",
    "aral_store.langgraph": "langgraph.graph",
    "aral_store.google_adk": "google.adk",
    "aral_store.agent_framework": "agent_framework",
    "aral_store.llama_index": "llama_index.core",
    "aral_store.pydantic_ai": "pydantic_ai",
}


@pytest.mark.parametrize("example", sorted(Path(__file__).parent.glob("example_*.py")), ids=lambda example: example.stem)
def test_the_typed_example_of_each_adapter_runs(example: Path):
    pytest.importorskip(NEEDED["aral_store." + example.stem.removeprefix("example_")])
    done = subprocess.run([sys.executable, "-W", "error", str(example)], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout, done.stderr


@pytest.mark.parametrize("name", ["", "._errors", "._models", "._offline", "._store", "._async_store", "._message_store"])
def test_examples(name: str):
    outcome = doctest.testmod(importlib.import_module("aral_store" + name))
    assert outcome.attempted and not outcome.failed


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("openai_agents", "agents"),
        ("openai_agents_advanced", "agents"),
        ("langchain", "langchain_core"),
        ("_langgraph_saver", "langgraph.graph"),
        ("_langgraph_store", "langgraph.graph"),
        ("google_adk", "google.adk"),
        ("agent_framework", "agent_framework"),
        ("llama_index", "llama_index.core"),
        ("pydantic_ai", "pydantic_ai"),
    ],
)
def test_examples_of_the_adapters(name: str, needs: str):
    pytest.importorskip(needs)
    outcome = doctest.testmod(importlib.import_module("aral_store." + name))
    assert outcome.attempted and not outcome.failed


def needed_by(snippet: str) -> None:
    """Skips a test of a snippet whose framework is not installed."""
    for package, module in NEEDED.items():
        if f"from {package} " in snippet:
            pytest.importorskip(module)


@pytest.mark.parametrize("at", range(len(SNIPPETS)))
def test_the_readmes_snippets_run_as_they_stand(tmp_path: Path, at: int):
    needed_by(SNIPPETS[at])
    program = "".join(text for name, text in STAND_INS.items() if name in SNIPPETS[at]) + SNIPPETS[at]
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr


@pytest.mark.parametrize("kind", [*DATABASES, "s3"])
@pytest.mark.parametrize("at", range(len(SNIPPETS)))
def test_the_readmes_snippets_run_in_a_database_and_in_a_bucket(tmp_path: Path, at: int, kind: str):
    needed_by(SNIPPETS[at])
    url = str(place_in(kind, tmp_path))
    snippet, count = re.subn(r'"(\./data|data|sqlite:agents\.db)"', lambda _: repr(url), SNIPPETS[at])
    if not count:
        pytest.skip("names no place")
    if any(SNIPPETS[at] in page for page in PAGES) and (kind != "sqlite" or "aral_store.langgraph" not in SNIPPETS[at]):
        pytest.skip("pages of frameworks are tried in a directory, and LangGraph's in SQLite too")
    program = "".join(text for name, text in STAND_INS.items() if name in snippet) + snippet
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert not (tmp_path / "data").exists()
    with Store(url, read_only=True) as store:
        assert len(store) > 0


def test_the_first_lines_are_a_users_own_and_leave_the_files_they_speak_of(tmp_path: Path):
    for text in (README, (ROOT / "README.md").read_text()):
        first = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
        assert first.startswith('from aral_store import MessageStore\n\nstore = MessageStore(save_dir="./data")\n')
        assert "close" not in first and "import aral" not in first
        dir = tmp_path / str(len(first))
        dir.mkdir()
        program = first + "\nprint(conversation.id)"
        id = subprocess.run([sys.executable, "-c", program], cwd=dir, capture_output=True, text=True).stdout.strip()
        [listed] = json.loads((dir / "data/message_store.json").read_text())["conversation_ids"]
        [message] = json.loads((dir / f"data/conversations/{id}.json").read_text())["messages"]
        assert listed == id and (message["content"], message["role"]) == ("Hello, world!", "user")


def test_the_readme_has_snippets_for_all_that_the_package_has():
    text = "".join(SNIPPETS)
    for name in ("Store(", "AsyncStore.open(", "MessageStore(", "aral_store.aral", "AralSession(", "AralAdvancedSession(", "AralChatMessageHistory(", "AralSaver(", "AralBaseStore(", "AralSessionService(", "AralHistoryProvider(", "AralChatStore(", "AralMessageHistory("):
        assert name in text
