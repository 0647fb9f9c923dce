"""A store in a bucket: what it has in common with every other one, and what it has of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aral_store import (
    AsyncStore,
    InvalidInput,
    MessageStore,
    NotFound,
    Store,
    Unsupported,
    repair,
    verify,
)
from conftest import bucket_server, place_in
from test_processes import run, started


@pytest.fixture
def url(tmp_path: Path) -> str:
    return str(place_in("s3", tmp_path))


def test_every_door_opens_the_same_bucket(url: str):
    with MessageStore(save_dir=url) as aral:
        conversation = aral.create_conversation(title="Plans")
        aral.add_message(conversation.id, "one", key="request-1")
        aral.add_message(conversation.id, "one", key="request-1")
        assert aral.save_dir is None

    async def add() -> None:
        async with await AsyncStore.open(url) as store:
            await store.add_message(conversation.id, "two", role="assistant")

    asyncio.run(add())
    with Store(url) as store, Store(url, read_only=True) as reader:
        assert [message.content for message in store.messages(conversation.id)] == ["one", "two"]
        store.add_message(conversation.id, "three")
        # Every read sees what was acknowledged to anybody before it.
        assert len(reader.messages(conversation.id)) == 3
        assert [event["content"] for event in store.follow(wait=False) if event["type"] == "add_message"] == ["one", "two", "three"]


def test_a_compaction_writes_the_files_and_keeps_everything(url: str):
    with Store(url) as store:
        for n in range(5):
            store.add_message(f"c{n % 2}", str(n))
        store.compact()
        store.add_message("c0", "behind")
        assert store.verify().is_sound
    assert verify(url).is_sound
    with Store(url, read_only=True) as store:
        assert [message.content for message in store.messages("c0")] == ["0", "2", "4", "behind"]


def test_processes_write_one_bucket_at_the_same_time(url: str):
    Store(url).close()
    program = "\n".join(
        [
            "from aral_store import Store",
            f"with Store({url!r}) as store:",
            "    for n in range(10):",
            "        store.add_message('c1', 'x', id=f'{PROCESS}-{n}')",
        ]
    )
    children = [started(program.replace("{PROCESS}", str(process))) for process in range(3)]
    with Store(url) as store:
        for n in range(10):
            store.add_message("c1", "y", id=f"own-{n}")
        for child in children:
            child.communicate(timeout=120)
            assert child.returncode == 0
        ids = [message.id for message in store.messages("c1")]
        assert len(ids) == len(set(ids)) == 40 and store.stats().last_seq == 40


def test_what_a_bucket_does_not_have_is_refused(url: str, tmp_path: Path):
    with pytest.raises(InvalidInput, match="mirror is about JSON files"):
        MessageStore(url, mirror="always")
    with Store(url) as store:
        store.add_message("c1", "x")
        for call in (
            lambda: store.accept("c1"),
            lambda: Store(url, salvage=True),
            lambda: repair(url, tmp_path / "new"),
            lambda: repair(url, in_place=True),
        ):
            with pytest.raises(Unsupported):
                call()
        assert len(store.messages("c1")) == 1


def test_what_is_not_there_or_not_right_is_said_without_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server = bucket_server()
    missing = server.url("p", bucket="not-there")
    for open_it in (Store, MessageStore, lambda url: asyncio.run(AsyncStore.open(url))):
        with pytest.raises(NotFound, match="make it first") as gone:
            open_it(missing)
        assert gone.value.path is None and "s3://not-there/p" in str(gone.value)
    with pytest.raises(NotFound):
        Store(server.url("nothing-yet"), read_only=True)
    for wrong in ("s3://key:secret@bucket/p", "gs://bucket/p?secret=1", "az://bucket/p?account=a&endpoint=secret"):
        with pytest.raises(InvalidInput) as refused:
            Store(wrong)
        assert "secret" not in str(refused.value)
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT", raising=False)
    with pytest.raises(InvalidInput, match="AZURE_STORAGE_ACCOUNT_NAME"):
        Store("az://container/p")
    assert list(tmp_path.iterdir()) == []


def test_a_store_is_shown_as_its_bucket_and_prefix(url: str):
    shown = url.partition("?")[0]
    with Store(url) as store, MessageStore(url) as aral:
        assert repr(store) == f"<store in '{shown}'>" and repr(aral) == f"<message store in '{shown}'>"


def test_a_child_opens_the_bucket_itself_and_leaves_its_parents_store_alone(url: str):
    program = f"""
        import os
        from aral_store import Forked, Store
        store = Store({url!r})
        store.add_message("c1", "parent")
        child = os.fork()
        if child == 0:
            try:
                store.add_message("c1", "x")
            except Forked:
                with Store({url!r}) as own:
                    own.add_message("c1", "child")
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        store.add_message("c1", "parent again")
        print([message.content for message in store.messages("c1")])
    """
    done = run(program)
    assert done.returncode == 0 and "['parent', 'child', 'parent again']" in done.stdout, done.stderr
