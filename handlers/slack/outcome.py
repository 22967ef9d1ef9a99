"""The errors that were worded for one caller, for whoever has to know whether a command was refused."""

from __future__ import annotations

from contextvars import ContextVar

worded_errors: ContextVar[list[Exception] | None] = ContextVar("worded_errors", default=None)
"""The errors that were worded for whoever is answered just now, if somebody keeps them."""
