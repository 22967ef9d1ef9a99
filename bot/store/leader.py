"""Leader election: of all processes of a workspace, the one that holds a lease does a job; it does not do the job."""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import dataclass, field

from bot.core.errors import StoreAway
from bot.store.store import Store

log = logging.getLogger(__name__)

_SURE = 0.75
"""The share of a term for which this process acts without asking again, so that two never act at once."""


@dataclass
class Leader:
    """A candidate for one job, named by the key of its lease; a term lasts ``seconds``.

    A candidate that is made for one question gets a turn: nobody, this process neither, gets another within the term.
    """

    store: Store
    key: str
    seconds: float
    holder: str = field(default_factory=lambda: secrets.token_hex(8))
    _sure_until: float = field(default=0.0, init=False)

    async def elected(self, seconds: float | None = None) -> bool:
        """Take or renew the lease, for a term or so many seconds. Whether it is ours. Raises `StoreAway`."""
        term = self.seconds if seconds is None else seconds
        # Counted from before the question: the answer may have been long on its way, and the lease runs since.
        asked = time.monotonic()
        mine = await self.store.lease(self.key, self.holder, term)
        self._sure_until = asked + term * _SURE if mine else 0.0
        return mine

    @property
    def sure(self) -> bool:
        """Whether the lease surely holds still: also in a process that was stopped for a while, or is cut off."""
        return time.monotonic() < self._sure_until

    async def resign(self) -> None:
        """Give the lease up, so that another process leads at once; while the store is away it expires by itself."""
        self._sure_until = 0.0
        try:
            await self.store.lease(self.key, self.holder, 0)
        except StoreAway as error:
            log.info("a lease was not given up and will expire: %s", error)
