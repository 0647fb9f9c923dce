"""Several processes: one writes, others read, some die, some are forked off."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from aral_store import Conversation, InvalidInput, Locked, MessageStore, Store
from conftest import Place


def run(program: str, *arguments: object, **more: Any) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120, **more)


def started(program: str, *arguments: object) -> subprocess.Popen[str]:
    line = [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)]
    return subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


HOLDER = """
    import sys
    from aral_store import Store
    store = Store(sys.argv[1])
    for line in sys.stdin:
        print(store.add_message("c1", line.strip()).seq, flush=True)
    store.close()
"""


class Holder:
    """A process that has a store open and adds what it is told to."""

    def __init__(self, dir: Path) -> None:
        self.process = started(HOLDER, dir)
        self.add("the first")

    def add(self, text: str) -> int:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def __enter__(self) -> Holder:
        return self

    def __exit__(self, *args: object) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(60)
        self.process.stdout.close()


def test_a_second_process_is_told_that_the_store_is_locked_until_the_first_one_ends(tmp_path: Path):
    with Holder(tmp_path):
        with pytest.raises(Locked) as caught:
            Store(tmp_path)
        assert isinstance(caught.value, BlockingIOError)
    with MessageStore(tmp_path) as store:
        assert len(store.get_conversation_messages("c1")) == 1


def test_whoever_waits_gets_the_store_when_the_first_one_ends(tmp_path: Path):
    program = """
        import sys
        from aral_store import Store
        with Store(sys.argv[1], wait=60) as store:
            store.add_message("c1", "waited")
    """
    with Holder(tmp_path):
        with pytest.raises(Locked, match="within 10ms"):
            Store(tmp_path, wait=0.01)
        line = [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)]
        waiting = subprocess.Popen(line)
    assert waiting.wait(120) == 0
    with Store(tmp_path) as store:
        assert store.messages("c1")[-1].content == "waited"
    for wrong in (-1, float("nan"), True, "30s"):
        with pytest.raises(InvalidInput):
            Store(tmp_path, wait=wrong)  # type: ignore[arg-type]


def test_a_message_store_opens_at_once_and_its_saves_wait(tmp_path: Path):
    program = """
        import sys
        from aral_store import MessageStore
        store = MessageStore(sys.argv[1], wait=60)
        print(len(store.get_conversation_messages("c1")), flush=True)
        store.add_message("c1", "waited")
    """
    with Holder(tmp_path):
        short = MessageStore(tmp_path, wait=0.01)
        # Each save waits, not the first one alone, and a refusal leaves it the view that it was.
        for _ in range(2):
            with pytest.raises(Locked):
                short.add_message("c1", "too soon")
        assert len(short.get_conversation_messages("c1")) == 1
        short.close()
        waiting = started(program, tmp_path)
        assert waiting.stdout is not None and waiting.stdout.readline() == "1\n"
    waiting.communicate(timeout=120)
    with Store(tmp_path) as store:
        assert [message.content for message in store.messages("c1")] == ["the first", "waited"]


@pytest.mark.parametrize("wrong", [-1, float("nan"), float("inf"), True, "30s", None])
@pytest.mark.parametrize("dir", [None, "data"])
def test_no_message_store_takes_a_wait_that_is_none(tmp_path: Path, dir: str | None, wrong: Any):
    with pytest.raises(InvalidInput, match="wait must be a number of seconds"):
        MessageStore(dir and tmp_path / dir, wait=wrong)
    assert not (tmp_path / "data").exists()


def test_the_lock_dies_with_a_killed_process(tmp_path: Path):
    with Holder(tmp_path) as holder:
        holder.process.kill()
        holder.process.wait()
        with Store(tmp_path) as store:
            assert [m.content for m in store.messages("c1")] == ["the first"]


def test_a_reader_beside_a_writer_follows_what_it_adds(tmp_path: Path):
    with Holder(tmp_path) as holder, Store(tmp_path, read_only=True) as viewer:
        assert [m.content for m in viewer.messages("c1")] == ["the first"]
        events = viewer.follow()
        assert next(events)["content"] == "the first"
        for n in range(20):
            seq = holder.add(f"message {n}")
            event = next(events)
            assert (event["seq"], event["type"], event["content"]) == (seq, "add_message", f"message {n}")
        assert len(Store(tmp_path, read_only=True).messages("c1")) == 21


def test_a_store_is_not_sent_to_another_process():
    for store in (Store(), MessageStore()):
        with pytest.raises(TypeError, match="not sent to another process"):
            pickle.dumps(store)


def contents_in(dir: str) -> list[str]:
    with Store(dir, read_only=True) as store:
        return [message.content for message in store.messages("c1")]


def test_spawned_workers_read_beside_the_writer(place: Place):
    with Store(place) as store:
        store.add_message("c1", "hi")
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            assert pool.map(contents_in, [str(place)] * 4) == [["hi"]] * 4
        store.add_message("c1", "still the writer")


# A process that is forked off.


def test_processes_that_are_forked_off_make_up_ids_of_their_own(place: Place):
    program = """
        import os, sys
        from aral_store import Store

        def ids(store):
            first = store.create().conversation_id
            others = [store.add_message(first, "hi").id for _ in range(3)]
            return [first, *others, store.fork(first).conversation_id]

        in_memory = Store()
        with Store(sys.argv[1]) as store:
            found = ids(store) + ids(in_memory)
        for _ in range(3):
            here, there = os.pipe()
            pid = os.fork()
            if pid == 0:
                try:
                    with Store(sys.argv[1]) as own:
                        os.write(there, " ".join([*ids(in_memory), *ids(Store()), *ids(own)]).encode())
                finally:
                    os._exit(0)
            os.close(there)
            os.waitpid(pid, 0)
            found += os.read(here, 10_000).decode().split()
        found += ids(in_memory)
        assert len(found) == 60, found
        assert len(set(found)) == len(found), sorted(found)
    """
    done = run(program, place)
    assert done.returncode == 0, done.stderr


FORK = """
    import asyncio, gc, os, sys, threading
    from aral_store import *

    def in_child(*works):
        pid = os.fork()
        if pid:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        status = 1
        try:
            for work in works:
                work()
            status = 0
        finally:
            sys.stderr.flush()
            os._exit(status)

    def refused(work, error=Forked):
        def check():
            try:
                work()
            except error:
                return
            raise AssertionError("not refused")
        return check
