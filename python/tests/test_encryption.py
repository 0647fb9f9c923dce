"""Encrypted stores: the key in each of its forms, and what whoever comes without it is told."""

from __future__ import annotations

import asyncio
import importlib
import secrets
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aral_store import AsyncStore, InvalidInput, KeyRefused, Locked, MessageStore, Store, rekey, repair, verify

KEY = secrets.token_bytes(32)


def bytes_below(directory: Path) -> bytes:
    return b"".join(path.name.encode() + path.read_bytes() for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize("key", [KEY, KEY.hex(), lambda: KEY, lambda: KEY.hex() + "\n"])
def test_a_store_is_opened_with_its_key_in_each_form_and_nothing_in_it_is_plain(tmp_path: Path, key: Any) -> None:
    with Store(tmp_path / "data", key=key) as store:
        store.add_message("the-id-of-it", "what was said between us")
        store.compact()
        store.add_message("the-id-of-it", "what was said after that")
    found = bytes_below(tmp_path)
    assert b"the-id-of-it" not in found and b"what was said" not in found
    with Store(tmp_path / "data", key=KEY, read_only=True) as store:
        assert [message.content for message in store["the-id-of-it"].messages][0] == "what was said between us"
    assert verify(tmp_path / "data", key=KEY).is_sound
    assert verify(tmp_path / "data").is_sound


@pytest.mark.parametrize("key", [None, secrets.token_bytes(32), secrets.token_bytes(32).hex()])
def test_without_its_key_a_store_is_refused_and_not_taken_for_an_empty_one(tmp_path: Path, key: Any) -> None:
    with Store(tmp_path, key=KEY) as store:
        store.add_message("c1", "hidden")
    before = bytes_below(tmp_path)
    for read_only in [False, True]:
        with pytest.raises(KeyRefused):
            Store(tmp_path, key=key, read_only=read_only)
    assert bytes_below(tmp_path) == before


def test_another_key_takes_the_place_of_the_first(tmp_path: Path) -> None:
    new = secrets.token_bytes(32)
    with Store(tmp_path, key=KEY) as store:
        store.add_message("c1", "hidden")
        with pytest.raises(Locked):
            rekey(tmp_path, key=KEY, new=new)
    rekey(tmp_path, key=KEY, new=lambda: new.hex())
    with pytest.raises(KeyRefused):
        Store(tmp_path, key=KEY)
    with Store(tmp_path, key=new) as store:
        assert len(store["c1"].messages) == 1


def test_a_key_where_nothing_is_encrypted_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "plain").close()
    with Store(tmp_path / "plain") as store:
        store.add_message("c1", "as it is")
    places: list[str | Path] = [tmp_path / "plain", f"sqlite:{tmp_path}/x.db"]
    for place in places:
        with pytest.raises(InvalidInput, match="not encrypted"):
            Store(place, key=KEY)
    for bad in [b"short", "0f", 7, lambda: None]:
        with pytest.raises(InvalidInput, match="64 hexadecimal digits"):
            Store(tmp_path / "new", key=bad)  # type: ignore[arg-type]
    with Store(tmp_path / "hidden", key=KEY) as store:
        store.add_message("c1", "hidden")
    with pytest.raises(KeyRefused):
        repair(tmp_path / "hidden", tmp_path / "repaired")
    assert repair(tmp_path / "hidden", tmp_path / "repaired", key=KEY).is_complete
    with Store(tmp_path / "repaired", key=KEY) as store:
        assert [message.content for message in store["c1"].messages] == ["hidden"]


def key_file(directory: Path, content: bytes) -> Path:
    path = directory / "of-the-store.key"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("content", [KEY, KEY.hex().encode(), KEY.hex().upper().encode() + b"\n", KEY.hex().encode() + b"\r\n"])
def test_a_file_of_the_key_opens_the_store_as_the_key_does(tmp_path: Path, content: bytes) -> None:
    path = key_file(tmp_path, content)
    with Store(tmp_path / "data", key_file=path) as store:
        store.add_message("c1", "hidden")
    with Store(tmp_path / "data", key=KEY, read_only=True) as store:
        assert len(store["c1"].messages) == 1
    assert verify(tmp_path / "data", key_file=str(path)).is_sound


