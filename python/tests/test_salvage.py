"""Damaged stores: read as far as they prove themselves, and repaired in their place."""

from __future__ import annotations

from pathlib import Path

import pytest

from aral_store import Corrupt, InvalidInput, ReadOnly, Store, repair, verify


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    directory = tmp_path / "data"
    for text in ("lost", "kept"):
        with Store(directory) as store:
            store.add_message("c1", text)
    segment = min((directory / "log").glob("*.seg"))
    data = bytearray(segment.read_bytes())
    data[4096 + 40] ^= 1
    segment.write_bytes(data)
    return directory


def test_a_salvage_shows_what_a_repair_saves(damaged: Path):
    with pytest.raises(Corrupt, match="salvage"):
        Store(damaged, read_only=True)
    with Store(damaged, salvage=True) as store:
        assert [message.content for message in store.messages("c1")] == ["kept"]
        salvage = store.recovery().salvage
        assert salvage is not None and not salvage.is_complete
        assert [(loss.first_seq, loss.named) for loss in salvage.lost] == [(1, ["c1"])]
        with pytest.raises(ReadOnly):
            store.add_message("c1", "no")


def test_a_repair_in_place_keeps_the_damaged_store(damaged: Path):
    with pytest.raises(InvalidInput):
        repair(damaged)
    with pytest.raises(InvalidInput):
        repair(damaged, damaged.parent / "new", in_place=True)
    report = repair(damaged, in_place=True)
    assert report.kept is not None and report.kept.parent == damaged.parent.resolve()
    assert report.lost[0].path.is_relative_to(report.kept)
    assert verify(damaged).is_sound and not verify(report.kept).is_sound
    with Store(damaged, salvage=True) as store:
        assert store.recovery().salvage is None
        assert [message.content for message in store.messages("c1")] == ["kept"]


def test_a_store_in_memory_is_not_salvaged():
    with pytest.raises(InvalidInput):
        Store(salvage=True)