"""


def forking(program: str, *arguments: object) -> None:
    done = run(textwrap.dedent(FORK) + textwrap.dedent(program), *arguments)
    assert done.returncode == 0, done.stderr


def test_a_forked_process_is_refused_its_parents_store_and_does_no_harm(tmp_path: Path):
    program = """
        dir = sys.argv[1]
        store = Store(dir, sync="os")
        aral = MessageStore(dir, mirror="never")
        later = AsyncStore(store)
        conversation = aral.create_conversation(id="c1")
        store.add_message("c1", "before")
        follower = store.follow()
        assert next(follower)["seq"] == 1
        works = [
            lambda: store.add_message("c1", "from the child"),
            lambda: store.messages("c1"),
            lambda: store.stats(),
            lambda: store.close(),
            lambda: list(follower),
            lambda: aral.add_message("c1", "from the child"),
            lambda: aral.get_conversation("c1"),
            lambda: aral._save_conversation(conversation),
            lambda: aral.close(),
            lambda: asyncio.run(later.add_message("c1", "from the child")),
        ]
        assert in_child(*map(refused, works)) == 0
        # The parent still has it, and a new opening says so.
        assert in_child(refused(lambda: Store(dir), Locked)) == 0
        assert in_child(lambda: Store(dir, read_only=True).messages("c1")) == 0

        def let_go():
            global store, aral, later, follower, works
            del store, aral, later, follower
            works.clear()
            gc.collect()
        assert in_child(let_go) == 0
        assert in_child(refused(lambda: sys.exit(0), SystemExit)) == 0
        store.add_message("c1", "after")
        assert store.verify().is_sound
        # What a child had let go of is still the parent's.
        assert in_child(refused(lambda: Store(dir), Locked)) == 0
        store.close(); aral.close()
        def take_over():
            with Store(dir) as mine:
                mine.add_message("c1", "the child's own")
        assert in_child(take_over) == 0
        with Store(dir) as store:
            assert [m.content for m in store.messages("c1")] == ["before", "after", "the child's own"]
            assert store.verify().is_sound and store.recovery().torn is None
    """
    forking(program, tmp_path)


def test_a_forked_process_ends_in_the_ordinary_way(place: Place):
    program = """
        store = MessageStore(sys.argv[1])
        store.add_message("c1", "x")
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        store.add_message("c1", "y")
        assert store.verify().is_sound
    """
    forking(program, place)
    with Store(place) as store:
        assert [m.content for m in store.messages("c1")] == ["x", "y"]


def test_a_fork_amid_other_threads_neither_hangs_nor_harms(tmp_path: Path):
    program = """
        dir = sys.argv[1]
        store, aral = Store(dir), MessageStore(dir, mirror="never")
        told, stop = [], threading.Event()

        def write(add):
            while not stop.is_set():
                add()
                told.append(1)

        threads = [
            threading.Thread(target=write, args=[lambda: store.add_message("c1", "x" * 1000)]),
            threading.Thread(target=write, args=[lambda: aral.add_message("c2", "y" * 1000)]),
            threading.Thread(target=write, args=[lambda: store.compact()]),
        ]
        for thread in threads:
            thread.start()
        for _ in range(30):
            works = [lambda: store.add_message("c1", "z"), lambda: aral.add_message("c2", "z"), lambda: aral.close()]
            assert in_child(*map(refused, works)) == 0
        stop.set()
        for thread in threads:
            thread.join()
        assert store.verify().is_sound and len(told) > 0
        aral.close(); store.close()
        with Store(dir) as again:
            assert "z" not in {m.content for id in again for m in again.messages(id)}
    """
    forking(program, tmp_path)


def test_stores_in_memory_go_with_a_forked_process():
    program = """
        store, aral = Store(), MessageStore()
        store.add_message("c1", "x")
        aral.add_message("c1", "x")
        def use():
            store.add_message("c1", "y")
            aral.add_message("c1", "y")
            assert len(store.messages("c1")) == 2 == len(aral.get_conversation_messages("c1"))
        assert in_child(use) == 0
        assert len(store.messages("c1")) == 1 == len(aral.get_conversation_messages("c1"))
    """
    forking(program)


# Processes that die.

WRITER = """
    import sys
    from aral_store import MessageStore, Store
    kind, dir = sys.argv[1:]
    if kind == "Store":
        store = Store(dir, compact_above=20_000)
        ids = (store.add_message("c1", "x" * 200, metadata={"n": n}).id for n in range(10**9))
    else:
        store = MessageStore(dir, mirror=kind)
        ids = (store.add_message("c1", "x" * 200, metadata={"n": n}).id for n in range(10**9))
    for id in ids:
        print(id, flush=True)
