"""Where the stores of the tests are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

#: What a store can be kept in.
KINDS = ["file", "sqlite"]

#: A directory, or the URL of a database.
Place = Path | str


def place_in(kind: str, dir: Path) -> Place:
    """The place of a store of this kind in a directory."""
    return f"sqlite:{dir}/data.db" if kind == "sqlite" else dir / "data"


def unmirrored(place: Place | None) -> dict[str, Any]:
    """What keeps a message store from writing JSON files, which one in a database does not have."""
    return {} if str(place).startswith("sqlite:") else {"mirror": "never"}


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """The place of one store, of each kind that keeps it."""
    return place_in(request.param, tmp_path)
