"""How many files and connections this process may have open, and how many of them a front door may take."""

from __future__ import annotations

import logging
import resource
import sys

log = logging.getLogger(__name__)

RESERVED = 512
"""Descriptors that no front door takes: for the store, providers, sinks, Slack's API, the archive and the ops port."""
_MOST = 1024
"""Connections of a front door, however many descriptors there are: each may also hold a request's bytes."""
_LEAST = 16
_ENOUGH = 10_240 if sys.platform == "darwin" else 65_536
"""What the limit is raised to at most: macOS gives no more (OPEN_MAX), and what a process starts inherits it."""


def raise_limit() -> int:
    """Raise the soft limit of this process, to the hard one at most; the limit then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    if resource.RLIM_INFINITY != soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (ValueError, OSError) as error:  # it stays as it was
            log.warning("the limit of open files stays at %d: %s", soft, error)
    return limit()


def limit() -> int:
    """How many this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else soft


def places() -> int:
    """How many connections a front door may take, so that the reserve is left."""
    allowed = limit()
    if allowed < RESERVED * 2:
        log.warning(
            "this process may open %d files; half of them are kept for the store and the systems: raise `ulimit -n`"
            " or LimitNOFILE to %d or more",
            allowed,
            RESERVED + _MOST,
        )
        return max(_LEAST, allowed // 4)
    return min(_MOST, allowed - RESERVED)
