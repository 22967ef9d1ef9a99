"""What is wrong with how a policy says who is in its groups, as far as one group tells; it asks no directory."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from bot.policy.catalog import EVERYONE
from bot.policy.groups import GroupShape
from bot.policy.problems import DirectoryFacts, did_you_mean, like
from bot.policy.yaml_source import Path

Flaw = tuple[Path, str, str]
"""Where in the group, what, and a hint."""
_WAYS = "`people`, `slack_usergroup` and `directory`"


def of_group(
    name: str, group: GroupShape, directories: Collection[str], facts: DirectoryFacts | None
) -> Iterator[Flaw]:
    """What is wrong. ``facts``: of the directory that it names, where that is installed."""
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
