"""What the directories of people share: one account for an address, and the attributes that a config names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from pydantic import ValidationError

from providers.directories.base import LONGEST_VALUE, DirectoryPerson, NoAnswer, Refused


def one_of(found: Sequence[DirectoryPerson]) -> DirectoryPerson | None:
    """The only one; None for nobody. Raises `Refused` for several: which of them is meant would be a guess."""
    if len({person.id for person in found}) > 1:
        raise Refused("more than one account has this address: who is meant cannot be told")
    return found[0] if found else None


def known_person(id_: object, email: str, *, active: bool, attributes: Mapping[str, str]) -> DirectoryPerson:
    """A person as a directory tells of them. Raises `NoAnswer` where that can be none."""
    try:
        return DirectoryPerson.model_validate(
            {"id": id_, "email": email, "active": active, "attributes": attributes}, strict=True
        )
    except ValidationError:
        raise NoAnswer("it tells of an account in a form that is not known here") from None


def attributes_of(names: Iterable[str], value: Callable[[str], object]) -> dict[str, str]:
    """The attributes that are one short line of text, or a number. No other is guessed at, or cut off."""
    found = {name: _text(value(name)) for name in names}
    return {name: text for name, text in found.items() if text}


def value_at(found: object, path: str) -> object:
    """What JSON has at a name; a dot leads inside. None where there is nothing."""
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    fits = isinstance(value, str) and len(value) <= LONGEST_VALUE and value.isprintable() and value == value.strip()
    return str(value) if fits else ""
