"""Every Redis key, made here and nowhere else; a key that is neither permanent nor given a TTL does not exist."""

from __future__ import annotations

import hashlib
import re

_WORKSPACE = re.compile(r"^[TE][A-Z0-9]{1,30}$")


class Keys:
    """The keys of one workspace, all in the slot of its hash tag."""

    def __init__(self, workspace: str) -> None:
        """Take a Slack team or enterprise id."""
        if not _WORKSPACE.match(workspace):
            raise ValueError(f"{workspace!r} is no Slack team id (T…) or enterprise id (E…)")
        self._prefix = f"jit:{{{workspace}}}:"
        self.due = self._key("due")
        self.audit = self._key("audit")
        self.seq = self._key("seq")
        self.outbox = self._key("outbox")
        self.rows = self._key("outbox:rows")
        self.dead = self._key("outbox:dead")
        self.policy = self._key("policy")
        self.poster = self._key("poster")
        self.lockdown = self._key("lockdown")
        self.wake = self._key("wake")
        self.store = self._key("store")
        self.replicated = self._key("replicated")
        self.sealer = self._key("sealer")
        self.shipper = self._key("shipper")
        self.sealed = self._key("sealed")
        self.looked = self._key("homes", "looked")
        self.stale = self._key("homes", "stale")
        self.leavers = self._key("leavers")
        self.seen_gone = self._key("leavers", "seen")
        self.hinted = self._key("leavers", "hinted")
        self.held = self._key("leavers", "held")
        self.confirmed = self._key("leavers", "confirmed")
        self.insights = self._key("insights")
        self.insights_turn = self._key("insights", "turn")
        self.insights_members = self._key("insights", "members")
        self.stakes = self._key("stakes")
        self.staked = self._key("stakes", "complete")

    def record(self, request: str) -> str:
        """The request's body and seal. Expires after the retention once the request is over."""
        return self._key("request", request)

    def pending(self, request: str) -> str:
        """Lapses at the decision deadline."""
        return self._key("pending", request)

    def active(self, request: str) -> str:
        """Lapses at the end of the grant: whoever reads it reads "not past its end"."""
        return self._key("active", request)

    def posts(self, request: str) -> str:
        """Where its card, thread lines and DMs stand in Slack. Expires after the retention."""
        return self._key("posts", request)

    def once(self, token: str) -> str:
        """A submission's token, so that an envelope delivered twice asks once. Expires after an hour."""
        return self._key("once", _digest(token))

    def seen(self, what: str) -> str:
        """Coalesces repeated audit notes. Expires after their window."""
        return self._key("seen", _digest(what))

    def submits(self, person: str) -> str:
        """What a person asked for and when. Expires after the retention."""
        return self._key("person", person, "submits")

    def revision(self, person: str) -> str:
        """Moves with each request a person submits. Expires after a day without one."""
        return self._key("person", person, "revision")

    def ruled(self, person: str, rule: str) -> str:
        """What a rule of the policy approved for a person, and when. Expires a day after the last."""
        return self._key("person", person, "ruled", rule)

    def mine(self, person: str) -> str:
        """A person's open requests; gone with the last of them."""
        return self._key("person", person, "open")

    def of_system(self, system: str) -> str:
        """The open requests on a system; gone with the last of them."""
        return self._key("system", system, "open")

    def home_of(self, person: str) -> str:
        """The view that Slack shows on a person's Home tab, by its hash. Expires after a day."""
        return self._key("homes", "of", person)

    def home_rests(self, person: str) -> str:
        """That a person's Home tab was shown anew just now. Expires after seconds."""
        return self._key("homes", "rests", person)

    def waiting(self, channel: str) -> str:
        """The requests that wait for a decision in a channel, by when they were asked; gone with the last of them."""
        return self._key("channel", channel, "waiting")

    def reconciling(self, system: str) -> str:
        """Who compares a system with the books just now. Expires with the lease."""
        return self._key("system", system, "reconciling")

    def reconciled(self, system: str, turn: int) -> str:
        """Who has the turn of this number to compare them. Expires soon after the turn."""
        return self._key("system", system, "reconciled", str(turn))

    def found(self, system: str) -> str:
        """What was found wrong in a system and told, so that it is told once. Expires a week after the last look."""
        return self._key("system", system, "found")

    def digest(self, day: str) -> str:
        """That the digest of a day (ISO) was claimed, and its event's number. Expires after 40 days."""
        return self._key("digest", day)

    def holds(self, native: str) -> str:
        """The orders that need a shared native entitlement; gone with the last of them."""
        return self._key("holds", _digest(native))

    def left(self, native: str) -> str:
        """Who closed a shared native entitlement last, so that nobody takes that one's for standing access. An hour."""
        return self._key("left", _digest(native))

    def identity(self, email: str) -> str:
        """Which Slack user an e-mail address is bound to."""
        return self._key("identity", _digest(email))

    def _key(self, *parts: str) -> str:
        return self._prefix + ":".join(parts)


PERMANENT = (
    "home:*",
    "due",
    "audit",
    "seq",
    "outbox",
    "outbox:rows",
    "outbox:dead",
    "policy",
    "lockdown",
    "store",
    "replicated",
    "sealed",
    "person:*:open",
    "system:*:open",
    "stakes",
    "stakes:complete",
    "channel:*:waiting",
    "holds:*",
    "identity:*",
)
"""Kept without a TTL: bounded by what is open, or the record itself. Open `request:*` are kept until they end."""


def home(token: str) -> str:
    """Which workspace a bot token belongs to, for a start while Slack is away; names the token by its hash alone."""
    return f"jit:home:{_digest(token)}"


def _digest(text: str) -> str:
    """A key part of fixed length from text that people or vendors chose."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
