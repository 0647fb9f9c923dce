"""Warnings that name the line of the program that they are for."""

from __future__ import annotations

import sys
import warnings


def warn(text: str, category: type[Warning] = RuntimeWarning) -> None:
    """Warns where the program called, however many functions of this package are between there and here."""
    frame, level = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__package__") == __package__:
        frame, level = frame.f_back, level + 1
    warnings.warn(text, category, stacklevel=level)
