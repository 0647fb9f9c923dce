"""What the store says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A file that cannot be read. It is kept as it is."""

    path: Path
    offset: int | None
    conversation_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class TornTail:
    """The end of a log whose writer died; nothing in it had been acknowledged as durable."""

    path: Path
    offset: int
    bytes: int
    discarded_events: int
    quarantine: Path | None


@dataclass(frozen=True, slots=True)
class OrphanedEvents:
    """Events of a writer that another one had overtaken; they do not count, and are kept."""

    path: Path
    offset: int
    bytes: int
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Stats:
    """How large a store is."""

    conversations: int
    messages: int
    actions: int
    damaged: int
    last_seq: int
    covered_seq: int
    dirty_conversations: int
    segments: int
    log_bytes: int
    snapshot_bytes: int
    epoch: int
    index_bytes: int
    compaction_error: str | None
    held: int
    retention: str | None
    """The policy of what is kept, in the words of the command line; :meth:`Store.retention` gives all of them."""
    retention_error: str | None
    """Why it cannot be read or understood, if it cannot."""


@dataclass(frozen=True, slots=True)
class CompactionReport:
    """What a compaction did."""

    epoch: int
    covered_seq: int
    written: int
    written_bytes: int
    removed: int
    dropped_segments: int
    quarantined: list[Path]
    held: list[DamagedFile]
    unkept: list[DamagedFile]
    """Conversations of which no history says any more what they were before, because their files could not be read."""
    dropped_history: tuple[int, int] | None
    """The first and the last of the events whose history was not to be kept any longer."""


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export wrote, and what it could not."""

    conversations: int
    bytes: int
    damaged: list[DamagedFile]


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What is wrong with a store."""

    files: int
    bytes: int
    conversations: int
    events: int
    damaged: list[DamagedFile]
    torn: TornTail | None
    notes: list[str]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damaged


@dataclass(frozen=True, slots=True)
class Loss:
    """Something that a repair could not save."""

    path: Path
    """The damaged file, or where the missing one should be."""
    offset: int | None
    conversation_id: str | None
    """The conversation that it concerns; ``None`` if it may concern any."""
    first_seq: int | None
    last_seq: int | None
    """The last lost event; ``None`` if nobody can say how many there were, if any."""
    reason: str
    named: list[str]
    """Conversations that the damaged bytes name. Nothing proves them."""
    near: list[str]
    """Conversations of the records before and behind the damage, a few at most."""


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What a repair saved, and what it could not."""

    conversations: int
    messages: int
    actions: int
    events: int
    lost: list[Loss]
    torn: TornTail | None
    notes: list[str]
    quarantined: list[Path]
    kept: Path | None
    """Where the damaged store is now, if the new one has taken its place. The other paths are those in it."""

    @property
    def is_complete(self) -> bool:
        """Whether everything was saved."""
        return not self.lost


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What opening a store found, and what it did about it."""

    made: bool
    """Whether there was no store before, and this opening has made it."""
    segments: int
    events: int
    last_seq: int
    torn: TornTail | None
    orphaned: list[OrphanedEvents]
    completed_compaction: int | None
    damaged: list[DamagedFile]
    unlisted: list[Path]
    changed: list[Path]
    mended: list[Path]
    quarantined: list[Path]
    removed: list[Path]
    salvage: RepairReport | None
    """What a damaged store that was opened with ``salvage`` could not show; ``None`` if it is sound."""


def with_parts(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a report, the parts of which are values of their own."""
    for name in ("damaged", "unkept"):
        if name in fields:
            fields[name] = [DamagedFile(**file) for file in fields[name]]
    # The statistics have a number under that name.
    if isinstance(fields.get("held"), list):
        fields["held"] = [DamagedFile(**file) for file in fields["held"]]
    if "lost" in fields:
        fields["lost"] = [Loss(**loss) for loss in fields["lost"]]
    if fields.get("salvage") is not None:
        fields["salvage"] = RepairReport(**with_parts(fields["salvage"]))
    if "orphaned" in fields:
        fields["orphaned"] = [OrphanedEvents(**events) for events in fields["orphaned"]]
    if fields.get("torn") is not None:
        fields["torn"] = TornTail(**fields["torn"])
    return fields
