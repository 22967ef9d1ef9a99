"""The error of an event that has no place in the state of its request."""

from __future__ import annotations


class IllegalEvent(ValueError):
    """An event that the request's state has no place for."""
