"""One line in the log for each event that the record took: what, who, which version; never why in a person's words."""

from __future__ import annotations

import logging

from bot import logs
from bot.core.events import Retried
from bot.store.types import CommitOutcome

log = logging.getLogger(__name__)


def write(answered: CommitOutcome) -> None:
    """The line of a commit; one that was not taken is only worth debugging, since whoever wanted it says so."""
    event, after = answered.change.event, answered.change.after
    if answered.status != "OK":
        log.debug("%s was not recorded", event.kind, extra=logs.facts(request=after.id, result=answered.status))
        return
    failed, said = isinstance(event, Retried) and event.failed, vars(event)
    told = logs.facts(
        request=after.id,
        version=after.version,
        by=event.by,
        requester=after.requester.id,
        state=after.state.value,
        system=",".join(dict.fromkeys(leg.role.system for leg in after.legs)),
        what=after.what,
        leg=said.get("leg"),
        # A provider's sentence or ours; reasons, which people type, are other fields and are not told.
        error=said.get("error"),
    )
    log.log(logging.WARNING if failed else logging.INFO, event.kind, extra=told)
