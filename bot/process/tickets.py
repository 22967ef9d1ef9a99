"""The ticket systems of a web process: built at the start, and again where another policy changes them.

Their signing secrets are the only ones that a web process has besides Slack's.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import SecretStr

from bot import logs
from bot.policy.catalog import Catalog
from bot.policy.rule_shapes import TicketSystemShape
from bot.process.parts import PreparedPolicy
from bot.startup import CannotStart
from providers.secret_refs import Misconfigured, resolve
from providers.ticket_system import TicketSystem


@dataclass
class TicketSystems:
    """Those of one process, by their names. ``environment``: what their references are read from."""

    environment: Mapping[str, str]
    _systems: dict[str, TicketSystem] = field(default_factory=dict, init=False)
    _open: list[TicketSystem] = field(default_factory=list, init=False)
    """One that is replaced is open until the end: it may have been asked."""

    async def exists(self, check: str, ticket: str) -> bool | None:
        """Whether a ticket exists; None where that is not told, or there is no such system here."""
        system = self._systems.get(check)
        return None if system is None else await system.exists(ticket)

    def begin(self, catalog: Catalog) -> None:
        """Build those of a policy. Raises `CannotStart` with all that is wrong at once."""
        self._use(self._built(catalog))

    def prepare(self, catalog: Catalog) -> PreparedPolicy:
        """Build those of another policy. Raises `CannotStart`."""
        return PreparedPolicy(functools.partial(self._use, self._built(catalog)), _nothing)

    async def close(self) -> None:
        """Close all of them."""
        for system in self._open:
            await system.close()

    def _use(self, systems: dict[str, TicketSystem]) -> None:
        self._systems = systems
        self._open += systems.values()

    def _built(self, catalog: Catalog) -> dict[str, TicketSystem]:
        """Nothing is opened before the first question, so one that is not used after all leaves nothing behind."""
        systems, wrong = dict[str, TicketSystem](), []
        for name, shape in catalog.tickets.items():
            try:
                systems[name] = _one(shape, self.environment)
            except (Misconfigured, ValueError) as error:
                wrong.append(f"ticket system {name}: {error}")
        if wrong:
            raise CannotStart("\n".join(wrong))
        return systems


def _one(shape: TicketSystemShape, environment: Mapping[str, str]) -> TicketSystem:
    secret = str(resolve({"secret": shape.secret}, environment)["secret"])
    logs.hide([secret])
    return TicketSystem(shape.url, SecretStr(secret))


async def _nothing() -> None:
    """Nothing was opened."""
