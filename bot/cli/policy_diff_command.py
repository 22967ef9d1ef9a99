"""`jit policy diff`: what another policy changes, before it is deployed: rights of people, roles, groups, rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot import terminal

if TYPE_CHECKING:
    from bot.policy.catalog import Catalog
    from bot.policy.permission_diff import Right
    from bot.policy.policy_diff import PolicyDiff, TermChange

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}


@click.command("diff")
@click.argument("old", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def diff(old: Path, new: Path, *, as_json: bool) -> None:
    """Show what the policy NEW changes of OLD: who gains and loses which rights, and each role with other terms."""
    from bot.policy import policy_diff

    found = policy_diff.compare(_read(old), _read(new))
    if as_json:
        terminal.document(_document(found), indent=2)
    else:
        terminal.say(*_lines(found))


def _read(path: Path) -> Catalog:
    """The policy of a file or folder; one with mistakes cannot be compared."""
    from bot.policy import loader
    from bot.policy.problems import PolicyMistakes

    try:
        return loader.load(path.expanduser())
    except PolicyMistakes as error:
        raise terminal.Cannot(str(error)) from error


def _lines(found: PolicyDiff) -> Iterator[str]:
    if found.same:
        yield "The policies say the same."
        return
    if not (found.changes or found.rights.gained or found.rights.lost):
        yield "The policies differ in nothing that is compared, such as only in the order of rules."
        return
    yield from _rights("Gained rights", "+", found.rights.gained)
    yield from _rights("Lost rights", "-", found.rights.lost)
    for change in found.changes:
        yield from _change(change)
    yield _summary(found)


def _rights(heading: str, sign: str, rights: Sequence[Right]) -> Iterator[str]:
    if rights:
        yield heading
    for right in rights:
        size = " (size unknown here)" if right.who.startswith(("the user group ", "the directory group ")) else ""
        yield f"  {sign} {right.who}{size}: {right.verb} {right.role}"


def _change(change: TermChange) -> Iterator[str]:
    yield f"{_SIGNS[change.how]} {change.kind}{'' if change.kind == change.name else f' {change.name}'} {change.how}"
    for detail in change.details:
        if change.how == "changed":
            yield f"    {detail.name}: {detail.was or 'none'} -> {detail.now or 'none'}"
        else:
            yield f"    {detail.name}: {detail.now or detail.was}"


def _summary(found: PolicyDiff) -> str:
    gain, lose = (len({right.who for right in rights}) for rights in (found.rights.gained, found.rights.lost))
    said = [f"rights gained by {gain}, lost by {lose}"]
    counted = Counter((change.kind, change.how) for change in found.changes)
    said += [f"{count} {_counted(kind, count)} {how}" for (kind, how), count in counted.items()]
    return ", ".join(said)


def _counted(kind: str, count: int) -> str:
    return kind if count == 1 else f"{kind.removesuffix('y')}ies" if kind.endswith("y") else f"{kind}s"


def _document(found: PolicyDiff) -> dict[str, object]:
    """For machines; keys stay, more may come."""
    return {
        "same": found.same,
        "gained": [vars(right) for right in found.rights.gained],
        "lost": [vars(right) for right in found.rights.lost],
        "changes": [{**vars(change), "details": [vars(each) for each in change.details]} for change in found.changes],
    }
