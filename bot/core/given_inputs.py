"""What a requester gave for the typed inputs of a request's roles, each input once; it decides nothing."""

from __future__ import annotations

from bot.core import ssh_keys
from bot.core.request import Request
from bot.core.role_snapshot import GivenInput


def given_inputs(request: Request) -> tuple[GivenInput, ...]:
    """In the order in which they were asked for; several roles that ask for the same were given one value."""
    found: dict[str, GivenInput] = {}
    for leg in request.legs:
        for each in leg.role.inputs:
            found.setdefault(each.name, each)
    return tuple(found.values())


def values(request: Request) -> dict[str, str]:
    """The same by name, to request again."""
    return {each.name: each.value for each in given_inputs(request)}


def spelled(request: Request) -> str:
    """``database=app ticket=INC-42``, as a line of a list has it; '' where nothing was asked for."""
    return " ".join(f"{each.name}={shown(each)}" for each in given_inputs(request))


def shown(given: GivenInput) -> str:
    """The value as people read it: of a key its fingerprint, by which they recognise it."""
    return ssh_keys.fingerprint(given.value) if given.kind == "ssh_public_key" else given.value
