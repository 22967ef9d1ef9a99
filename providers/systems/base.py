"""The contract between the worker and a system that is protected; it knows nothing of Slack, Redis or requests.

A provider is one class per vendor. Every verb is idempotent on ``order.id``; each may be called again after a
crash at any line, by another process that knows only the order, the prior and perhaps the receipt. How to write
one, and the tests that it must pass: `providers.systems.conformance.suite`.

Errors: `Refused` is a definite no (nothing was done), `Unsure` is an unknown outcome (access may exist, now
or once a slow call lands). Whatever else escapes a provider is treated as `Unsure`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

from pydantic import Field, SecretStr

from providers.base import Frozen, Health, Json, ProviderError, Refused, Unsure

__all__ = [
    "Capabilities",
    "Closing",
    "Connecting",
    "Examining",
    "ExistingAccess",
    "Extending",
    "Frozen",
    "Health",
    "InMemory",
    "Json",
    "Order",
    "Outcome",
    "Presence",
    "Principal",
    "Prior",
    "ProviderError",
    "Receipt",
    "Refused",
    "Revealing",
    "Secret",
    "Subject",
    "System",
    "Unsure",
]


class Principal(Frozen):
    """The requester, as directories know them.

    ``key`` is the bound identity (a case-folded e-mail address); ``email`` is the address as it is written.
    """

    key: str
    email: str
    name: str = ""


class Subject(Frozen):
    """The account that gets the access. ``native`` is its name in the system."""

    native: str
    own: bool
    """True when the account is made for this order alone, False when it existed before and is shared."""


class Order(Frozen):
    """What is to be granted, to whom, until when: everything a verb needs, and the same on every retry."""

    id: str = Field(pattern=r"^J-[2-9A-HJ-NP-Z]{4,8}\.[0-9]{1,2}$")
    """Request id and leg, ``J-7K3Q.0``: native names derive from it."""
    principal: Principal
    subject: Subject
    params: Mapping[str, Json]
    """The role's ``grants``, valid for the provider's `Params`."""
    not_after: float
    """Unix seconds after which no access may exist; native expiry is set slightly later, as a second lock."""
    target: str
    """What `check` reported when the order was written; a provider that now meets another target refuses."""


class Prior(Frozen):
    """The prior state, inspected once. ``present``: the same access existed already and is to be kept.

    For a shared account ``facts`` has, by each key of `System.entitlements`, whether it existed before. The
    worker sets a key to True when another order still needs it, so a revoke removes exactly what is False.
    """

    present: bool
    facts: Mapping[str, Json] = Field(default_factory=dict)


class Receipt(Frozen):
    """The proof of what is ours: ``native`` names it, ``facts`` tell how to undo and verify it."""

    native: str
    facts: Mapping[str, Json] = Field(default_factory=dict)
    ours: bool = True
    """False when the access existed before, so that there is nothing of ours to revoke."""


class Presence(StrEnum):
    """What a read-back finds of an order's access."""

    PRESENT = "present"
    """Ours, and it can be used."""
    ABSENT = "absent"
    """Not there: nothing of ours exists (access from before may)."""
    FOREIGN = "foreign"
    """There, but changed or made by somebody else: a person decides."""


class Outcome(Frozen):
    """What a revoke found and left: ``presence`` is a read-back made after it, ``remains`` what may live on."""

    presence: Presence
    killed: int = 0
    """Live sessions that were ended."""
    remains: str = ""
    """In words, what the vendor cannot cut and for how long; empty when nothing remains."""
    kept: str = ""
    """In words, what was left alone because it was not ours (standing access, objects handed to the owner)."""
    detail: str = ""
    """In words, which lesser step failed although nobody can act by the access any more: a count, a note."""


class ExistingAccess(Frozen):
    """One access that exists in the system.

    ``order`` is its order id when its name or mark says that an order has it as its own. What an existing account
    has bears no mark, whoever gave it: there ``order`` is None, and ``entitlement`` is its key in
    `System.entitlements`, so that it can be looked up in our records.
    """

    native: str
    entitlement: str
    order: str | None = None


class Secret(Frozen):
    """A credential, for one person only. Its repr hides the value."""

    username: str
    password: SecretStr
    how: str = ""
    """How to connect, copyable, with no secret in it."""


class Capabilities(Frozen):
    """What a vendor can do, known beforehand so that cards and docs are honest."""

    own_principal: bool
    """Each grant has an account of its own; where False, `System.entitlements` names what is shared."""
    issues_secret: bool
    kills_sessions: bool
    native_expiry: bool
    grantor_scoped: bool
    can_write: bool = True
    can_extend: bool = False
    """It is `Extending`: open access can be extended."""
    remains: str = ""
    """The most that can remain after a revoke, in words; empty when nothing can."""
    reveals: str = ""
    """Secrets of the system itself that such access can read, in words; the policy calls none of it low or medium."""


