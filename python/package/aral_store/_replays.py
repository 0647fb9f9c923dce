"""What of a transcript that is handed over is in a history already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def overlap_of(there: Sequence[Any], given: Sequence[Any]) -> int:
    """How many of those that are given are at the end of what is there, or make all of it: those behind them are new.

    As many at the end of what is there as are given are enough to tell.
    """
    for at in range(len(given) - len(there) + 1):
        if there and list(given[at : at + len(there)]) == list(there):
            return at + len(there)
    for overlap in range(min(len(there), len(given)), 0, -1):
        if list(there[-overlap:]) == list(given[:overlap]):
            return overlap
    return 0
