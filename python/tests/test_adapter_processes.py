"""What the adapters do in a process that was forked off from the one that opened their store."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from conftest import place_in

PROGRAM = """
    import asyncio, importlib, os, sys
    from aral_store import AsyncStore, Forked, Store

    place, opens_itself = sys.argv[1], sys.argv[2] == "opens itself"

    def adk(store):
        from aral_store.google_adk import AralSessionService
        service = AralSessionService(store)
        yield service.create_session(app_name="app", user_id="u", session_id="s")
        yield service.get_session(app_name="app", user_id="u", session_id="s")
        yield service.list_sessions(app_name="app")

    def agent_framework(store):
        from agent_framework import Message
        from aral_store.agent_framework import AralHistoryProvider
        history = AralHistoryProvider(store)
        yield history.save_messages("s", [Message("user", ["x"])])
        yield history.get_messages("s")

    def llama_index(store):
        from llama_index.core.llms import ChatMessage
        from aral_store.llama_index import AralChatStore
        chats = AralChatStore(store)
        yield chats.add_message("s", ChatMessage(content="x"))
        yield chats.get_messages("s")

    def pydantic_ai(store):
        from pydantic_ai.messages import ModelRequest
        from aral_store.pydantic_ai import AralMessageHistory
        history = AralMessageHistory("s", store)
        yield history.aadd([ModelRequest.user_text_prompt("x")])
        yield history.amessages()

    async def outcomes(adapter, store):
        found = []
        for call in adapter(store):
            try:
                found.append(len(str(await call)) > 0)
            except Exception as error:
                found.append(type(error).__name__)
        return found

    adapters = []
    for adapter, needs in ((adk, "google.adk"), (agent_framework, "agent_framework"), (llama_index, "llama_index.core"), (pydantic_ai, "pydantic_ai")):
        try:
            importlib.import_module(needs)
            adapters.append(adapter)
        except ImportError:
            print("SKIPPED:", needs, "is not installed")

    with Store(place) as store:
        for adapter in adapters:
            before = asyncio.run(outcomes(adapter, store))
            assert all(each is True for each in before), before
        child = os.fork()
        if child == 0:
            code = 1
            try:
                for adapter in adapters:
                    for owner in (store, AsyncStore(store)):
                        found = asyncio.run(outcomes(adapter, owner))
                        assert set(found) == {"Forked"}, found
                if opens_itself:
                    with Store(place) as own:
                        found = [asyncio.run(outcomes(adapter, own)) for adapter in adapters]
                        # The session is there already.
                        assert [each[1:] for each in found] == [[True] * (len(each) - 1) for each in found], found
                code = 0
            finally:
                sys.stdout.flush()
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0
        for adapter in adapters:
            after = asyncio.run(outcomes(adapter, store))[1:]
            assert all(each is True for each in after), after
    print("done")
"""


@pytest.mark.parametrize("kind", ["file", "postgres"])
def test_a_child_is_told_that_it_was_forked_off(kind: str, tmp_path: Path):
    opens_itself = "opens itself" if kind == "postgres" else "does not"
    line = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(PROGRAM), str(place_in(kind, tmp_path)), opens_itself]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.endswith("done\n"), done.stdout + done.stderr
    if "SKIPPED" in done.stdout:
        print(done.stdout)
