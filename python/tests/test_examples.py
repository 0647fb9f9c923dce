"""The examples in the docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest


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
