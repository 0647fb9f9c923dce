"""What is taken away for its age, and what for good."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aral_store import AsyncStore, Corrupt, InvalidInput, NotFound, Store

SECRET = "nobody is to read this any more"


def files_with(directory: Path, text: str) -> list[Path]:
    return [path for path in directory.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def with_ages(store: Store) -> None:
    for id, year in (("old", 2020), ("new", 2100)):
        for n in range(3):
            store.add_message(id, f"{id} {n}", id=f"m{n}", created_at=datetime(year, 1, 1 + n, tzinfo=UTC))


@pytest.mark.parametrize("older_than", [datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC), timedelta(days=30)])
def test_conversations_that_are_old_go_and_are_named(older_than: datetime | timedelta):
    with Store() as store:
        with_ages(store)
        (planned,) = store.prune(older_than=older_than, dry_run=True).pruned
        assert (planned.conversation_id, planned.is_whole, planned.messages) == ("old", True, 3)
        assert (planned.events, "old" in store) == (None, True)
        report = store.prune(older_than=older_than)
        assert (report.pruned[0].events, report.changed) == ((7, 7), [])
        assert list(store) == ["new"]
        with pytest.raises(NotFound, match="older than what is kept"):
            store.messages("old")
        assert store.prune(older_than=older_than).pruned == []


def test_so_many_messages_stay():
    with Store() as store:
        with_ages(store)
        (pruned,) = store.prune(keep_last=1, conversations=["new"]).pruned
        assert (pruned.is_whole, pruned.messages, pruned.range) == (False, 2, ("m0", "m1"))
        assert [len(store.messages(id)) for id in ("old", "new")] == [3, 1]


def test_a_policy_that_says_nothing_or_too_much_takes_nothing():
    with Store() as store:
        with_ages(store)
        with pytest.raises(InvalidInput):
            store.prune()
        with pytest.raises(InvalidInput):
            store.prune(keep_last=0)
        with pytest.raises(InvalidInput):
            store.prune(keep_last=-1)
        with pytest.raises(InvalidInput, match="several conversation ids"):
            store.prune(keep_last=1, conversations="new")
        with pytest.raises(InvalidInput, match="datetime or a timedelta"):
            store.prune(older_than="90d")  # type: ignore[arg-type]
        with pytest.raises(InvalidInput):
            store.prune(older_than=timedelta.max)
        with pytest.raises(NotFound):
            store.prune(keep_last=1, conversations=["nowhere"])
        assert [len(store.messages(id)) for id in ("old", "new")] == [3, 3]


def test_what_is_erased_is_in_no_file_and_its_receipt_proves_it(tmp_path: Path):
    directory = tmp_path / "store"
    with Store(directory) as store:
        store.add_message("c1", SECRET, id="m1")
        store.add_message("c1", "harmless", id="m2")
        store.add_message("c2", SECRET + " either")
        store.compact()
        planned = store.erase("c1", "m1", dry_run=True)
        assert (planned.messages, planned.receipt, len(store.messages("c1"))) == (1, "", 2)
        store.erase("c1", "m1")
        assert [message.id for message in store.messages("c1")] == ["m2"]
        report = store.erase("c2")
        assert (report.messages, report.not_erased, report.forks) == (1, [], [])
        assert files_with(directory, SECRET) == []
        assert SECRET not in report.receipt and "receipt" not in repr(report)
        assert store.check_receipt(report.receipt) == []
        copy = tmp_path / "copy"
        copy.write_text("xx" + SECRET + " either")
        (found,) = store.check_receipt(report.receipt, also=[copy])
        assert (found.path, found.offset is not None) == (copy, True)
        with pytest.raises(InvalidInput, match="several places"):
            store.check_receipt(report.receipt, also=copy)  # type: ignore[arg-type]
        with pytest.raises(NotFound):
            store.check_receipt(report.receipt, also=[tmp_path / "nowhere"])
        with pytest.raises(Corrupt):
            store.check_receipt(report.receipt.replace("1", "2"))
        with pytest.raises(NotFound):
            store.erase("never")
    with Store(directory, read_only=True) as reader:
        assert reader.check_receipt(report.receipt) == []


def test_what_is_erased_from_a_database_is_in_no_file(tmp_path: Path):
    with Store(f"sqlite:{tmp_path / 'store.db'}") as store:
        store.add_message("c1", SECRET)
        store.add_message("c2", "harmless")
        report = store.erase("c1")
        assert (report.messages, report.not_erased, report.beyond) == (1, [], [])
        assert store.check_receipt(report.receipt) == []
        assert files_with(tmp_path, SECRET) == []
        assert store.verify().is_sound


def test_an_event_loop_goes_on_meanwhile(tmp_path: Path):
    async def main() -> None:
        async with await AsyncStore.open(tmp_path / "store") as store:
            await store.add_message("c1", SECRET)
            await store.add_message("c2", "one")
            await store.add_message("c2", "two")
            report = await store.erase("c1")
            assert await store.check_receipt(report.receipt) == []
            assert (await store.prune(keep_last=1)).pruned[0].conversation_id == "c2"

    asyncio.run(main())
