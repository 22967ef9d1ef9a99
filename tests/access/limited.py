"""A house whose policy has limits and conflicts."""

from __future__ import annotations

from typing import Any

from bot.audit.archive.archive import Archive
from bot.audit.trail import Trail
from bot.policy.catalog import Catalog
from bot.store.store import Store
from bot.worker.recovery import Recovery
from tests.house import POLICY, House, catalog

BILLING = """
  billing:
    title: Billing
    provider: sandbox
    channel: C0BILL001
    approvers: [dba]
    roles:
      approve:
        grants: {door: billing}
        max: 8h
        may_ask: [everyone]
templates:
"""


def policy(*, role: str = "", system: str = "", conflicts: str = "", rules: str = "") -> str:
    """The policy of the house with limits of `vault/read-only` and of `vault`, with conflicts and rules."""
    text = POLICY.replace("\ntemplates:\n", BILLING, 1)
    if role:
        text = text.replace("        max: 8h\n", f"        max: 8h\n        limits: {role}\n", 1)
    if system:
        text = text.replace("    title: Vault\n", f"    title: Vault\n    limits: {system}\n", 1)
    return f"{text}{f'conflicts: {conflicts}' if conflicts else ''}\n{rules}"


async def limited(store: Store, tmp_path: Any = None, **parts: str) -> House:
    """An open house by such a policy; with a path, its worker has an audit log there."""
    recovery = None
    if tmp_path is not None:
        recovery = Recovery(store, Trail(store, lambda: Archive.open("", tmp_path, create=True)))
    house = House(store, policy=catalog(policy(**parts)), recovery=recovery)
    house.systems = {"vault": house.sandbox, "billing": house.sandbox}
    house.__post_init__()
    return await house.open()


async def live(store: Store, policy: Catalog, scope: str) -> int | None:
    """How many approved requests have a place on a role (``system/role``) or system; None where it is unknown."""
    counted = (await store.usage.read([scope], policy.policy_hash))[scope]
    return None if counted.usage is None else len(counted.usage.live())
