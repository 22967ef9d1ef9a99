"""The exit codes of every command, in one table: `--help`, the guide and the tests read it here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import click


class ExitCodes(NamedTuple):
    """What each code says of one command; '' for one that it never ends with. A wrong option is always 2."""

    good: str
    wrong: str = ""
    cannot: str = ""


GENERAL = ExitCodes(
    "done, and nothing is wrong",
    "something is wrong, or what was asked for was refused",
    "it could not be done or looked at from here: an option, a setting, a file, a store that is away",
)
_STORE = "a setting is missing, or the store is away"
_ARCHIVE = "there is no archive here, or it does not answer"
TABLE = {
    "demo": ExitCodes("each step went as it must", "a step did not"),
    "run": ExitCodes("it was stopped, and finished what was in progress", "it cannot start, or a part of it broke"),
    "doctor": ExitCodes("nothing is wrong", "something is wrong", "the doctor itself could not look"),
    "manifest": ExitCodes("printed", cannot="the address is none that Slack could call"),
    "completion": ExitCodes("printed", cannot="the shell is too old"),
    "init": ExitCodes("written", "the file is there already", "it cannot be written"),
    "keys": ExitCodes("printed"),
    "policy check": ExitCodes("the policy is good", "it has mistakes", "there is no such file"),
    "policy line": ExitCodes(
        "it is understood", "the form would ask back", "there is no such file, or it has mistakes"
    ),
    "policy test": ExitCodes("each case came as expected", "a case did not", "a file is missing, or has mistakes"),
    "policy explain": ExitCodes("explained, also what is refused", cannot="a file is missing, or has mistakes"),
    "policy schema": ExitCodes("printed"),
    "policy diff": ExitCodes("compared, also where nothing differs", cannot="a file is missing, or has mistakes"),
    "policy replay": ExitCodes("replayed", cannot=f"a file is missing or has mistakes, or {_ARCHIVE}"),
    "requests list": ExitCodes("shown", cannot=_STORE),
    "requests stuck": ExitCodes("none is stuck", "at least one is", _STORE),
    "requests show": ExitCodes("shown", "there is no such request, or its record failed its check", _STORE),
    "requests revoke": ExitCodes("a worker revokes it", "refused: it has ended, or the reason is none", _STORE),
    "requests close": ExitCodes("closed", "refused: it has ended, is not being revoked, or the reason is none", _STORE),
    "people list": ExitCodes("shown, also where it says that the list is incomplete", cannot=_STORE),
    "people show": ExitCodes("shown", "nothing is bound to the address", _STORE),
    "people bind": ExitCodes("bound", "refused: it is not free, has an open request, or the reason is none", _STORE),
    "people unbind": ExitCodes("the address is free", "refused", _STORE),
    "people bind-cli": ExitCodes("a code, or bound already", "refused", _STORE),
    "people unbind-cli": ExitCodes("bound to nobody", "refused", _STORE),
    "people enrol-code": ExitCodes("a code", "refused: nobody has the address, or the reason is none", _STORE),
    "people reset-factors": ExitCodes("proposed, or carried out", "refused", _STORE),
    "delegations list": ExitCodes("shown", cannot=_STORE),
    "delegations end": ExitCodes("ended", "there is none of that id", _STORE),
    "offboarding": ExitCodes("shown, or confirmed", cannot=_STORE),
    "lockdown": ExitCodes("shown, declared, or voted", "refused", _STORE),
    "reconcile": ExitCodes("nothing is wrong", "drift was found, or a system could not be read", _STORE),
    "sinks": ExitCodes("shown, or resumed", "there is no such sink", _ARCHIVE),
    "audit verify": ExitCodes("whole", "an event was changed, removed, added or reordered", _ARCHIVE),
    "audit search": ExitCodes("searched, also where nothing fits", cannot=_ARCHIVE),
    "audit export": ExitCodes("written", cannot=_ARCHIVE),
    "audit evidence": ExitCodes("written", cannot=_ARCHIVE),
    "audit reindex": ExitCodes("indexed again", cannot=_ARCHIVE),
    "audit adopt": ExitCodes("adopted, or there is nothing to adopt", cannot=_STORE),
    "digest": ExitCodes("shown", cannot=_ARCHIVE),
    "insights": ExitCodes("shown", cannot=_ARCHIVE),
}
"""By the words of the command."""


def commands(group: click.Group, *words: str) -> Iterator[tuple[str, click.Command]]:
    """Every command below a group that does something itself, by its words."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, *words, name)
        else:
            yield " ".join((*words, name)), command


def explain(main: click.Group) -> None:
    """Have the help of each command end with its exit codes."""
    main.epilog = _sentence(GENERAL)
    for words, command in commands(main):
        command.epilog = _sentence(TABLE[words])


def _sentence(codes: ExitCodes) -> str:
    said = [f"{code} {what}" for code, what in enumerate(codes) if what]
    return f"Exit codes: {'; '.join(said)}."


def table() -> str:
    """For the guide."""
    rows = [f"| {f'`jit {words}`' if words else 'in general'} | {' | '.join(codes)} |" for words, codes in _rows()]
    return "\n".join(["| command | 0 | 1 | 2 |", "| --- | --- | --- | --- |", *rows])


def _rows() -> Iterator[tuple[str, ExitCodes]]:
    yield "", GENERAL
    yield from TABLE.items()