def test_a_file_that_has_no_key_is_refused_and_named(tmp_path: Path) -> None:
    for content in [b"", b"\n", KEY + b"\n", KEY[:31], KEY.hex().encode() + b"\n\n", b"g" * 64, b"0" * 5000]:
        path = key_file(tmp_path, content)
        with pytest.raises(InvalidInput, match="64 hexadecimal digits") as refused:
            Store(tmp_path / "data", key_file=path)
        assert refused.value.path == path
    for missing in [tmp_path / "gone.key", tmp_path]:
        with pytest.raises(KeyRefused, match="cannot be read") as unreadable:
            MessageStore(save_dir=tmp_path / "data", key_file=missing)
        assert unreadable.value.path == missing
    with pytest.raises(InvalidInput, match="not both"):
        Store(tmp_path / "data", key=KEY, key_file=key_file(tmp_path, KEY))
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("mirror", [None, "always", "auto", "never"])
def test_a_message_store_with_a_key_leaves_nothing_plain_and_is_there_the_next_time(tmp_path: Path, mirror: Any) -> None:
    with MessageStore(save_dir=tmp_path, key=KEY, mirror=mirror) as store:
        conversation = store.create_conversation(title="the-title-of-it", id="the-id-of-it")
        store.add_message(conversation.id, "what was said between us", metadata={"who": "whoever-it-was"})
        store.compact()
        store.add_message(conversation.id, "what was said after that")
    found = bytes_below(tmp_path)
    for plain in [b"the-title-of-it", b"the-id-of-it", b"what was said", b"whoever-it-was"]:
        assert plain not in found
    with MessageStore(save_dir=tmp_path, key=lambda: KEY.hex()) as store:
        again = store.get_conversation("the-id-of-it")
        assert again is not None and [message.content for message in again.messages][1] == "what was said after that"
        assert store.verify().is_sound


def test_a_message_store_without_its_key_is_refused_and_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with MessageStore(save_dir=tmp_path, key=KEY) as store:
        store.add_message("c1", "hidden")
    before = bytes_below(tmp_path)
    for key in [None, secrets.token_bytes(32), lambda: secrets.token_hex(32)]:
        for read_only in [False, True]:
            with pytest.raises(KeyRefused):
                MessageStore(save_dir=tmp_path, key=key, read_only=read_only)
    assert bytes_below(tmp_path) == before
    # What is not encrypted is not opened with a key, in memory neither.
    for place in [None, f"sqlite:{tmp_path}/x.db"]:
        for kind in [Store, MessageStore]:
            with pytest.raises(InvalidInput, match="not encrypted"):
                kind(place, key=KEY)
            with pytest.raises(InvalidInput, match="not encrypted"):
                kind(place, key_file=key_file(tmp_path, KEY))


def test_a_message_store_asks_for_the_key_again_when_it_becomes_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    key_file(tmp_path, KEY)
    asked: list[int] = []

    def ask() -> bytes:
        asked.append(1)
        return KEY

    writes = """if True:
        import sys
        from aral_store import Store
        with Store("data", key_file="of-the-store.key") as store:
            print(flush=True)
            sys.stdin.readline()
            store.add_message("c1", "by the other one")
    """
    other = subprocess.Popen([sys.executable, "-c", writes], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdin is not None and other.stdout is not None
    other.stdout.readline()
    views = [MessageStore(save_dir="data", key=ask), MessageStore(save_dir="data", key_file="of-the-store.key")]
    before = len(asked)
    with pytest.raises(Locked):
        views[0].add_message("c1", "too early")
    other.communicate(b"\n", 60)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    for number, store in enumerate(views):
        store.add_message("c1", "by this one")
        assert len(store.get_conversation_messages("c1")) == number + 2
        store.close()
    assert len(asked) == before + 2


#: What takes the path of a store.
ADAPTERS = [
    ("langgraph", "AralSaver"),
    ("langgraph", "AralBaseStore"),
    ("google_adk", "AralSessionService"),
    ("agent_framework", "AralHistoryProvider"),
    ("llama_index", "AralChatStore"),
]


@pytest.mark.parametrize(("module", "name"), ADAPTERS)
def test_an_adapter_opens_the_encrypted_store_at_its_path_with_the_key_alone(tmp_path: Path, module: str, name: str) -> None:
    try:
        adapter = getattr(importlib.import_module(f"aral_store.{module}"), name)
    except ImportError:
        pytest.skip(f"the framework of {module} is not installed")
    with Store(tmp_path / "data", key=KEY) as store:
        store.add_message("c1", "hidden")
    before = bytes_below(tmp_path / "data")
    wrongs: list[dict[str, Any]] = [{}, {"key": secrets.token_bytes(32)}, {"key_file": tmp_path / "gone.key"}]
    for wrong in wrongs:
        with pytest.raises(KeyRefused):
            adapter(tmp_path / "data", **wrong)
    assert bytes_below(tmp_path / "data") == before
    rights: list[dict[str, Any]] = [{"key": lambda: KEY}, {"key_file": key_file(tmp_path, KEY)}]
    for right in rights:
        opened = adapter(tmp_path / "data", **right)
        assert len(opened._owner.store["c1"].messages) == 1
        opened._owner.close()
    with Store() as store, pytest.raises(InvalidInput, match="with its own"):
        adapter(store, key=KEY)


def test_an_async_store_takes_the_file_of_a_key(tmp_path: Path) -> None:
    async def run() -> int:
        async with await AsyncStore.open(tmp_path / "data", key_file=key_file(tmp_path, KEY)) as store:
            await store.add_message("c1", "hidden")
        with pytest.raises(KeyRefused):
            await AsyncStore.open(tmp_path / "data")
        async with await AsyncStore.open(tmp_path / "data", key=KEY) as store:
            return len((await store.get("c1")).messages)

    assert asyncio.run(run()) == 1
