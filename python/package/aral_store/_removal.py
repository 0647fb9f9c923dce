"""What was taken away: for its age, or for good."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ._errors import InvalidInput
from ._reports import DamagedFile


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went of one conversation for its age, or would go."""

    conversation_id: str
    is_whole: bool
    """Whether the conversation is removed with all that is in it."""
    messages: int
    actions: int
    range: tuple[str, str] | None
    """The first and the last of the messages that go, where others stay."""
    last_activity: str
    events: tuple[int, int] | None
    """The first and the last of the events by which it went; ``None`` where nothing has been done."""


@dataclass(frozen=True, slots=True)
class PruneReport:
    """What was taken away for its age, or would be."""

    pruned: list[Pruned]
    changed: list[str]
    """Conversations that somebody changed meanwhile, so that nothing of them was taken."""
    unread: dict[str, str] = field(default_factory=dict)
    """Conversations whose stored policy cannot be read or understood, and why, so that nothing of them was taken."""


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """What is kept, as a store remembers it. One with neither keeps everything."""

    older_than: timedelta | None = None
    """Only what was last active longer ago than this goes."""
    keep_last: int | None = None
    """How many of the newest messages stay; without it the conversation is removed."""

    @classmethod
    def _of(cls, row: tuple[int | None, int | None]) -> RetentionPolicy:
        seconds, count = row
        # A span that no timedelta has is as good as the longest one.
        longest = timedelta.max.days * 86_400
        return cls(None if seconds is None else timedelta(seconds=min(seconds, longest)), count)


@dataclass(frozen=True, slots=True)
class StoredRetention:
    """The policies that a store remembers."""

    store: RetentionPolicy | None
    """That of all conversations that have none of their own; nothing of those goes if there is none."""
    conversations: dict[str, RetentionPolicy]
    unread: dict[str, str]
    """Conversations whose policy cannot be read or understood, and why. Nothing of them goes."""


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What was erased, or would be."""

    messages: int
    actions: int
    events: list[tuple[int, int]]
    """The events about it, as far as they are kept, as the first and the last of each range."""
    files: list[Path]
    """What was written anew or removed."""
    not_erased: list[Path]
    """What has something of it and is not the store's own, such as what a repair has kept beside it."""
    beyond: list[str]
    """What may have something of it and cannot be reached from here, in words: of a server its logs, replicas and backups."""
    forks: list[str]
    """Conversations that have messages from it, each of which is one of its own."""
    untold: int
    """How much of it a check cannot look for: texts that are too short, and what could not be read."""
    receipt: str = field(repr=False)
    """What :meth:`Store.check_receipt` takes; empty where nothing has been done."""


    @classmethod
    def _of(cls, row: tuple[Any, ...]) -> ErasureReport:
        messages, actions, events, files, not_erased, beyond, forks, untold, receipt = row
        there, left = ([Path(path) for path in given] for given in (files, not_erased))
        return cls(messages, actions, events, there, left, beyond, forks, untold, receipt)


@dataclass(frozen=True, slots=True)
class Erased:
    """A conversation, or a message of one, that was erased by what its metadata say, or would be."""

    conversation_id: str
    message_id: str | None
    """``None`` where all of the conversation is meant."""
    report: ErasureReport | None
    """What was erased; ``None`` where it only said so before."""


@dataclass(frozen=True, slots=True)
class WhereReport:
    """What was erased by what metadata say, or would be."""

    erased: list[Erased]
    only_before: list[Erased]
    """What is known to have said so before, and has said something else since. It stays."""
    unread: list[DamagedFile]
    """What could not be read, so that nobody knows whether it says so."""


@dataclass(frozen=True, slots=True)
class KeptReceipt:
    """A receipt that a store keeps of an erasure."""

    path: Path
    """The file that it is in, or the database and the row."""
    damage: str | None
    """What is wrong with it; all but the path is empty then."""
    time: str | None
    store: str
    conversation: str
    """The salted digest of the conversation's id."""
    message: str | None
    """That of the message's; ``None`` where all of the conversation was erased."""
    messages: int
    actions: int
    events: list[tuple[int, int]]
    """The events that were about it, as the first and the last of each range."""
    through: int
    """The event by which it was removed, or the newest one before."""
    files: list[str]
    not_erased: list[str]
    untold: int
    checksum: str
    """The SHA-256 of the receipt without it."""
    receipt: str = field(repr=False)
    """What :meth:`Store.check_receipt` takes."""


@dataclass(frozen=True, slots=True)
class Remnant:
    """A place where something is that was erased."""

    path: Path
    offset: int | None


def before(older_than: datetime | timedelta | None) -> str | None:
    """The time before which what is old was last active."""
    match older_than:
        case None:
            return None
        case timedelta():
            try:
                return (datetime.now(UTC) - older_than).isoformat()
            except OverflowError as error:
                raise InvalidInput(f"older_than is a time that no datetime has: {older_than!r} ago") from error
        case datetime():
            # One without an offset is a local one, as it is to Python itself.
            return older_than.astimezone(UTC).isoformat()
    raise InvalidInput(f"older_than takes a datetime or a timedelta, not {older_than!r}")
