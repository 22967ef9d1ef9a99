"""A sealed event as sinks get it: one line of JSON with its number, the hash that was sealed, and the seal's head.

Pure. By ``digest`` a receiver tells that the event is as it was sealed, and any ``head`` that it has is one that
`jit audit verify --head` wants to find in the archive, whoever rewrote it since.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from bot.audit.export.ocsf import ocsf
from bot.audit.shipping.cursors import Sealed
from bot.core.request import Request
from providers.sinks.base import Record, Severity

Form = Literal["jsonl", "ocsf"]
_SEVERITIES = {
    "alarm": Severity.CRITICAL,
    "loss": Severity.CRITICAL,
    "grant_uncertain": Severity.WARNING,
    "refused": Severity.NOTICE,
    "denied": Severity.NOTICE,
    "request_expired": Severity.NOTICE,
}


def shipped(sealed: Sealed, workspace: str, form: Form, request: Request | None = None) -> Record:
    """The record. ``request``: what the event belongs to, as far as it is known; for OCSF alone."""
    entry = sealed.entry
    proof = {"digest": sealed.digest.hex(), "head": sealed.head}
    said: dict[str, Any] = {"workspace": workspace, **entry._asdict(), **proof}
    if form == "ocsf":
        said = ocsf(entry, request, workspace)
        said["unmapped"] |= proof
    return Record(
        workspace=workspace,
        number=entry.seq,
        at=entry.at,
        kind=entry.kind,
        request=entry.id,
        text=json.dumps(said, separators=(",", ":")),
        severity=_SEVERITIES.get(entry.kind, Severity.INFO),
    )