"""


@pytest.mark.parametrize("kind", ["Store", "always", "auto", "never"])
def test_killed_again_and_again_nothing_that_was_told_of_is_lost(tmp_path: Path, kind: str):
    seed = int(os.environ.get("KILLS_SEED", "1"))
    moments = random.Random(seed)
    told: list[str] = []
    for _ in range(int(os.environ.get("KILLS", "12")) // 4):
        writer = started(WRITER, kind, tmp_path)
        assert writer.stdin is not None and writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(moments.uniform(0.0, 0.3))
        writer.kill()
        printed = first + writer.stdout.read()
        writer.wait()
        writer.stdin.close()
        writer.stdout.close()
        assert writer.returncode == -signal.SIGKILL
        # The last line may have been cut short by the kill.
        told += printed[: printed.rfind("\n") + 1].split()
        with Store(tmp_path) as store:
            assert store.verify().is_sound
            found = [message.id for message in store.messages("c1")]
        at = {id: place for place, id in enumerate(found)}
        assert len(at) == len(found), "nothing is there twice"
        places = [at[id] for id in told]
        assert places == sorted(places), "everything is there, in its order"
        assert len(found) <= len(told) + 3, "and nothing besides what was under way at a kill"


def test_a_killed_writer_leaves_files_that_the_next_opening_brings_up_to_date(tmp_path: Path):
    program = """
        import os, sys
        from aral_store import Conversation, MessageStore
        store = MessageStore(sys.argv[1])
        store._save_conversation(Conversation(id="c1", messages=[{"content": str(n)} for n in range(500)]))
        store.add_message("c1", "the last")
        os.kill(os.getpid(), 9)
    """
    run(program, tmp_path)
    with MessageStore(tmp_path):
        text = (tmp_path / "conversations/c1.json").read_text()
    assert len(Conversation.model_validate_json(text).messages) == 501


def test_stores_that_are_let_go_of_let_go_of_the_directory(tmp_path: Path):
    store = MessageStore(tmp_path)
    store.add_message("c1", "x")
    del store
    gc.collect()
    done = run(HOLDER, tmp_path, input="y\n")
    assert done.returncode == 0, done.stderr
