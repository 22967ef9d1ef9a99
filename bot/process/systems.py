"""The providers of a worker's systems, and the sinks: built at the start, and again where another policy changes them.

A system that is no longer in the policy keeps its provider until the process ends: its access is still to be revoked.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from bot import logs
from bot.audit.shipping.shipper import Shipping, Sinks, built
from bot.policy.catalog import Catalog
from bot.process.parts import Parts, PreparedPolicy
from bot.redaction import referred
from bot.startup import CannotStart
from bot.worker.provider_gateway import ProviderGateway
from providers.systems import registry
from providers.systems.base import ProviderError, System

_Shape = tuple[str, Mapping[str, Any]]


@dataclass
class Systems:
    """The providers of one worker by their systems. One that is replaced is open until the end: a call may be made."""

    parts: Parts
    _shapes: dict[str, _Shape] = field(default_factory=dict, init=False)
    """The provider and config that each was built of."""
    _open: list[System] = field(default_factory=list, init=False)

    def begin(self) -> dict[str, System]:
        """Those of the policy that the process starts with. Raises `CannotStart` with all that is wrong at once."""
        systems = self._built(self.parts.catalog)
        self._keep(self.parts.catalog, systems)
        return systems

    async def close(self) -> None:
        """Close all of them."""
        for system in self._open:
            await system.close()

    def prepare(self, gateways: MutableMapping[str, ProviderGateway], catalog: Catalog) -> PreparedPolicy:
        """Build what is new in a policy or has another config. Raises `CannotStart`."""
        systems = self._built(catalog)

        def commit() -> None:
            self._keep(catalog, systems)
            for name, system in systems.items():
                gateways[name] = ProviderGateway(system, name=name)
            self.parts.metrics.serve(gateways)

        async def discard() -> None:
            for system in systems.values():
                self._open.remove(system)
                await system.close()

        return PreparedPolicy(commit, discard)

    def _built(self, catalog: Catalog) -> dict[str, System]:
        systems, wrong = dict[str, System](), []
        for name, system in catalog.systems.items():
            if self._shapes.get(name) == (system.provider, system.config):
                continue
            try:
                logs.hide(referred(system.config, self.parts.environment))
                systems[name] = registry.build(system.provider, system.config, self.parts.environment)
                self._open.append(systems[name])
            except ProviderError as error:
                wrong.append(f"system {name}: {error}")
        if wrong:
            raise CannotStart("\n".join(wrong))
        return systems

    def _keep(self, catalog: Catalog, systems: Mapping[str, System]) -> None:
        self._shapes |= {name: (catalog.systems[name].provider, catalog.systems[name].config) for name in systems}


def sinks(parts: Parts, catalog: Catalog) -> Sinks:
    """The sinks of a policy. Raises `CannotStart`."""
    shapes = catalog.workspace.sinks
    try:
        found = built(shapes, parts.environment)
    except ProviderError as error:
        raise CannotStart(str(error)) from error
    for shape in shapes.values():
        logs.hide(referred(shape.config, parts.environment))
    return found


def prepare_sinks(parts: Parts, shipping: Shipping, catalog: Catalog) -> PreparedPolicy:
    """Build the sinks of a policy, where they differ from those that are shipped to. Raises `CannotStart`."""
    if catalog.workspace.sinks == parts.catalog.workspace.sinks:
        return PreparedPolicy(lambda: None, functools.partial(_close, {}))
    found = sinks(parts, catalog)
    closing = {name: sink for name, (_, sink) in found.items()}
    return PreparedPolicy(functools.partial(shipping.use, found), functools.partial(_close, closing))


async def _close(opened: Mapping[str, Any]) -> None:
    for each in opened.values():
        await each.close()
