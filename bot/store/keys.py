"""Every Redis key, made here and nowhere else; a key that is neither permanent nor given a TTL does not exist.

Names that are kept
-------------------
A name that outlives the process that wrote it is an interface: other versions, other tools and people's own files
rely on it. These are

- the keys here, and what kind of value each has (`key_types.KINDS`);
- the fields of a record (`bot.core.request`), the kinds and fields of events (`bot.core.events`), and the states;
- the tables of the archive (`bot.audit.archive.tables`), and with the events what sinks and exports send;
- the names of metrics, settings and policy keys, and the commands of `/jit` and `jit`.

`tests/store/golden/persisted_names.txt` lists them. A name may be added. One that goes or changes its meaning needs a
migration in the same commit: read the old name for as long as it may be there (records live for the retention, events
for ever), write the new one only, and say in the migration's docstring when the old one can go.
"""

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
        self.delegations = self._key("delegations")
        self.members = self._key("directory", "members")
        self.members_turn = self._key("directory", "members_turn")
        self.wake = self._key("wake")
        self.store = self._key("store")
        self.replicated = self._key("replicated")
        self.sealer = self._key("sealer")
        self.shipper = self._key("shipper")
        self.sealed = self._key("sealed")
        self.looked = self._key("home_tabs", "looked")
        self.stale = self._key("home_tabs", "stale")
        self.leavers = self._key("offboarding")
        self.seen_gone = self._key("offboarding", "seen")
        self.hinted = self._key("offboarding", "hinted")
        self.held = self._key("offboarding", "held")
        self.confirmed = self._key("offboarding", "confirmed")
        self.account_checks = self._key("directory", "account_checks")
        self.changed = self._key("directory", "changed")
        self.changed_until = self._key("directory", "changed_until")
        self.refresher = self._key("directory", "refresher")
        self.people_wanted = self._key("directory", "people_wanted")
        self.groups_wanted = self._key("directory", "groups_wanted")
        self.insights = self._key("insights")
        self.insights_turn = self._key("insights", "turn")
        self.insights_members = self._key("insights", "members")
        self.factor_register = self._key("factor_register")
        self.exposure = self._key("exposure")
        self.exposure_complete = self._key("exposure", "complete")
        self.bound_people = self._key("bound_people")
        self.any_identity = self._key("identity", "*")
        """A pattern, of which the keys are `identity`'s."""

    def record(self, request: str) -> str:
        """The request's body and seal. Expires after the retention once the request is over."""
        return self._key("request", request)

    def pending(self, request: str) -> str:
        """Lapses at the decision deadline."""
        return self._key("pending", request)

    def active(self, request: str) -> str:
        """Expires at the end of the grant: a key that is there says "not past its end"."""
        return self._key("active", request)

    def posts(self, request: str) -> str:
        """Where its card, thread lines and DMs stand in Slack. Expires after the retention."""
        return self._key("messages", request)

    def once(self, token: str) -> str:
        """A submission's token, so that an envelope delivered twice asks once. Expires after an hour."""
        return self._key("submission", _digest(token))

    def seen(self, what: str) -> str:
        """Coalesces repeated audit notes. Expires after their window."""
        return self._key("coalesced", _digest(what))

    def answered(self, message: str) -> str:
        """The lease on answering a message that somebody wrote to the bot. Expires after a quarter of an hour."""
        return self._key("answered", _digest(message))

    def submits(self, person: str) -> str:
        """What a person asked for and when. Expires after the retention."""
        return self._key("person", person, "submits")

    def ledger(self, person: str) -> str:
        """What a person asked lately and rules approved for them, sealed. Expires two days after the last request."""
        return self._key("person", person, "counters")

    def usage(self, scope: str) -> str:
        """Who has, or has requested, a role or a system, with a MAC. Expires eight days after its last change."""
        return self._key("usage", scope)

    def mine(self, person: str) -> str:
        """A person's open requests; gone with the last of them."""
        return self._key("person", person, "open")

    def of_system(self, system: str) -> str:
        """The open requests on a system; gone with the last of them."""
        return self._key("system", system, "open")

    def home_of(self, person: str) -> str:
        """The view that Slack shows on a person's Home tab, by its hash. Expires after a day."""
        return self._key("home_tabs", "of", person)

    def home_rests(self, person: str) -> str:
        """That a person's Home tab was published just now. Expires after seconds."""
        return self._key("home_tabs", "rests", person)

    def waiting(self, channel: str) -> str:
        """The requests that wait for a decision in a channel, by when they were asked; gone with the last of them."""
        return self._key("channel", channel, "waiting")

    def reconciling(self, system: str) -> str:
        """The lease on comparing a system with our records. Expires with it."""
        return self._key("system", system, "reconciling")

    def reconciled(self, system: str, turn: int) -> str:
        """Who has the turn of this number to compare them. Expires soon after the turn."""
        return self._key("system", system, "reconciled", str(turn))

    def found(self, system: str) -> str:
        """The drift of a system that was reported, so that it is reported once. Expires a week after the last scan."""
        return self._key("system", system, "drift")

    def digest(self, day: str) -> str:
        """That a digest was claimed, by its day (ISO) or its edition and last day. Expires after 40 days."""
        return self._key("digest", day)

    def directory(self, name: str) -> str:
        """Who is in the groups of a directory, as the worker last read it, sealed. Expires a day after that."""
        return self._key("directory", "snapshot", name)

    def inactive(self, name: str) -> str:
        """Whose accounts in a directory may not be used, as the worker last read it, sealed. Expires a day later."""
        return self._key("directory", "inactive", name)

    def directory_person(self, name: str, identity: str) -> str:
        """Whose an address is in a directory, as the worker last read it, sealed. Expires a day after that."""
        return self._key("directory", "person", name, _digest(identity))

    def calendar(self, name: str) -> str:
        """When a calendar has an event, as the worker last read it, sealed. Expires a day after that."""
        return self._key("calendar", name)

    def shared(self, native: str) -> str:
        """The orders that need a shared native entitlement; gone with the last of them."""
        return self._key("shared", _digest(native))

    def left(self, native: str) -> str:
        """Who closed a shared native entitlement last, so that nobody takes that one's for standing access. An hour."""
        return self._key("shared_revoked", _digest(native))

    def terminal(self, by: str) -> str:
        """Whose an account of a machine is. Expires with the binding."""
        return self._key("terminal", _digest(by))

    def terminal_code(self, code: str) -> str:
        """Which account of a machine a code was given to. Expires after ten minutes."""
        return self._key("terminal_code", _digest(code))

    def identity(self, email: str) -> str:
        """Which Slack user an e-mail address is bound to."""
        return self._key("identity", _digest(email))

    def factors(self, identity: str) -> str:
        """A person's factors with their encrypted secrets, and the enrolment code that was given out."""
        return self._key("factors", _digest(identity))

    def factor_reset(self, identity: str) -> str:
        """Which operator proposed to reset a person's factors. Expires after an hour."""
        return self._key("factor_reset", _digest(identity))

    def bound_person(self, email: str) -> str:
        """Since when an address is bound to its account, and its stable id in each directory, sealed."""
        return self._key("bound_person", _digest(email))

    def bound_account(self, user: str) -> str:
        """Which address a Slack account had last, with a MAC."""
        return self._key("bound_account", _digest(user))

    def bound_id(self, directory: str, id_: str) -> str:
        """Which address a stable id of a directory is bound to, with a MAC."""
        return self._key("bound_id", _digest(f"{directory}\0{id_}"))

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
    "delegations",
    "directory:members",
    "store",
    "replicated",
    "sealed",
    "person:*:open",
    "system:*:open",
    "exposure",
    "exposure:complete",
    "channel:*:waiting",
    "shared:*",
    "identity:*",
    "factors:*",
    "factor_register",
    "bound_person:*",
    "bound_account:*",
    "bound_id:*",
    "bound_people",
)
"""Kept without a TTL: bounded by what is open, or the record itself. Open `request:*` are kept until they end."""


HOMES = "jit:home:"


def home(token: str) -> str:
    """Which workspace a bot token belongs to, for a start while Slack is away; names the token by its hash alone."""
    return f"{HOMES}{_digest(token)}"


def _digest(text: str) -> str:
    """A key part of fixed length from text that people or vendors chose."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
