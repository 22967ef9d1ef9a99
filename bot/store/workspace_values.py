"""A workspace's delegations, who is in the approvers' groups since when, and people's factors: opened together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from redis.asyncio import Redis

from bot.core.delegation import Delegations
from bot.core.group_members import GroupMembers
from bot.store.factors import FactorStore
from bot.store.keyring import KeyRing
from bot.store.keys import Keys
from bot.store.sealed_value import SealedValue, Wording

DELEGATIONS = "delegations"
"""What the audit events about delegations are written under in place of a request's id."""
GROUP_MEMBERS = "group_members"
"""The same for those about who is in which group."""
_DELEGATIONS = Wording("the delegations", "nobody stands in for anybody until they are made again")
_MEMBERS = Wording(
    "who is in the approvers' groups since when", "everybody there counts as new, and approves no critical role yet"
)


@dataclass(frozen=True)
class WorkspaceValues:
    """All of them."""

    delegations: SealedValue[Delegations]
    members: SealedValue[GroupMembers]
    factors: FactorStore


def workspace_values(
    redis: Redis,
    keys: Keys,
    ring: KeyRing,
    note: Callable[..., Awaitable[bool]],
    event_args: Callable[..., tuple[str, ...]],
) -> WorkspaceValues:
    """Open them; nothing is sent. ``note`` and ``event_args`` are the store's."""
    return WorkspaceValues(
        SealedValue(redis, keys, keys.delegations, Delegations(), _DELEGATIONS, ring, note, event_args),
        SealedValue(redis, keys, keys.members, GroupMembers(), _MEMBERS, ring, note, event_args),
        FactorStore(redis, keys, ring, note, event_args),
    )
