"""Finds access that a requester has on a system without a request, and that conflicts with a role of the request.

It counts if the last comparison of that system reported it as unmanaged, and it is what the provider would grant this
person. Access that is not known, or cannot be looked up now, forbids nothing.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from bot.core.errors import JitError
from bot.core.request import Request
from bot.core.usage import Conflict
from bot.policy import conflicts
from bot.policy.catalog import Catalog, Role
from bot.store.indexes.drift import DriftIndex
from bot.worker.claim import error_text, principal
from bot.worker.drift import DriftKind
from bot.worker.provider_gateway import NoFreeSlot, ProviderGateway
from providers.systems.base import Order

log = logging.getLogger(__name__)

_SAMPLES: Final = 20
"""Values of a role's inputs that are tried."""


@dataclass(frozen=True)
class StandingAccess:
    """The look-ups of one worker."""

    drift_index: DriftIndex
    gateways: Mapping[str, ProviderGateway]

    async def conflict(self, catalog: Catalog, request: Request) -> Conflict | None:
        """The conflict of a role of the request with access that its requester has without one. Raises `StoreAway`."""
        requested = {name for leg in request.legs for name in (f"{leg.role.system}/{leg.role.role}", leg.role.system)}
        for mine, other in conflicts.opposite(catalog.conflicts, requested):
            system = other.partition("/")[0]
            reported = await self.drift_index.reported(system)
            unmanaged = {what for what, how in reported.items() if how == DriftKind.UNMANAGED}
            if unmanaged and await self._has(catalog, request, other, unmanaged):
                return Conflict(mine=mine, other=other)
        return None

    async def _has(self, catalog: Catalog, request: Request, side: str, unmanaged: Collection[str]) -> bool:
        system, _, only = side.partition("/")
        owner, gateway = catalog.systems.get(system), self.gateways.get(system)
        if owner is None or gateway is None:
            return False
        for name, role in owner.roles.items():
            if only in {"", name}:
                async for what in self._would_have(gateway, request, role):
                    if what in unmanaged:
                        return True
        return False

    async def _would_have(self, gateway: ProviderGateway, request: Request, role: Role) -> AsyncIterator[str]:
        """What a grant of the role would give this person, as `Drift.what` names it."""
        for params in islice(role.samples, _SAMPLES):
            try:
                for what in await self._named(gateway, request, params):
                    yield what
            except (JitError, NoFreeSlot):
                raise
            except Exception as error:  # noqa: BLE001  # any provider error: there is no account, or it is unknown
                log.info(
                    "%s: what its requester has on %s is not known: %s", request.id, gateway.name, error_text(error)
                )

    async def _named(self, gateway: ProviderGateway, request: Request, params: Mapping[str, Any]) -> list[str]:
        who, id_ = principal(request), request.order_id(0)
        async with gateway.revoking():
            target = await gateway.identity()
            subject = await gateway.call(gateway.system.resolve(who, params, id_), from_system=False)
        order = Order(id=id_, principal=who, subject=subject, params=params, not_after=request.not_after, target=target)
        return [f"{subject.native} {entitlement}" for entitlement in gateway.system.entitlements(order)]
