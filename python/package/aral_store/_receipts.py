"""What the store says about mutations and conversations.

Apart from what it says about itself, so that a program that adds and reads does not wait for classes it never sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that a mutation was accepted, and where it stands."""

    seq: int
    """The event's place in the store's whole order."""
    conversation_id: str
    id: str
    """The id of the message or action that it is about, or the conversation's own."""
    version: int
    """How many events have made the conversation what it is."""
    durability: Literal["durable", "written", "process"]
    """``durable`` survives a power cut, ``written`` the end of the process, ``process`` neither."""

    @property
    def is_durable(self) -> bool:
        """Whether the mutation survives a power cut."""
        return self.durability == "durable"


@dataclass(frozen=True, slots=True)
class Summary:
    """A conversation without its messages and actions: what a list shows."""

    id: str
    title: str
    created_at: datetime
    messages: int
    actions: int
    version: int
    last_activity: datetime
    last_seq: int

    @classmethod
    def _of(cls, row: tuple[str, str, str, int, int, int, str, int]) -> Summary:
        id, title, created_at, messages, actions, version, last_activity, last_seq = row
        times = datetime.fromisoformat(created_at), datetime.fromisoformat(last_activity)
        return cls(id, title, times[0], messages, actions, version, times[1], last_seq)


@dataclass(frozen=True, slots=True)
class Snippet:
    """A part of a text, with what was found in it."""

    text: str
    hits: list[tuple[int, int]]
    """Where each hit begins and ends in ``text``, so that ``text[begin:end]`` is one."""
    is_cut_before: bool
    """Whether the text begins before it."""
    is_cut_behind: bool
    """Whether the text goes on behind it."""


@dataclass(frozen=True, slots=True)
class Found:
    """A message that a search found."""

    conversation_id: str
    place: int
    """Where the message stands in its conversation, counted from 0."""
    id: str
    role: str
    created_at: datetime
    score: int
    """How well it answers, in millionths: BM25 of how often each phrase occurs in a text of so many words, and of nothing else in the store."""
    snippet: Snippet

    @classmethod
    def _of(cls, fields: dict[str, Any]) -> Found:
        hits = [(begin, end) for begin, end in fields["hits"]]
        snippet = Snippet(fields["snippet"], hits, fields["cut_before"], fields["cut_behind"])
        at = datetime.fromisoformat(fields["created_at"])
        return cls(
            fields["conversation_id"], fields["place"], fields["id"], fields["role"], at, fields["score"], snippet
        )


@dataclass(frozen=True, slots=True)
class SearchIndex:
    """The index for searching beside the log of a store in a directory."""

    last_seq: int
    """The newest event that is in it. What has changed since, searches read themselves."""
    bytes: int
    """How large its file is."""
