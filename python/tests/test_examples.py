"""The examples in the docstrings do what they say."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["", "._errors", "._models", "._store", "._async_store", "._message_store"])
def test_examples(name: str):
    outcome = doctest.testmod(importlib.import_module("aral_store" + name))
    assert outcome.attempted and not outcome.failed
