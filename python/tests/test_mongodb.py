"""A store in MongoDB, where ``mongod`` is installed (on the path, or its place in ``MONGOD``)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from aral_store import InvalidInput, IoFailed, MessageStore, NotFound, Store


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = os.environ.get("MONGOD") or shutil.which("mongod")
    if program is None:
        pytest.skip("no mongod here")
    home = tmp_path_factory.mktemp("mongod")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [program, "--dbpath", str(home), "--port", str(port), "--bind_ip", "127.0.0.1", "--nounixsocket", "--quiet"]
    with (home / "log").open("w") as log:
        process = subprocess.Popen([*line, "--wiredTigerCacheSizeGB", "0.25"], stdout=log, stderr=log)
    try:
        for _ in range(600):
            with socket.socket() as knock:
                if knock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield f"mongodb://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(60)


def test_every_door_opens_the_same_database(server: str):
    url = f"{server}/doors"
    with MessageStore(save_dir=url) as aral:
        conversation = aral.create_conversation(title="Plans")
        aral.add_message(conversation.id, "one", metadata={"big": 10**40})
        assert aral.save_dir is None and repr(aral) == f"<message store in '{url}'>"
    with Store(url) as store, Store(url, read_only=True) as reader:
        store.add_message(conversation.id, "two", role="assistant")
        store.compact()
        assert [message.content for message in reader.messages(conversation.id)] == ["one", "two"]
        assert reader.messages(conversation.id)[0].metadata == {"big": 10**40}
        assert store.verify().is_sound


def test_what_is_not_there_or_not_right_is_said_without_a_secret(server: str):
    with pytest.raises(NotFound) as missing:
        Store(f"{server}/nothing-yet", read_only=True)
    assert missing.value.path is None
    with pytest.raises(IoFailed, match="refuses connections") as away:
        Store("mongodb://app:secret@127.0.0.1:1/db?serverSelectionTimeoutMS=1000")
    with pytest.raises(InvalidInput, match="w=majority") as weak:
        Store("mongodb://app:secret@127.0.0.1:1/db?w=1")
    assert "secret" not in str(away.value) + str(weak.value)
    with pytest.raises(InvalidInput, match="mirror is about JSON files"):
        MessageStore(f"{server}/doors", mirror="always")
