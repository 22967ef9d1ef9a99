"""Kinds of keys in which a value was found that the bot did not write, or wrote earlier; it raises no alarm itself.

The alarms are worker/tamper_alarms.py's. A key that is missing is no forgery: it may have expired, or Redis may have
started empty. Neither is a value that is signed with a key that this process lacks, as while `JIT_KEYS` is rotated.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from bot.store.key_types import kind_of
from bot.store.keyring import KeyRing

log = logging.getLogger(__name__)


@dataclass
class ForgedValues:
    """What one process found since the last alarm, by the names of keys in `KINDS`."""

    ring: KeyRing
    forged: set[str] = field(default_factory=set)
    """Values whose MAC is wrong."""
    put_back: set[str] = field(default_factory=set)
    """Values of ours that are older than one which this process has seen."""

    def wrong_mac(self, key: str, tag: str) -> None:
        """The value of a key did not verify under its ``tag``, '' for none."""
        if not self.ring.may_lack_key_of(tag):
            _add(self.forged, key, "was not signed by the bot for this key")

    def moved(self, key: str) -> None:
        """The value of a key is ours, and was written to another key."""
        _add(self.forged, key, "was signed by the bot for another key")

    def older(self, key: str) -> None:
        """The value of a key is ours, and this process knows a later one that was there before it."""
        _add(self.put_back, key, "went back to an earlier value")


def _add(found: set[str], key: str, why: str) -> None:
    known = kind_of(key)
    if known and known[0] not in found:
        log.critical("%.200r %s: it is not believed", key, why)
        found.add(known[0])
