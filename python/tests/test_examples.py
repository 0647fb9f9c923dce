"""The examples in the docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)

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
    "import aral_store.aral": """
import sys, types
sys.modules["aral"] = types.ModuleType("aral")
sys.modules["aral.storage"] = types.ModuleType("aral.storage")
sys.modules["aral.storage"].MessageStore = object
""",
}


@pytest.mark.parametrize("name", ["", "._errors", "._models", "._offline", "._store", "._async_store", "._message_store"])
def test_examples(name: str):
    outcome = doctest.testmod(importlib.import_module("aral_store" + name))
    assert outcome.attempted and not outcome.failed


@pytest.mark.parametrize(("name", "needs"), [("openai_agents", None), ("langchain", "langchain_core")])
def test_examples_of_the_adapters(name: str, needs: str | None):
    if needs is not None:
        pytest.importorskip(needs)
    outcome = doctest.testmod(importlib.import_module("aral_store." + name))
    assert outcome.attempted and not outcome.failed


@pytest.mark.parametrize("at", range(len(SNIPPETS)))
def test_the_readmes_snippets_run_as_they_stand(tmp_path: Path, at: int):
    for package, module in (("agents", "agents"), ("aral_store.langchain", "langchain_core")):
        if f"from {package} " in SNIPPETS[at]:
            pytest.importorskip(module)
    program = "".join(text for name, text in STAND_INS.items() if name in SNIPPETS[at]) + SNIPPETS[at]
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr


def test_the_readme_has_snippets_for_all_that_the_package_has():
    text = "".join(SNIPPETS)
    for name in ("Store(", "AsyncStore.open(", "MessageStore(", "aral_store.aral", "AralSession(", "AralChatMessageHistory("):
        assert name in text
