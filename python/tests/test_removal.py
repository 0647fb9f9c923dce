"""What is taken away for its age, and what for good."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aral_store import AsyncStore, Corrupt, InvalidInput, NotFound, RetentionPolicy, Store, StoredRetention
from conftest import place_in

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


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_what_the_store_remembers_of_what_is_kept_is_gone_by_when_it_is_pruned(kind: str, tmp_path: Path):
    place = place_in(kind, tmp_path)
    with Store(place) as store:
        with_ages(store)
        store.add_message("held", "long ago", created_at=datetime(2020, 1, 1, tzinfo=UTC))
        assert store.retention() == StoredRetention(None, {}, {})
        store.set_retention(older_than=timedelta(days=90))
        store.set_retention("held", keep_everything=True)
        store.set_retention("new", keep_last=1)
        assert "old" in store and store.stats().retention == "--older-than 90d"
    with Store(place) as store:
        of = {"held": RetentionPolicy(), "new": RetentionPolicy(keep_last=1)}
        assert store.retention() == StoredRetention(RetentionPolicy(timedelta(days=90)), of, {})
        planned = store.prune(dry_run=True).pruned
        assert [pruned.conversation_id for pruned in planned] == ["old", "new"]
        assert store.prune(conversations=["held"]).pruned == []
        assert store.prune().pruned[1].range == ("m0", "m1")
        assert ("old" in store, len(store.messages("new")), "held" in store) == (False, 1, True)
        store.set_metadata("new", {"aral_store_retention": {"keep_last": 1, "unless": "pinned"}})
        assert list(store.prune().unread) == ["new"] == list(store.retention().unread)
        assert store.clear_retention() is not None and store.clear_retention() is None
        for wrong in (
            lambda: store.set_retention(),
            lambda: store.set_retention(keep_last=0),
            lambda: store.set_retention(keep_last=1, keep_everything=True),
            lambda: store.set_retention(older_than=timedelta(days=-1)),
            lambda: store.set_retention(older_than=timedelta(0)),
        ):
            with pytest.raises(InvalidInput):
                wrong()
        with pytest.raises(NotFound):
            store.set_retention("nowhere", keep_last=1)


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_receipts_are_listed_and_a_damaged_one_is_named(kind: str, tmp_path: Path):
    place = place_in(kind, tmp_path)
    with Store(place) as store:
        assert store.receipts() == []
        for n in range(3):
            store.add_message(f"c{n}", SECRET, id="m1")
        reports = [store.erase("c0"), store.erase("c1", "m1")]
        listed = store.receipts()
        assert [kept.receipt for kept in listed] == [report.receipt for report in reports]
        assert [(kept.messages, kept.events, kept.damage) for kept in listed] == [
            (1, report.events, None) for report in reports
        ]
        assert [kept.message is None for kept in listed] == [True, False]
        assert SECRET not in repr(listed) and len(listed[0].checksum) == 64 and listed[0].time
        assert all(store.check_receipt(kept.receipt) == [] for kept in listed)
    if kind == "file":
        listed[0].path.write_text("{}")
        with Store(place, read_only=True) as store:
            damaged, sound = store.receipts()
            assert (damaged.path, damaged.receipt, sound) == (listed[0].path, "", listed[1])
            assert damaged.damage


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_what_has_such_metadata_is_erased(kind: str, tmp_path: Path):
    with Store(place_in(kind, tmp_path)) as store:
        store.create("hers", title=SECRET, metadata={"user": "anna"})
        for n, user in enumerate(["anna", "bert", "anna"]):
            store.add_message("both", f"{SECRET} {n}" if user == "anna" else "harmless", id=f"m{n}", metadata={"user": user})
        store.create("was", metadata={"user": "anna"})
        store.set_metadata("was", {"user": "bert"})
        where = 'metadata.user = "anna"'
        planned = store.erase(where=where, dry_run=True)
        meant = [("both", "m0"), ("both", "m2"), ("hers", None)]
        assert [(each.conversation_id, each.message_id) for each in planned.erased] == meant
        assert all(each.report is not None and each.report.receipt == "" for each in planned.erased)
        assert ("hers" in store, len(store.messages("both"))) == (True, 3)
        done = store.erase(where=where)
        assert [(each.conversation_id, each.message_id) for each in done.erased] == meant
        assert [each.conversation_id for each in done.only_before] == ["was"]
        assert (done.unread, files_with(tmp_path, SECRET)) == ([], [])
        for each in done.erased:
            assert each.report is not None and store.check_receipt(each.report.receipt) == []
        assert store.erase(where=where).erased == []
        for bad in ("metadata.user = anna", "user = 1", ""):
            with pytest.raises(InvalidInput):
                store.erase(where=bad)
        with pytest.raises(InvalidInput, match="not by both"):
            store.erase("both", where=where)  # type: ignore[call-overload]
        with pytest.raises(InvalidInput, match="say what"):
            store.erase()  # type: ignore[call-overload]


def test_an_event_loop_goes_on_meanwhile(tmp_path: Path):
    async def main() -> None:
        async with await AsyncStore.open(tmp_path / "store") as store:
            await store.add_message("c1", SECRET)
            await store.add_message("c2", "one")
            await store.add_message("c2", "two")
            report = await store.erase("c1")
            assert await store.check_receipt(report.receipt) == []
            assert [kept.receipt for kept in await store.receipts()] == [report.receipt]
            assert (await store.erase(where="metadata.user = 1", dry_run=True)).erased == []
            await store.set_retention("c2", keep_last=1)
            assert (await store.retention()).conversations == {"c2": RetentionPolicy(keep_last=1)}
            assert (await store.prune()).pruned[0].conversation_id == "c2"
            assert await store.clear_retention("c2") is not None

    asyncio.run(main())
