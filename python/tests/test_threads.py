"""The interpreter goes on in every call that takes long, and many threads share a store.

On a free-threaded build of Python, where threads run at the same time, these are the tests that matter most.
"""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import textwrap
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

import aral_store
from aral_store import Closed, MessageStore, Store
from conftest import Place, unmirrored

TEXT = "x" * 1000


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    dir = tmp_path_factory.mktemp("large")
    with Store(dir, sync="os", compact_above=None) as store:
        for _ in range(10):
            store.batch([{"type": "add_message", "conversation_id": "c1", "content": TEXT}] * 2000)
    return dir


CALLS: dict[str, Callable[[Store, Path], object]] = {
    "append": lambda store, to: store._core.append(
        '{"type":"add_message","conversation_id":"c2","content":"' + "y" * 30_000_000 + '"}'
    ),
    "conversation": lambda store, to: store._core.conversation("c1"),
    "messages": lambda store, to: store.messages("c1"),
    "verify": lambda store, to: store._core.verify(),
    "export": lambda store, to: store._core.export_aral(to / "export", None),
    "compact": lambda store, to: store._core.compact(),
    "verify without opening": lambda store, to: aral_store._core.verify(store_dir(store)),
    "repair": lambda store, to: aral_store._core.repair(to / "closed", to / "repaired"),
}


def store_dir(store: Store) -> Path:
    return store.dir  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("name", CALLS)
def test_another_thread_goes_on_during_one_call(large: Path, tmp_path: Path, name: str):
    import shutil

    shutil.copytree(large, tmp_path / "data")
    shutil.copytree(large, tmp_path / "closed")
    ticks = 0
    stop = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not stop.is_set():
            ticks += 1
            time.sleep(0.0001)

    with Store(tmp_path / "data", sync="always", compact_above=None) as store:
        store.dir = tmp_path / "data"  # type: ignore[attr-defined]
        thread = threading.Thread(target=tick)
        thread.start()
        try:
            while ticks < 3:
                time.sleep(0.001)
            # Both are read with nothing in between but one call of the native part.
            before = ticks
            CALLS[name](store, tmp_path)
            during = ticks - before
        finally:
            stop.set()
            thread.join()
    # A call that keeps the interpreter lets the other thread have it once at most, before or after.
    assert during >= 5, f"{during} ticks"


def test_many_threads_add_to_live_conversations(place: Place):
    with MessageStore(place, sync="os", **unmirrored(place)) as store:
        conversation = store.create_conversation(id="c1")
        other = MessageStore(place, **unmirrored(place))

        def work(name: str) -> None:
            for n in range(40):
                store.add_message("c1", f"{name}{n}")
                if n % 10 == 0:
                    store.add_action("c1", "count", {"n": n})
                    assert other.get_conversation("c1") is not None

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        contents = [message.content for message in conversation.messages]
        assert len(contents) == 160 and len(conversation.actions) == 16
        for name in "abcd":
            assert [text for text in contents if text[0] == name] == [f"{name}{n}" for n in range(40)]
        assert other.get_conversation("c1").model_dump() == conversation.model_dump()
        other.close()
    with Store(place) as again:
        assert [message.content for message in again.messages("c1")] == contents


