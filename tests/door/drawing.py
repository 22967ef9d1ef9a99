"""Every view of the door with the same facts each time, and where its golden file is.

``python -m tests.door.drawing`` writes the golden files anew. Look at what changed in them before you commit it: they
are what people see, and what Slack is sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from slack_sdk.models.views import View

from bot import books
from bot.books import Mine
from bot.core.catalog import Catalog, Choice
from bot.core.events import Submitted
from bot.core.lifecycle import begin
from bot.core.model import Ending, Extension, Request, Review, RoleSnapshot, State, Verb
from bot.policy_file import consequence, prolongs
from handlers.views import listing, modals, overview, showing, terms
from handlers.views.card import Message, Needed
from handlers.views.modals import Chosen
from handlers.views.showing import Reader
from tests.house import catalog, person

FOLDER = Path(__file__).parent / "golden"
AT = 1_800_000_000.0
HOUR = 3600
NAMES = {"dba": "<!subteam^S0DBA0001>", "security": "<@USAM>, <@UKIM>"}
MIA, DAN, EVE = (person("T0LOCAL01", name) for name in ("mia", "dan", "eve"))
EVIL = "INC-1 <!channel> & *bold* <https://evil.example|safe>"


def policy() -> Catalog:
    """The policy that all of it is drawn from."""
    return catalog()


def choice(name: str) -> Choice:
    """Something that can be asked for."""
    found = policy().find(name)
    assert found is not None
    return found


def chosen(name: str) -> Chosen:
    """It, as the form has it."""
    return Chosen(books.terms(policy(), choice(name)), NAMES, AT + 4 * HOUR)


def request(id_: str = "J-7K3Q", what: str = "debug", reason: str = EVIL, asked: int = 1800, at: float = AT) -> Request:
    """Mia's request, as it is first recorded."""
    known, rules = choice(what), policy()
    return begin(
        Submitted(
            at=at,
            by=MIA.id,
            id=id_,
            asker=MIA,
            what=known.name,
            title=known.title,
            reason=reason,
            duration=asked,
            roles=tuple(snapshot(rules, ref.system, ref.role) for ref in known.roles),
            generation=rules.generation,
            grant_budget=600,
            decide_by=at + 4 * HOUR,
        )
    )


def snapshot(rules: Catalog, system: str, name: str) -> RoleSnapshot:
    """A role as it was asked for."""
    owner, role = rules.systems[system], rules.systems[system].roles[name]
    return RoleSnapshot(
        system=system,
        role=name,
        title=f"{owner.title}: {role.title or name}",
        channel=owner.channel,
        provider=owner.provider,
        params=role.grants,
        sensitivity=role.sensitivity,
        cap=role.max,
        consequence=consequence(owner.provider, role.grants),
        digest=role.digest,
        prolongs=prolongs(owner.provider, role.grants),
    )


def opened(id_: str = "J-7K3R") -> Request:
    """One that is open."""
    approved = Review(verb=Verb.APPROVE, by=DAN, at=AT + 60, duration=1800)
    times = {"approved_at": AT + 60, "opened_at": AT + 62, "granted_at": AT + 62, "ends_at": AT + 1862}
    return request(id_).model_copy(update={"state": State.ACTIVE, "reviews": (approved,), **times})


def longer(id_: str = "J-6668") -> Request:
    """One whose end is asked to be later."""
    wish = Extension(n=1, until=AT + 3600, reason=EVIL, at=AT + 900)
    return opened(id_).model_copy(update={"asker": EVE, "extension": wish})


def ended(id_: str = "J-7K3S", at: float = AT - HOUR) -> Request:
    """One that is over."""
    over = {"state": State.ENDED, "ending": Ending.RELEASED, "closed_by": MIA.id, "closed_at": at + 900}
    return request(id_, "vault/shared", "to look around", at=at).model_copy(update=over)


def mine(**more: Any) -> Mine:
    """What concerns somebody; nothing where it is not told."""
    nothing: dict[str, Any] = {"open": (), "waiting": (), "asked": (), "offers": ()}
    return Mine(**{**nothing, **more})


