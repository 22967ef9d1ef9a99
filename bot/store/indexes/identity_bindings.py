"""Binds people: an e-mail address, its Slack account, and its stable id in each directory, each to the first it meets.

What an operator binds and frees is audited and told by the caller's facts; who may do so is not asked here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from bot.core.bound_person import BoundDirectory, BoundPerson, DirectoryBinding, is_directory_id
from bot.core.errors import IdentityTaken
from bot.core.identity_errors import IdentityChanged
from bot.store.indexes.bound_people import NOBODY, BoundPeople
from bot.store.indexes.directory_changes import REISSUED, DirectoryChanges
from bot.store.store import Store

CHANGED_IN_DIRECTORY: Final = "directory_identity"
"""What the alarm is called that an address is another person's by now."""
_AUDIT = "people|record:#"
"""The outbox row of a message in the audit channel."""


class Bindings:
    """The bindings of one workspace. Its verbs raise `StoreAway`; `CouldNotCheck` for what a later version wrote."""

    def __init__(self, store: Store) -> None:
        """Nothing is sent."""
        self._store, self._redis, self._keys = store, store.redis, store.keys
        self.people, self._changes = BoundPeople(store), DirectoryChanges(store)

    async def person(self, identity: str) -> BoundPerson:
        """All that is bound to an address."""
        values = await self.people.fetch(self._keys.bound_person(identity))
        return await self.people.as_bound(self.people.person(identity, values))

    # what Slack says

    async def admit(self, identity: str, user: str) -> None:
        """Bind the address to the Slack account that has it, once.

        Raises `IdentityTaken` where it is another's, and `IdentityChanged` where a directory says that it is another
        person's by now. An account that has another address than before is told to both, and in the audit channel.
        """
        k = self._keys
        values = await self.people.fetch(k.bound_person(identity), k.bound_account(user))
        person, before = self.people.person(identity, values), self.people.address(k.bound_account(user), values)
        # Before the address is bound: a binding that was deleted from Redis frees it for nobody else.
        if person.user != user and await self.people.account(person) not in {"", user}:
            raise IdentityTaken(user)
        if not await self._store.identities.bind(identity, user):
            raise IdentityTaken(user)
        if person.refusing:
            raise IdentityChanged(user, person.refusing)
        await self._note(person, user, before, values)

    async def _note(self, person: BoundPerson, user: str, before: str, read: Mapping[str, str]) -> None:
        """Write down whose the address is, and tell that the account had another one ``before``."""
        k, said, moved = self._keys, tuple[str, ...](), before not in {"", person.identity}
        now = await self._store.now() if moved or person.user != user else 0.0
        after = {
            k.bound_account(user): self.people.pointer(k.bound_account(user), person.identity),
            k.bound_person(person.identity): self.people.sealed(
                person if person.user == user else person.with_account(user, now)
            ),
        }
        if moved:
            sentence = (
                f"the Slack account {user} has the e-mail address {person.identity} now; it had {before} before, and "
                "what it requested as that stays as it is"
            )
            facts = {"by": user, "user": user, "before": before, "identity": person.identity, "said": sentence}
            told = (user, await self._store.identities.bound(before))
            said = self._said("address_changed", {**facts, "well": True}, now, told)
        # Where another process wrote just now, it has told it, or the next look does.
        await self._write(person.identity, read, after, said)
        await self.people.index(person.identity)

    async def _write(
        self, identity: str, read: Mapping[str, str], after: Mapping[str, str], said: tuple[str, ...] = ()
    ) -> bool:
        """Write what is another value than was read: also what is signed with an older key, or was taken away."""
        changed = {key: value for key, value in after.items() if value != read[key]}
        return not changed or await self.people.write(identity, read, changed, said)

    # what a directory says

    async def bind_directory(self, identity: str, directory: str, id_: str) -> DirectoryBinding:
        """An address has this stable id in a directory; which is bound to it when there was none before.

        Anything but `DirectoryBinding.BOUND` refuses whoever has the address, from now until an operator binds it, and
        raises one alarm. Raises `ValueError` for what cannot be a stable id.
        """
        if not is_directory_id(id_):
            raise ValueError("a stable id has 1 to 255 printable ASCII characters, and no space")
        k = self._keys
        person_key, id_key = k.bound_person(identity), k.bound_id(directory, id_)
        while True:
            values = await self.people.fetch(person_key, id_key)
            person, holder = self.people.person(identity, values), self.people.address(id_key, values)
            bound = person.directories.get(directory)
            outcome, moves = await self._judge(person, bound, id_, holder)
            if outcome is not DirectoryBinding.BOUND:
                if await self._refuse(person, directory, id_, holder, outcome, values):
                    return outcome
                continue
            if bound is None:
                person = person.with_directory(directory, BoundDirectory(id=id_, since=await self._store.now()))
            after = {person_key: self.people.sealed(person)}
            if moves:
                after[id_key] = self.people.pointer(id_key, identity)
            if await self._write(identity, values, after):
                return outcome

    async def _judge(
        self, person: BoundPerson, bound: BoundDirectory | None, id_: str, holder: str
    ) -> tuple[DirectoryBinding, bool]:
        """Whether the id is the address's own, and whether the id points to it. ``holder``: whose the id is."""
        if bound and (bound.refused or bound.id != id_):
            is_others = bool(holder) and holder != person.identity and bound.id != id_
            return DirectoryBinding.OTHER_ADDRESS if is_others else DirectoryBinding.OTHER_ID, False
        if not holder or holder == person.identity:
            return DirectoryBinding.BOUND, True
        # Two addresses of one Slack account are one person's: who married has another address, and the id of before.
        # The id is noted for the one that the account has now.
        account = await self._account(person.identity)
        if not account or account != await self._account(holder):
            return DirectoryBinding.OTHER_ADDRESS, False
        pointer = self._keys.bound_account(account)
        current = self.people.address(pointer, await self.people.fetch(pointer))
        return DirectoryBinding.BOUND, current == person.identity

    async def _account(self, identity: str) -> str:
        """Whose an address is, or was until an operator freed it."""
        return (await self._store.identities.owner(identity)).removeprefix("-")

    async def _refuse(
        self,
        person: BoundPerson,
        directory: str,
        id_: str,
        holder: str,
        outcome: DirectoryBinding,
        read: Mapping[str, str],
    ) -> bool:
        """Write down that nobody is known by this address any more; False where something else is bound by now."""
        now, key = await self._store.now(), self._keys.bound_person(person.identity)
        # Each time: approvals and starts that others decide do not look this person up.
        await self._changes.gone(person.identity, now, REISSUED)
        bound = person.directories.get(directory)
        if bound and bound.refused:
            return await self._write(person.identity, read, {key: self.people.sealed(person)})
        which = f"the stable id {id_}" + (f" and not {bound.id}" if bound and bound.id not in {"", id_} else "")
        of_whom = f", which is {holder}'s" if outcome is DirectoryBinding.OTHER_ADDRESS else ""
        sentence = (
            f"the directory {directory} knows {person.identity} by {which}{of_whom}: the address may have been given "
            "to another person. Nothing new is accepted from it. Find out who has it, then type: "
            f"jit people bind {person.identity} --directory {directory} --id ID --reason REASON"
        )
        about = {"person": await self.people.account(person), "identity": person.identity, "directory": directory}
        facts = {"alarm": CHANGED_IN_DIRECTORY, **about, "said": sentence}
        refused = BoundDirectory(id=bound.id if bound else "", refused=id_, since=now)
        after = {key: self.people.sealed(person.with_directory(directory, refused))}
        return await self.people.write(person.identity, read, after, self._said("alarm", facts, now))

    # what an operator says

    async def bind_account(self, identity: str, user: str, facts: Mapping[str, Any]) -> bool:
        """Bind a free address to this account, audited and told with ``facts``; False when it is not free any more."""
        k, identities = self._keys, self._store.identities
        values = await self.people.fetch(k.identity(identity), k.bound_person(identity))
        person = self.people.person(identity, values)
        if await self.people.account(person):
            return False
        now = await self._store.now()
        after = {
            k.identity(identity): identities.value(identity, user),
            k.bound_person(identity): self.people.sealed(person.with_account(user, now)),
        }
        return await self.people.write(identity, values, after, self._said("person_bound", facts, now, (user,)))

    async def accept_directory(self, identity: str, directory: str, id_: str, facts: Mapping[str, Any]) -> str | None:
        """Bind this stable id to the address, whatever was before, audited and told with ``facts``.

        The other address that had it, '' for none; None where something else was bound meanwhile.
        """
        k, now = self._keys, await self._store.now()
        person_key, id_key = k.bound_person(identity), k.bound_id(directory, id_)
        former = (await self.person(identity)).directories.get(directory)
        former_key = k.bound_id(directory, former.id if former and former.id else id_)
        values = await self.people.fetch(person_key, id_key, former_key)
        person, holder = self.people.person(identity, values), self.people.address(id_key, values)
        after = {person_key: self.people.sealed(person.with_directory(directory, BoundDirectory(id=id_, since=now)))}
        if self.people.address(former_key, values) == identity:
            # Who had the address before may have another one by now.
            after[former_key] = self.people.pointer(former_key, NOBODY)
        after[id_key] = self.people.pointer(id_key, identity)
        told = [await self._store.identities.bound(address) for address in (identity, holder) if address]
        if not await self.people.write(identity, values, after, self._said("person_bound", facts, now, told)):
            return None
        await self._changes.back(identity, now)
        return "" if holder == identity else holder

    async def unbind(self, identity: str, user: str, facts: Mapping[str, Any]) -> bool:
        """Free it from this account, audited and told with ``facts``; False when it is not bound to it any more."""
        k = self._keys
        values = await self.people.fetch(k.identity(identity), k.bound_person(identity))
        person = self.people.person(identity, values)
        if await self.people.account(person) != user:
            return False
        after = {k.identity(identity): self._store.identities.value(identity, user, freed=True)}
        if person.user:
            after[k.bound_person(identity)] = self.people.sealed(person.with_account("", 0.0))
        return await self.people.write(identity, values, after, self._said("unbound", facts, await self._store.now()))

    def _said(self, kind: str, facts: Mapping[str, Any], now: float, users: Iterable[str] = ()) -> tuple[str, ...]:
        """An event, for the audit channel and a message to each of these accounts."""
        rows = [_AUDIT, *(f"{user}|person:#" for user in dict.fromkeys(users) if user)]
        return self._store.event_args(
            kind, json.dumps(facts, ensure_ascii=False, separators=(",", ":")), now, rows=rows
        )
