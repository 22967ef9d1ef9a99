# ruff: noqa: S101 -- a suite asserts
"""What the conformance suite is told of a system, and the steps that its tests are made of; no test is in here."""

from __future__ import annotations

import abc
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from providers.systems.base import (
    Closing,
    ExistingAccess,
    Order,
    Outcome,
    Presence,
    Principal,
    Prior,
    Receipt,
    Revealing,
    Secret,
    System,
    Unsure,
)

SAM = Principal(key="sam@example.com", email="Sam@example.com", name="Sam")
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"

Lives = Callable[[], Awaitable[bool]]
"""Whether a session still lives."""


@dataclass(frozen=True)
class HostileAct:
    """Something that a holder does while the access is open, so as to stay when it ends.

    ``do`` does it with the granted credential, past the provider, and answers each way in which the holder or somebody
    else could still act; what the system refused them answers nothing. ``params``: a role's ``grants`` that allow the
    act, where the bench's own do not. ``left``: what it leaves for a person, in words that the revoke has to say.
    """

    name: str
    do: Callable[[Order, Secret | None], Awaitable[Sequence[Lives]]]
    params: Mapping[str, Any] | None = None
    left: str = ""


@dataclass(frozen=True)
class LesserStep:
    """A step of a revoke other than the one that shuts: made to fail, and mended, from outside.

    ``told``: words that the revoke has to say while it fails; empty where nothing is left by it.
    """

    name: str
    fail: Callable[[Order], Awaitable[None]]
    mend: Callable[[Order], Awaitable[None]]
    told: str = ""


@dataclass(frozen=True)
class BotRight:
    """A right of the bot's account. ``cure``: the exact command that grants it, as `check` has to say it."""

    cure: str
    take: Callable[[], Awaitable[None]]
    give: Callable[[], Awaitable[None]]


class Bench(abc.ABC):
    """What the suite must know that a provider does not say. Each look goes past the provider, as its user would."""

    provider: ClassVar[type[System]]
    params: Mapping[str, Any]
    """A role's ``grants``."""
    other_params: Mapping[str, Any]
    """Another role's, which needs another entitlement."""
    principal: Principal = SAM
    server: tuple[str, int] | None = None
    """Host and port of the real server, where the provider speaks TCP."""
    hidden: tuple[str, ...] = ()
    """The secrets in `config`, which must show nowhere."""

    @abc.abstractmethod
    def config(self, port: int | None = None) -> Mapping[str, Any]:
        """A config that JSON can carry, with short timeouts; by way of 127.0.0.1 and ``port`` when it is given."""

    @abc.abstractmethod
    async def usable(self, order: Order, secret: Secret | None) -> bool:
        """Whether the access works now: log in anew and do what the params allow."""

    @abc.abstractmethod
    async def enter(self, order: Order, secret: Secret | None) -> Lives:
        """Open a session that stays, and answer how to see whether it still works."""

    @abc.abstractmethod
    async def stand(self, order: Order) -> None:
        """Past the provider: the same access for a shared account; an account of that name for an own one."""

    @abc.abstractmethod
    async def stands(self, order: Order) -> bool:
        """Whether what `stand` made is there, unchanged."""

    async def tamper(self, order: Order) -> None:
        """Past the provider: change the own account of an order that is open."""
        raise NotImplementedError

    def hostile_acts(self) -> Sequence[HostileAct]:
        """What a holder could do to stay; think of all that the system lets a login do, and of what it should not."""
        raise NotImplementedError("a bench of HostileConformance tells what a holder could do to stay")

    def lesser_steps(self) -> Sequence[LesserStep]:
        """Every step of a revoke but the one that shuts the access."""
        raise NotImplementedError("a bench of FailingStepConformance can make each lesser step of a revoke fail")

    def rights(self) -> Sequence[BotRight]:
        """Every right that the bot's account needs."""
        raise NotImplementedError("a bench of RightsConformance can take each right of the bot's account away")

    def elsewhere(self) -> System:
        """The provider with the same config, whose address leads to another server: as it is after a failover."""
        raise NotImplementedError("a bench of FailoverConformance has another server behind the same address")

    async def seen_elsewhere(self) -> object:
        """All that a verb could change on that other server, to be compared."""
        raise NotImplementedError("a bench of FailoverConformance can look at the other server")

    async def order(self, system: System, params: Mapping[str, Any] | None = None) -> Order:
        """An order that nobody had before, for the role or another."""
        return await new_order(system, self.params if params is None else params, self.principal)

    def build(self, port: int | None = None) -> System:
        """A provider as another process would have it."""
        return self.provider(self.provider.Config.model_validate(self.config(port)))


async def new_order(system: System, params: Mapping[str, Any], principal: Principal = SAM) -> Order:
    """An order that nobody had before, as the worker writes it."""
    id_ = f"J-{''.join(secrets.choice(_ALPHABET) for _ in range(8))}.0"
    return Order(
        id=id_,
        principal=principal,
        subject=await system.resolve(principal, params, id_),
        params=params,
        not_after=time.time() + 3600,
        target=(await system.check()).target,
    )


async def granted(system: System, order: Order, prior: Prior) -> Receipt | None:
    """The receipt, or None where the outcome is unknown."""
    try:
        return await system.grant(order, prior)
    except Unsure:
        return None
    finally:
        await system.close()


async def secret_of(bench: Bench, system: System, order: Order, receipt: Receipt) -> Secret | None:
    """A new secret, where the role has one."""
    if not bench.provider.capabilities(order.params).issues_secret:
        return None
    assert isinstance(system, Revealing)
    return await system.reveal(order, receipt)


async def shut(bench: Bench, system: System, order: Order, prior: Prior, receipt: Receipt | None) -> Outcome:
    """Revoke, and see for oneself that it is closed."""
    outcome = await system.revoke(order, prior, receipt)
    assert outcome.presence is Presence.ABSENT
    assert await system.verify(order, receipt) is Presence.ABSENT
    assert not await bench.usable(order, None)
    return outcome


async def seen(system: System, order: Order) -> list[ExistingAccess]:
    """What the system tells of an order's account."""
    return [each for each in await system.list_access() if each.native == order.subject.native]


async def call(system: System, verb: str, order: Order) -> object:
    """One verb, with an order of which nothing is known."""
    prior = Prior(present=False)
    match verb:
        case "check":
            return await system.check()
        case "inspect":
            return await system.inspect(order)
        case "grant":
            return await system.grant(order, prior)
        case "revoke":
            return await system.revoke(order, prior, None)
        case "verify":
            return await system.verify(order, None)
        case "close" if isinstance(system, Closing):
            return await system.close_orphan(
                ExistingAccess(native=order.subject.native, entitlement="", order=order.id)
            )
        case _:
            return await system.list_access()


def real_server(bench: Bench) -> tuple[str, int]:
    """Where it is."""
    assert bench.server is not None, "a bench of ServerConformance says where its server is"
    return bench.server
