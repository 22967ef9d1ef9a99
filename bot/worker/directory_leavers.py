"""Finds people with access whose account in a directory is gone, by what the worker reads there; it asks no directory.

An account is gone when two looks, a minute apart, found it disabled, or not there though it was known by its id. A
sighting is such a finding, as `offboarding` has it.
"""

from __future__ import annotations

from bot.policy.catalog import Catalog
from bot.store.indexes.directory_snapshots import LATELY, DirectorySnapshots, InactivePeople, InactivePerson
from bot.store.indexes.exposure import ExposureIndex
from bot.store.indexes.offboarding import directory_sighting
from bot.store.store import Store
from bot.worker.offboarding_scan import Loss, OffboardingScan

RECHECK = 55.0
"""Seconds between the first and the last look at somebody: a little less than the worker's minute."""
COUNTS = 300.0
"""Seconds for which a look counts: by one that is older nothing is taken away."""
_AHEAD = 5.0
"""Seconds by which the store's clock may go back, as when a replica takes over."""
MASS_MIN = 5
MASS_DIVISOR = 4
"""People, and their share of those who were read: as in `offboarding`."""


class DirectoryLeavers:
    """The part of a poll that is about directories."""

    def __init__(self, store: Store, exposure: ExposureIndex) -> None:
        """Nothing is sent."""
        self._store, self._exposure, self._snapshots = store, exposure, DirectorySnapshots(store)

    async def poll(self, scan: OffboardingScan, catalog: Catalog) -> None:
        """Add who is gone to the scan; whoever is back is taken out. Raises `StoreAway`."""
        snapshots = await self._snapshots.inactive(catalog)
        gone: set[str] = set()
        for name, listed in snapshots.inactive_people(catalog).items():
            gone |= await self._in_directory(scan, name, listed, snapshots.now)
        for what in [what for what, sighting in scan.seen.items() if sighting.in_directory and what not in gone]:
            del scan.seen[what]

    async def _in_directory(self, scan: OffboardingScan, name: str, listed: InactivePeople, now: float) -> set[str]:
        """The sightings of those who are gone in one directory; each is of a request's owner."""
        sure = {who: person for who, person in listed.people.items() if is_sure(person, now)}
        users = {user: who for who in sure if (user := await self._store.identities.bound(who))}
        exposed = await self._exposure.exposed(users)
        scan.exposed |= exposed
        requests = await self._exposure.requests_of(sorted(exposed))
        found: set[str] = set()
        for user, owned in requests.items():
            found.add(what := f"{directory_sighting(name)} {user}")
            scan.add_sighting(what, user, directory_sighting(name))
            why = _why(name, sure[users[user]])
            scan.losses += [Loss(request, why, directory=name) for request in owned]
        confirmed = {who for user, who in users.items() if user in scan.confirmed}
        # Also those who have lost what they had, or had nothing: a mass change may come little by little.
        lately = {who for who, person in listed.people.items() if now - person.since < LATELY}
        gone = ({users[user] for user in requests} | lately) - confirmed
        # Only those read since count against it: what was read before is from before the mistake, if it is one.
        if len(gone) > MASS_MIN and len(gone) * MASS_DIVISOR > listed.sample:
            scan.mass_directories.add(name)
        return found


def is_sure(person: InactivePerson, now: float) -> bool:
    """Whether two looks, a minute apart, found it so, and the last one is not long ago."""
    return person.at - person.since >= RECHECK and -_AHEAD <= now - person.at < COUNTS


def _why(directory: str, person: InactivePerson) -> str:
    was = "is there no more" if person.gone else "was disabled"
    return f"their account in the directory {directory} {was}"
