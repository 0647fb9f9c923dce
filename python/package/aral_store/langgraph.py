"""Checkpoints and memories of LangGraph, kept in a store. It takes ``aral-store[langgraph]``.

:class:`AralSaver` is a checkpointer, and :class:`AralBaseStore` what LangGraph calls a store: what an agent remembers across
threads. Both may be kept in one :class:`~aral_store.Store`, beside conversations.
"""

from __future__ import annotations

try:
    import langgraph.checkpoint.base
    import langgraph.store.base  # noqa: F401
except ImportError as _error:
    raise ImportError("aral_store.langgraph takes langgraph: pip install 'aral-store[langgraph]'") from _error

from ._langgraph_saver import AralSaver
from ._langgraph_store import AralBaseStore

__all__ = ["AralBaseStore", "AralSaver"]
