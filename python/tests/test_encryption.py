"""Encrypted stores: the key in each of its forms, and what whoever comes without it is told."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from aral_store import InvalidInput, KeyRefused, Locked, Store, Unsupported, rekey, repair, verify

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
    with pytest.raises(Unsupported):
        repair(tmp_path / "hidden", tmp_path / "repaired")
