"""Messages that are written piece by piece."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from aral_store import AlreadyExists, AsyncStore, Closed, Conflict, InvalidInput, NotFound, Store


def said(store: Store, id: str) -> tuple[str, dict[str, object]]:
    message = next(message for message in store.messages("c1") if message.id == id)
    return message.content, message.metadata


@pytest.mark.parametrize("where", ["memory", "directory", "sqlite"])
def test_a_reply_is_read_while_it_comes_and_is_one_message_at_the_end(where: str, tmp_path: Path) -> None:
    places = {"memory": None, "directory": tmp_path / "data", "sqlite": f"sqlite:{tmp_path / 'a.db'}"}
    with Store(places[where]) as store:
        with store.stream("c1", id="m1", metadata={"model": "x"}) as reply:
            first = reply.append("Grüezi ")
            assert first is not None and first.id == "m1"
            assert said(store, "m1") == ("Grüezi ", {"model": "x", "partial": True})
            # Two halves of one character, as a stream that is cut anywhere brings them.
            assert reply.append("\ud83d") is None
            assert reply.append("\ude00") is not None
            reply.metadata["stop_reason"] = "end_turn"
        assert said(store, "m1") == ("Grüezi 😀", {"model": "x", "stop_reason": "end_turn"})
        if where != "memory":
            kinds = [event["type"] for event in store.events()]
            assert kinds == ["add_message", "append_text", "append_text", "edit_message"]


def test_an_exception_leaves_it_partial_and_is_heard(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as store:
        with pytest.raises(ConnectionError):
            with store.stream("c1", id="m1", every=3600.0) as reply:
                assert reply.append("So far") is None
                raise ConnectionError
        assert said(store, "m1") == ("So far", {"partial": True})
        with store.resume("c1", "m1") as reply:
            reply.append(", so good.")
        assert said(store, "m1") == ("So far, so good.", {})
        with pytest.raises(Conflict):
            store.resume("c1", "m1")


def test_what_is_in_the_way_is_told(tmp_path: Path) -> None:
    with Store(tmp_path / "data") as store:
        store.add_message("c1", "whole", id="m1")
        with pytest.raises(AlreadyExists):
            store.stream("c1", id="m1")
        with pytest.raises(InvalidInput):
            store.stream("c1", metadata={"partial": 1})
        with pytest.raises(NotFound):
            store.resume("c1", "m9")
        reply = store.stream("c1", id="m2")
        other = store.resume("c1", "m2")
        other.append("!")
        with pytest.raises(Conflict):
            reply.append("?")
        other.abandon()
        with pytest.raises(Closed):
            other.append("more")
        with pytest.raises(NotFound):
            with store.stream("c1", id="m3") as reply:
                store.remove_message("c1", "m3")
                reply.append("nowhere")
        assert len(store.messages("c1")) == 1


@pytest.mark.parametrize("where", ["memory", "directory", "sqlite"])
def test_what_nobody_has_finished_is_named(where: str, tmp_path: Path) -> None:
    places = {"memory": None, "directory": tmp_path / "data", "sqlite": f"sqlite:{tmp_path / 'a.db'}"}
    with Store(places[where]) as store:
        assert store.open_replies() == []
        store.stream("c1", "Grüezi", id="m1").close()
        store.stream("c2", id="m2").close()
        with store.stream("c2", "whole", id="m3"):
            pass
        first, second = store.open_replies()
        assert (first.conversation_id, first.message_id, first.bytes) == ("c1", "m1", 7)
        assert first.begun_at == store.messages("c1")[0].created_at
        assert store.open_replies("c2") == [second]
        assert store.open_replies("c9") == []
        store.resume("c1", "m1").finish()
        assert store.open_replies() == [second]


def test_a_reply_that_was_ended_by_hand_is_left_alone() -> None:
    store = Store()
    with store.stream("c1", "never mind", id="m1") as reply:
        reply.abandon()
    with store.stream("c1", id="m2") as reply:
        reply.append("done")
        reply.finish({"tokens": 1})
    assert said(store, "m2") == ("done", {"tokens": 1})
    with store.stream("c1", "open", id="m3") as reply:
        reply.close()
    assert said(store, "m3") == ("open", {"partial": True})


def test_a_kill_leaves_what_was_appended(tmp_path: Path) -> None:
    program = (
        "import os, signal, sys; from aral_store import Store\n"
        "reply = Store(sys.argv[1]).stream('c1', id='m1')\n"
        "reply.append('durable')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path / "data")], check=False)
    assert ended.returncode == -9
    with Store(tmp_path / "data") as store:
        assert said(store, "m1") == ("durable", {"partial": True})


def test_the_event_loop_goes_on() -> None:
    async def main() -> None:
        async with await AsyncStore.open() as store:
            async with store.stream("c1", id="m1") as reply:
                await reply.append("Hello")
                assert reply.id == "m1"
            with pytest.raises(asyncio.CancelledError):
                async with store.stream("c1", id="m2") as reply:
                    await reply.append("cut off")
                    raise asyncio.CancelledError
            async with store.resume("c1", "m2") as reply:
                await reply.append(" and gone on with")
            messages = await store.messages("c1")
            assert [(message.content, message.metadata) for message in messages] == [
                ("Hello", {}),
                ("cut off and gone on with", {}),
            ]

    asyncio.run(main())
