"""What was taken away: for its age, or for good."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ._errors import InvalidInput


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
