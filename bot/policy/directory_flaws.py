"""What is wrong with what a policy says of its sinks, its directories and each of its groups; it asks none of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from bot.policy.catalog import EVERYONE
from bot.policy.groups import DirectoryShape, GroupShape
from bot.policy.problems import DirectoryFacts, InstalledDirectories, InstalledKinds, Sinks, did_you_mean, like
from bot.policy.schema import PolicyShape, SinkShape
from bot.policy.yaml_source import Path

Flaw = tuple[Path, str, str]
"""Where, what, and a hint."""
_WAYS = "`people`, `slack_usergroup` and `directory`"


def of_kinds(
    shape: PolicyShape, installed: InstalledKinds, like_: Callable[[str, Sequence[str]], list[str]]
) -> Iterator[Flaw]:
    """What is wrong with the sinks and the directories, each of a kind that has to be installed; by whole paths."""
    kinds: tuple[tuple[str, Path, Mapping[str, SinkShape | DirectoryShape], Sinks | InstalledDirectories], ...] = (
        ("sink", ("workspace", "sinks"), shape.workspace.sinks, installed.sinks),
        ("directory", ("directories",), shape.directories, installed.directories),
    )
    for noun, section, shapes, there in kinds:
        for name, each in shapes.items():
            facts = there.find(each.kind) if each.kind in there.names else None
            if facts is None:
                near = did_you_mean(like_(each.kind, there.names)) or f"there are {', '.join(there.names) or 'none'}"
                yield (*section, name, "kind"), f"there is no {noun} `{each.kind[:60]}`", near
            for below, sentence in facts.config_flaws(each.config) if facts else ():
                yield (*section, name, "config", *below), sentence, ""


def of_group(
    name: str, group: GroupShape, directories: Collection[str], facts: DirectoryFacts | None
) -> Iterator[Flaw]:
    """What is wrong, by paths within the group. ``facts``: of the directory that it names, where that is installed."""
    ways = [bool(group.people), bool(group.slack_usergroup), bool(group.directory)]
    if not any(ways) and "people" in group.model_fields_set:
        yield ("people",), "nobody is in this group", "list at least one e-mail address"
    elif sum(ways) != 1:
        yield (), f"a group has exactly one of {_WAYS}", ""
    if group.slack_team and not group.slack_usergroup:
        yield ("slack_team",), "only a user group is of a team", "leave it out"
    if name == EVERYONE:
        yield (), f"`{EVERYONE}` means each full member, and is no name", ""
    if group.group and not group.directory:
        yield ("group",), "only a directory has groups of its own", "name the `directory` beside it, or leave it out"
    if group.directory and group.directory not in directories:
        near = did_you_mean(like(group.directory, list(directories)))
        yield ("directory",), f"there is no directory `{group.directory[:60]}`", near or "describe it in `directories`"
    if facts and group.directory and (said := facts.group_flaw(group.group)):
        yield ("group",) if group.group else (), said, ""