def _full() -> Mine:
    offers = tuple(choice for choice in policy().choices() if choice.name != "vault/admin")
    past = tuple(ended(id_, AT - n * HOUR) for n, id_ in enumerate(("J-2222", "J-3333", "J-4444", "J-5555")))
    waits = (request("J-6666", "vault/admin").model_copy(update={"asker": EVE}), request("J-6667"), longer())
    both = (request(), opened())
    return mine(open=both, waiting=waits, asked=(*both, *past), offers=offers, secrets=frozenset({"J-7K3R"}))


def _many() -> list[Choice]:
    return [choice("debug").model_copy(update={"name": f"t{n}", "title": f"Template {n}"}) for n in range(101)]


def _explained(*names: str) -> str:
    return terms.all_explained([books.terms(policy(), choice(name)) for name in names], NAMES)


DRAWINGS: Mapping[str, Callable[[], View | Message | str | list[Any]]] = {
    "ask-empty": lambda: modals.ask(policy().choices()),
    "ask-template": lambda: modals.ask(policy().choices(), chosen("debug"), 3600, EVIL),
    "ask-role-of-two-steps": lambda: modals.ask(policy().choices(), chosen("vault/admin")),
    "ask-too-long": lambda: modals.ask(policy().choices(), chosen("debug"), 9 * HOUR, "INC-1"),
    "ask-here": lambda: modals.ask(policy().choices(), reason="https://local.slack.com/archives/C0GENERAL/p1"),
    "ask-of-many": lambda: modals.ask(_many(), chosen("debug")),
    "ask-suggested": lambda: modals.suggested(policy().choices(), "vault"),
    "approve-less": lambda: modals.approve_less(request()),
    "deny": lambda: modals.deny(request()),
    "revoke": lambda: modals.revoke(opened()),
    "note": lambda: modals.note("JIT Access", "Nobody decides about their own request."),
    "overview-empty": lambda: overview.overview(mine()),
    "overview": lambda: overview.overview(_full()),
    "home-empty": lambda: overview.home(mine()),
    "home": lambda: overview.home(_full()),
    "home-refused": lambda: overview.refused("Guests cannot ask for access or decide about it."),
    "show-own": lambda: showing.shown(request(), Needed(NAMES["dba"], 1), Reader(asked=True)),
    "show-own-open": lambda: showing.shown(opened(), Needed("", 0), Reader(asked=True, secret=True)),
    "show-decider": lambda: showing.shown(request(), Needed(NAMES["dba"], 1), Reader(acts=True)),
    "show-reader": lambda: showing.shown(request(), Needed(NAMES["dba"], 1), Reader()),
    "show-decider-of-the-end": lambda: showing.shown(longer(), Needed(NAMES["dba"], 1), Reader(acts=True)),
    "list": lambda: listing.listing([request(), opened()], [ended()]),
    "who": lambda: listing.holders("vault", "Vault", [opened()]),
    "who-nobody": lambda: listing.holders("vault", "Vault", []),
    "explain": lambda: _explained("debug", "vault/admin"),
}
"""Each view, by the name of its golden file."""


def drawn(name: str) -> Any:
    """What Slack would be sent."""
    view = DRAWINGS[name]()
    if isinstance(view, Message):
        return {"text": view.text, "blocks": view.blocks}
    if isinstance(view, str):
        return {"text": view}
    return [part.to_dict() for part in view] if isinstance(view, list) else view.to_dict()


def spelled(name: str) -> str:
    """As its golden file has it."""
    return json.dumps(drawn(name), indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def write(folder: Path, names: Iterable[str], content: Callable[[str], str]) -> None:
    """The golden files of a folder, anew: one a name, and no other."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for name in names:
        (folder / f"{name}.json").write_text(content(name), encoding="utf-8")


if __name__ == "__main__":
    write(FOLDER, DRAWINGS, spelled)