def test_threads_that_edit_while_others_save_lose_no_edit(place: Place):
    with MessageStore(place, sync="os", **unmirrored(place)) as store:
        conversation = store.create_conversation(id="c1")
        for n in range(20):
            store.add_message("c1", str(n))
        stop = threading.Event()

        def save() -> None:
            while not stop.is_set():
                store.add_action("c1", "saved", {})

        thread = threading.Thread(target=save)
        thread.start()
        for n in range(300):
            conversation.messages[n % 20].metadata["n"] = n
            if n % 50 == 0:
                time.sleep(0.01)
        stop.set()
        thread.join()
        # The last edit may have come after the last save; the next one takes it along.
        store.add_message("c1", "the end")
        assert Store(place)["c1"].model_dump() == conversation.model_dump()


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python is no free-threaded build")
def test_importing_the_package_does_not_bring_the_gil_back():
    # The interpreter warns when it enables the GIL for a module that has not said that it does without.
    program = "import sys, aral_store; sys.exit(sys._is_gil_enabled())"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_one_handle_and_one_follower_serve_many_threads_until_they_are_closed(place: Place):
    store = Store(place, sync="os", compact_above=None)
    store.add_message("c0", "the first")
    follower = store._core.follow(1)
    told: list[int] = []
    followed: list[int] = []
    errors: list[BaseException] = []
    begin = threading.Barrier(8)

    def work(name: str) -> None:
        begin.wait()
        try:
            while True:
                told.append(store.add_message(name, "x" * 100, metadata={"of": name}).seq)
                assert store.messages(name, last=1)[0].metadata == {"of": name}
                summary = store.summary("c0")
                assert summary is not None and summary.messages >= 1
                assert "c0" in store and store.stats().messages > 0
                found = follower.next()
                if found is not None:
                    followed.extend(json.loads(event)["seq"] for event in found[0])
        except Closed:
            pass
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"c{n % 4}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    while len(told) < 2000 and not errors:
        time.sleep(0.01)
    store.close()
    for thread in threads:
        thread.join()
    assert not errors and len(set(told)) == len(told)
    assert max(Counter(followed).values()) == 1, "no event is given twice"
    with Store(place) as again:
        held = {event["seq"] for event in again.events()}
        assert held.issuperset(told) and again.verify().is_sound


def test_readers_see_live_lists_grow_in_their_order(tmp_path: Path):
    with MessageStore(tmp_path, sync="os", mirror="auto") as store:
        conversation = store.create_conversation(id="c1")
        errors: list[BaseException] = []
        stop = threading.Event()

        def read() -> None:
            try:
                while not stop.is_set():
                    seen = [int(message.content) for message in conversation.messages]
                    assert seen == list(range(len(seen)))
                    assert len(store.get_conversation_messages("c1")) >= len(seen)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for n in range(120):
            store.add_message("c1", str(n))
        stop.set()
        for thread in threads:
            thread.join()
        assert not errors
    with Store(tmp_path) as again:
        assert [message.content for message in again.messages("c1")] == [str(n) for n in range(120)]


def run(program: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(program), *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_program_does_not_end_before_a_call_that_has_begun(tmp_path: Path):
    program = """
        import asyncio, sys, time
        from aral_store import AsyncStore, Store

        async def main():
            store = await AsyncStore.open(sys.argv[1])
            loop = asyncio.get_running_loop()
            begun = asyncio.Event()

            def work():
                loop.call_soon_threadsafe(begun.set)
                time.sleep(0.5)
                store._store.add_message("c1", "x")

            main.task = asyncio.ensure_future(store._run(work))
            main.store = store
            await begun.wait()

        loop = asyncio.new_event_loop()
        loop.run_until_complete(main())
        main.task._log_destroy_pending = False
    """
    run(program, str(tmp_path))
    with Store(tmp_path) as store:
        assert [message.content for message in store.messages("c1")] == ["x"]


def test_a_process_that_is_forked_off_has_threads_of_its_own(tmp_path: Path):
    program = """
        import asyncio, os, sys
        from pathlib import Path
        from aral_store import AsyncStore

        async def add(dir):
            async with await AsyncStore.open(dir) as store:
                await store.add_message("c1", "x")
                print(len(await store.messages("c1")), flush=True)

        asyncio.run(add(Path(sys.argv[1], "parent")))
        child = os.fork()
        if child == 0:
            asyncio.run(add(Path(sys.argv[1], "child")))
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        asyncio.run(add(Path(sys.argv[1], "parent")))
    """
    assert run(program, str(tmp_path)) == "1\n1\n2\n"
