"""Which server process answers, and whether it is the one that granted; it connects to nothing.

ACL users are not replicated, so a promoted replica has none of them, and "no such user" there says nothing about the
server that granted. Each process draws a new ``run_id`` when it starts, so another one means a restart or a failover:

- A process that already ran when the grant was made is another server.
- With an ``aclfile`` the two are told apart by what stands in that file: the name of a disabled user that only this
  file has. A file that was copied to a replica is found out by the first rule, unless the replica started later.
- Without an ``aclfile`` a restart takes all users with it, and nothing on the server tells it from a younger replica
  but replication itself and its own address, which is the end of our connection that is its: it counts as a restart
  if the server that granted had no replica, and this one was none and has the same address.

Whatever is not proved to be the same server counts as another one: a person is asked, rather than told "closed".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ConfigDict, ValidationError

from providers.systems.base import Frozen, Json, Prior, Receipt

SERVER = "server"
"""The key of `KnownServer` in the facts of a prior and of a receipt."""
_SLACK = 2.0
"""Seconds: the server tells how long it runs in whole ones."""


class KnownServer(Frozen):
    """A server process as it is recorded. ``at``: when, by its own clock; ``instance``: what its aclfile calls it."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    run_id: str
    address: str = ""
    instance: str = ""
    at: float = 0
    replicas: int | None = None
    """None where nobody counted them."""

    @property
    def place(self) -> str:
        """For a person who has to find it."""
        return f"{self.address or 'the server that granted'} (run_id {self.run_id[:12]})"

    def facts(self) -> dict[str, Json]:
        """As a prior or a receipt has it."""
        return {SERVER: self.model_dump(include=set(KnownServer.model_fields))}


class RunningServer(KnownServer):
    """The process that answers now. ``promoted``: it was a replica, or knows the history of another primary."""

    started: float = 0
    promoted: bool = True

    def is_the(self, then: KnownServer) -> bool:
        """Whether it is that process, or provably that server after a restart."""
        if self.run_id == then.run_id:
            return True
        if self.started + _SLACK < then.at:
            return False
        if then.instance:
            return self.instance == then.instance
        return then.replicas == 0 and not self.promoted and self.address == then.address != ""


def seen(info: Mapping[str, Any], address: str, instance: str) -> RunningServer:
    """From the answer to INFO."""
    now = float(info.get("server_time_usec", 0)) / 1e6
    return RunningServer(
        run_id=str(info["run_id"]),
        address=address,
        instance=instance,
        at=now,
        replicas=int(info.get("connected_slaves", 0)),
        started=now - float(info.get("uptime_in_seconds", 0)),
        promoted=bool(str(info.get("master_replid2", "1")).strip("0")),
    )


def recorded(prior: Prior | None, receipt: Receipt | None) -> KnownServer | None:
    """The server of a grant; what a receipt says is newer. None where neither tells."""
    facts = {**(prior.facts.get(SERVER) or {} if prior else {})}
    facts |= receipt.facts.get(SERVER) or {} if receipt else {}
    try:
        return KnownServer.model_validate(facts)
    except ValidationError:
        return None
