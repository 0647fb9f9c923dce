"""A message store beside one in another process: it sees what the other one saves, and saves once that one has ended."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import pytest

from aral_store import Closed, Locked, MessageStore, NotFound, ReadOnly, Store, _opened

#: Does as it is told, line by line, and says when it is done.
AGENT = """
    import sys
    from aral_store import MessageStore, Store
    store = MessageStore(save_dir="./data")
    print("ready", flush=True)
    for line in sys.stdin:
        exec(line)
        print("done", flush=True)
"""


class Agent:
    """Another process that has a message store on ``./data``."""

    def __init__(self, dir: Path) -> None:
        line = [sys.executable, "-c", textwrap.dedent(AGENT)]
        self.process = subprocess.Popen(line, cwd=dir, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.answer() == "ready"

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def does(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        assert self.answer() == "done"

    def ends(self, *, kill: bool = False) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        if kill:
            self.process.kill()
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    agent = Agent(tmp_path)
    yield agent
    if agent.process.poll() is None:
        agent.ends()


def contents(store: MessageStore, id: str = "c1") -> list[str]:
    return [message.content for message in store.get_conversation_messages(id)]


def test_a_second_process_sees_what_the_first_one_has_saved_while_that_one_lives(agent: Agent):
    agent.does("store.create_conversation(id='c1', title='New Conversation')")
    agent.does("store.add_message('c1', 'Hello, world!', role='user')")
    store = MessageStore(save_dir="./data")
    conversation = store.get_conversation("c1")
    assert conversation is not None and conversation.title == "New Conversation" and contents(store) == ["Hello, world!"]
    assert [each.id for each in store.get_all_conversations()] == ["c1"] == list(store.conversations)
    assert store.backend.list_conversation_ids() == ["c1"] and "view" in repr(store)


def test_it_sees_every_further_call_in_the_same_objects(agent: Agent):
    agent.does("conversation = store.create_conversation(id='c1', title='T')")
    store = MessageStore(save_dir="./data")
    live = store.get_conversation("c1")
    for n in range(5):
        agent.does(f"store.add_message('c1', '{n}')")
        assert contents(store) == [str(m) for m in range(n + 1)]
    agent.does("conversation.title = 'U'; store._save_conversation(conversation)")
    agent.does("store.add_action('c2', 'click', {})")
    assert list(store.conversations) == ["c1", "c2"] and store.version("c2") == 1
    assert store.get_conversation("c1") is live and live is not None and live.title == "U"
    agent.does("store._store.remove('c1')")
    assert store.get_conversation("c1") is None and list(store.conversations) == ["c2"]
    agent.does("store.compact()")
    assert list(store.conversations) == ["c2"] and store.verify().is_sound


@pytest.mark.parametrize("kill", [False, True])
def test_it_saves_once_the_other_process_has_ended(agent: Agent, kill: bool):
    agent.does("store.add_message('c1', 'theirs')")
    store = MessageStore(save_dir="./data")
    live = store.get_conversation("c1")
    assert live is not None
    live.title = "mine"
    saves: list[Any] = [
        lambda: store.add_message("c1", "mine"),
        lambda: store.add_action("c1", "click", {}),
        lambda: store.create_conversation(id="c2"),
        lambda: store.create_conversation(id="c2", key="k"),
        lambda: store._save_conversation(live),
        store._save_to_backend,
        store.compact,
    ]
    for save in saves:
        with pytest.raises(Locked, match="nothing was saved"):
            save()
    assert contents(store) == ["theirs"] and list(store.conversations) == ["c1"]
    agent.ends(kill=kill)
    store.add_message("c1", "mine")
    assert contents(store) == ["theirs", "mine"] and store.get_conversation("c1") is live
    file = json.loads(Path("data/conversations/c1.json").read_text())
    assert [message["content"] for message in file["messages"]] == ["theirs", "mine"]
    assert file["title"] == "mine" and "view" not in repr(store)
    with pytest.raises(subprocess.CalledProcessError):
        line = "from aral_store import Store; Store('data')"
        subprocess.run([sys.executable, "-c", line], check=True, stderr=subprocess.DEVNULL)
    store.close()


def test_a_save_waits_for_the_other_process_if_it_is_told_to(agent: Agent):
    agent.does("store.add_message('c1', 'theirs')")
    store = MessageStore(save_dir="./data", wait=20)
    assert contents(store) == ["theirs"]
    ending = threading.Timer(0.3, agent.ends)
    ending.start()
    store.add_message("c1", "mine")
    assert contents(store) == ["theirs", "mine"]
    ending.join()
    store.close()


def test_a_view_for_reading_only_keeps_nobody_from_saving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFound):
        MessageStore(save_dir="./data", read_only=True)
    assert not Path("data").exists()
    with MessageStore(save_dir="./data") as store:
        store.add_message("c1", "first")
    viewer = MessageStore(save_dir="./data", read_only=True)
    assert contents(viewer) == ["first"]
    agent = Agent(tmp_path)
    agent.does("store.add_message('c1', 'second')")
    assert contents(viewer) == ["first", "second"]
    agent.ends()
    with pytest.raises(ReadOnly):
        viewer.add_message("c1", "third")
    # Also beside one in the same process.
    with MessageStore(save_dir="./data") as store:
        store.add_message("c1", "third")
        assert contents(viewer) == ["first", "second", "third"]
    viewer.close()


def test_a_view_is_opened_once_and_reads_what_comes(agent: Agent, monkeypatch: pytest.MonkeyPatch):
    agent.does("store.add_message('c1', 'first')")
    view = MessageStore(save_dir="./data")
    monkeypatch.setattr(_opened, "Store", None)
    expected = ["first"]
    # Into the log alone, and into the files too.
    for way in ("Store('data')", "store", "Store('data')"):
        for n in range(3):
            expected.append(f"{way} {n}")
            agent.does(f"{way}.add_message('c1', {expected[-1]!r})")
            assert contents(view) == expected
    view.close()


def test_a_view_that_was_closed_says_so(agent: Agent):
    agent.does("store.add_message('c1', 'x')")
    store = MessageStore(save_dir="./data")
    assert contents(store) == ["x"]
    store.close()
    store.close()
    agent.does("store.add_message('c1', 'y')")
    for call in (lambda: store.get_conversation("c1"), lambda: store.add_message("c1", "z"), store.get_all_conversations):
        with pytest.raises(Closed):
            call()
    agent.ends()
    with pytest.raises(Closed):
        store.add_message("c1", "z")


def test_a_store_that_is_let_go_of_lets_go_of_the_directory_at_once(tmp_path: Path):
    gc.disable()
    try:
        store = MessageStore(save_dir=tmp_path)
        store.add_message("c1", "x")
        del store
        line = "import sys; from aral_store import Store; Store(sys.argv[1]).add_message('c1', 'y')"
        done = subprocess.run([sys.executable, "-c", line, str(tmp_path)], capture_output=True, text=True)
    finally:
        gc.enable()
    assert done.returncode == 0, done.stderr
    with Store(tmp_path) as again:
        assert len(again.messages("c1")) == 2