@runtime_checkable
class System(Protocol):
    """What the worker needs of a vendor. Implementations open no connection before the first verb."""

    Config: ClassVar[type[Frozen]]
    """How to reach the system; secret fields are `SecretStr`, resolved from references before it is built."""
    Params: ClassVar[type[Frozen]]
    """A role's ``grants``: checked when the policy file is read, and again before a call."""

    def __init__(self, config: Any) -> None:
        """Take a valid `Config`. Raises nothing that needs a connection to find out."""

    @property
    def settles_within(self) -> float:
        """Seconds after which a call that was sent has surely landed or failed (socket and server timeouts).

        A revoke, which gives no access when it lands late, may take twice as long.
        """

    @classmethod
    def capabilities(cls, params: Mapping[str, Json]) -> Capabilities:
        """What this vendor can do for a role with these params.

        Asked of the class, since a process that holds no secret of the system shows it.
        """

    @classmethod
    def consequence(cls, params: Mapping[str, Json]) -> str:
        """What the access allows, in a few plain words for the card: ``opens a login, can write``.

        Asked of the class, like `capabilities`.
        """

    async def check(self) -> Health:
        """Reach the system and its identity, and try each right that the verbs need.

        It passes only what the verbs can do. Raises `Refused`, which names each right that is missing with the exact
        command that grants it, or says what is wrong with the system and how to fix that; or `Unsure`.
        """

    async def resolve(self, principal: Principal, params: Mapping[str, Json], order_id: str) -> Subject:
        """The one account this person would use. Raises `Refused` for none, or for more than one."""

    def entitlements(self, order: Order) -> Sequence[str]:
        """The native keys that this order needs and may share with others; empty where it has its own.

        The same access has the same key in every order, and none of another target: put ``order.target`` into it.
        """

    async def inspect(self, order: Order) -> Prior:
        """The state before anything is changed. Called once an order, never on a retry."""

    async def grant(self, order: Order, prior: Prior) -> Receipt:
        """Grant it. A second call with the same order changes nothing and answers the same receipt."""

    async def revoke(self, order: Order, prior: Prior | None, receipt: Receipt | None) -> Outcome:
        """Revoke it, end live sessions, read back. What is not there succeeds; what is not ours is kept.

        ``receipt`` is None when a crash lost the answer: then only what the order's own name or the prior
        proves to be ours is removed. ``prior`` is None when not even an inspect was recorded.

        The step that shuts the access comes first and by itself. A lesser one that fails (a count, a note, a file,
        another role) never undoes it: it is reported in `Outcome.detail` where no access depends on it. Where something
        of the access could come back, or is left for a person to do, the call raises `Refused`, which names that with
        the command to type; the worker asks again until it is done. Behind the same address another server may
        answer, after a failover: what was granted on the one is not closed by being absent on the other. Then the
        answer is `Refused` too, and says where access may remain. `ABSENT` means that nobody can act any more.
        """

    async def verify(self, order: Order, receipt: Receipt | None) -> Presence:
        """Read back what exists of this order, without changing it. Raises `Refused` where another server answers."""

    async def list_access(self) -> Sequence[ExistingAccess]:
        """Who has what, to reconcile with our records. Raises `Unsure` rather than answer in part."""

    async def close(self) -> None:
        """Close the connections. Called once, at the end."""


@runtime_checkable
class Connecting(Protocol):
    """A system that can say how to connect with what was granted."""

    def connect(self, order: Order, receipt: Receipt) -> str:
        """One line to copy, with the account's name in it; quoted, where it is a command. Empty for none.

        It is kept in the record and shown in messages: never a secret. It follows from the config, the order and the
        receipt alone; the system is not asked.
        """


@runtime_checkable
class Revealing(Protocol):
    """A system that hands a person a secret."""

    async def reveal(self, order: Order, receipt: Receipt) -> Secret:
        """Make a new secret and invalidate the one before. Raises `Refused` when the access is not there any more."""


@runtime_checkable
class Extending(Protocol):
    """A system that can extend open access."""

    async def extend(self, order: Order, receipt: Receipt) -> Receipt:
        """Set the system's own end to ``order.not_after``, which is later now. Returns the receipt from then on.

        It never makes an end earlier and grants nothing. Raises `Refused` when the access is not there any more, or
        not as the receipt says; a second call changes nothing.
        """


@runtime_checkable
class Examining(Protocol):
    """A system that can look, on the live server, at what a role of the policy would grant there."""

    async def examine(self, params: Mapping[str, Json]) -> Sequence[str]:
        """What whoever writes the policy should know of such access on this server, a sentence each; often nothing.

        It changes nothing. Raises `Refused` where it could not be granted, with what to do about it, and `Unsure`.
        """


@runtime_checkable
class InMemory(Protocol):
    """A system that may be in the memory of one process: then no other process can compare it with the records."""

    @property
    def in_memory(self) -> str:
        """Why another process cannot see what is in it, and what to do; '' where it can."""


@runtime_checkable
class Closing(Protocol):
    """A system that can revoke access of ours that our records do not have: no order, no params, no receipt."""

    async def close_orphan(self, access: ExistingAccess) -> Outcome:
        """Revoke what `System.list_access` listed, end its live sessions, read back. What is not there succeeds.

        Only what its own name *and* mark prove to be made by an order of ours is touched, even if it was changed
        since; of the rest the answer is `Presence.FOREIGN`, with ``kept`` saying why, and nothing was done. What an
        existing account has is never proved ours, so it is never removed here. Raises `Refused`, `Unsure`.
        """
