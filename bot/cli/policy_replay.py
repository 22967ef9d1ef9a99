"""`jit policy replay`: what another policy would have made of the requests in the archive. Needs only the archive."""

from __future__ import annotations

import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from bot import terminal
from bot.cli.audit import whose_workspace, worded

if TYPE_CHECKING:
    from bot.core.errors import JitError
    from bot.policy.catalog import Catalog
    from bot.reports.replay import Replay, Replayed

_SHOWN = 20
_OF_A_GROUP = "depends on who is in a user group"


@click.command("replay")
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--last", default="90d", show_default=True, metavar="90d", help="How far back requests are replayed.")
@click.option("--groups", "listed", type=click.Path(path_type=Path), help="A file that says who is in user groups.")
@click.option("--json", "as_json", is_flag=True, help="For machines: every request.")
@whose_workspace
def replay(new: Path, last: str, listed: Path | None, workspace: str, *, as_json: bool) -> None:
    """Show what the policy NEW would have made of past requests: approved, refused, asked of whom, how much later.

    Who is in a Slack user group is read from the `groups` of a file of policy tests: --groups jit.test.yaml.
    """
    from bot.cli import audit_context, audit_reads
    from bot.policy import loader
    from bot.reports import replay as replaying

    catalog, groups, seconds = policy_of(new), groups_of(listed), _seconds(last)
    with worded() as settings, audit_context.archive_of(settings) as archive:
        workspace, now = audit_context.whose(archive, workspace), time.time()
        with terminal.working("replaying the archive"):
            found = replaying.replay(
                archive, workspace, catalog, (now - seconds, now), groups, loader.consequence, loader.can_extend
            )
        asked = {"last": last, "policy": catalog.policy_hash}
        audit_reads.recorded(archive, workspace, "replay", asked, rows=len(found.requests))
    if as_json:
        terminal.document(_document(catalog, found), indent=2)
    else:
        terminal.say(*_lines(catalog, found, last, set(groups)))


def policy_of(path: Path) -> Catalog:
    """The policy of a file. Raises `Cannot`."""
    from bot.policy import loader
    from bot.policy.problems import PolicyMistakes

    try:
        return loader.load(path.expanduser())
    except PolicyMistakes as error:
        raise terminal.Cannot(str(error)) from error


def groups_of(path: Path | None) -> Mapping[str, Sequence[str]]:
    """Who is in each user group, as a file of policy tests says."""
    from bot.policy import case_file, loader
    from bot.policy.problems import PolicyMistakes

    if path is None:
        return {}
    try:
        return case_file.parse(loader.source(path.expanduser())).shape.groups
    except PolicyMistakes as error:
        raise terminal.Cannot(str(error)) from error


def _seconds(last: str) -> int:
    from bot.core import durations

    try:
        return durations.parse(last)
    except durations.NotADuration as error:
        raise terminal.Cannot(f"--last: {error}") from error


class _Went(NamedTuple):
    """How requests went, and how they would have gone."""

    was: str
    would: str


def _went(each: Replayed) -> _Went:
    from bot.reports.replay import Fate

    words = {
        Fate.BY_RULE: "approved by a rule",
        Fate.APPROVED: "approved",
        Fate.BREAK_GLASS: "break-glass",
        Fate.DENIED: "denied",
        Fate.WAITS: "not decided",
        Fate.CONSENT: "not accepted",
        Fate.CANCELLED: "cancelled",
        Fate.REFUSED: f"refused{_by(each.outcome.refused)}",
        Fate.UNKNOWN: _depends(each),
    }
    would = words[each.fate]
    if each.fate is Fate.BY_RULE and each.outcome.rule:
        would = f"approved by rule {each.outcome.rule.n}"
    elif each.fate is Fate.WAITS and each.too_late:
        would = f"expires first, waiting for {_missing(each)}"
    elif each.fate is Fate.WAITS:
        would = f"held up{_by(each.held)}" if _by(each.held) else f"waits for {_missing(each)}"
    escalated = "" if each.fate is Fate.WAITS else _escalated(each)
    return _Went(words[each.past.fate], would + escalated + _review(each))


def _by(error: JitError | None) -> str:
    """What kind of refusal it is, where limits or conflicts say so."""
    from bot.core.limit_errors import Conflicting, OverLimit

    return {OverLimit: " by a limit", Conflicting: " by a conflict"}.get(type(error), "")


def _escalated(each: Replayed) -> str:
    if each.reached == each.was_reached:
        return ""
    return f", escalated to {' and '.join(each.reached)}" if each.reached else ", not escalated"


def _review(each: Replayed) -> str:
    from bot.reports.replay import ReviewFate

    words = {
        ReviewFate.GIVEN: "reviewed in time",
        ReviewFate.LATE: "reviewed too late",
        ReviewFate.NOT_THEIRS: "reviewed by somebody who may not",
        ReviewFate.UNKNOWN: "whose review depends on who is in a user group",
        ReviewFate.OVERDUE: "its review overdue",
        ReviewFate.OUTSTANDING: "its review outstanding",
    }
    return f", {words[each.review]}" if each.review and each.review is not each.was_reviewed else ""


def _depends(each: Replayed) -> str:
    from bot.core.errors import NotAllowed
    from bot.core.verdict import Code

    error = each.outcome.refused
    codes = {reason.code for reason in error.verdict.reasons} if isinstance(error, NotAllowed) else set()
    return "depends on what a rule asks" if Code.RULE_UNSURE in codes else _OF_A_GROUP


def _missing(each: Replayed) -> str:
    steps = [f"{'one' if count == 1 else count} of {' or '.join(groups)}" for groups, count in each.outcome.missing]
    return ", ".join(steps)


def _lines(catalog: Catalog, found: Replay, last: str, given: set[str]) -> Iterator[str]:
    count = len(found.requests)
    yield f"{count} requests of the last {last}, replayed by policy {catalog.policy_hash}"
    if found.unreadable:
        yield f"{found.unreadable} requests were written by another version and cannot be read"
    by: dict[_Went, list[Replayed]] = defaultdict(list)
    for each in found.requests:
        by[_went(each)].append(each)
    for went, some in sorted(by.items(), key=lambda item: (-len(item[1]), item[0])):
        yield f"  {len(some)} {went.was} -> {went.would}{_later(some)}"
    changed = [each for each in found.requests if not each.same]
    if changed:
        yield "Those that would have gone otherwise, the latest first:"
    for each in list(reversed(changed))[:_SHOWN]:
        yield f"  {_line(each)}"
    if len(changed) > _SHOWN:
        yield f"  … and {len(changed) - _SHOWN} more: --json has all of them"
    if dark := sorted(name for name, group in catalog.groups.items() if not group.is_listed and name not in given):
        yield f"Who is in {', '.join(dark)} is not in the policy: say it in a file, and add --groups FILE."


def _line(each: Replayed) -> str:
    from bot.core import durations

    first, went = each.past.first, _went(each)
    said = "" if went.would == _OF_A_GROUP else _sentence(each)
    who = " for ".join(person.identity for person in reversed(each.past.parties))
    asked = f"{first.id} {who}, {first.what} {durations.short(first.duration)}"
    return f"{asked}: {went.was} -> {went.would}{_later([each])}{f': {said}' if said else ''}"


def _sentence(each: Replayed) -> str:
    """What somebody would have read: who requests it, or whose approval a limit or conflict holds up."""
    from handlers import error_messages
    from handlers.views import text

    error, request = each.outcome.refused or each.held, each.outcome.request
    if error:
        return text.spelt_out(error_messages.sentence(error))
    first_an_owner = request is not None and request.only_required and bool(each.outcome.missing)
    return f"since {request.required_steps[0].because}" if request and first_an_owner else ""


def _later(some: Sequence[Replayed]) -> str:
    """By how much, as the median of several."""
    known = [each.longer for each in some if each.longer is not None]
    if not known or not any(known):
        return ""
    middle = statistics.median(known)
    about = "about " if any(each.estimated for each in some) else ""
    median = ", as the median" if len(known) > 1 else ""
    return f", {about}{_length(abs(middle))} {'later' if middle >= 0 else 'sooner'}{median}"


def _length(seconds: float) -> str:
    from bot.core import durations

    whole = round(seconds)
    return durations.words(whole if whole < 3_600 else whole // 60 * 60)


def _document(catalog: Catalog, found: Replay) -> dict[str, object]:
    """For machines; keys stay, more may come."""
    from bot.cli.policy_cases import effective

    requests = [
        {
            "id": each.past.first.id,
            "at": each.past.asked_at,
            "who": each.past.first.requester.identity,
            "requested_by": each.past.first.requested_by.identity if each.past.first.requested_by else None,
            "what": each.past.first.what,
            "duration": each.past.first.duration,
            "was": each.past.fate,
            "took": each.past.took,
            "would": each.fate,
            "would_take": each.took,
            "longer": each.longer,
            "estimated": each.estimated,
            "rule": each.outcome.rule.n if each.outcome.rule else None,
            "rules": list(effective(each.outcome)),
            "would_last": each.outcome.duration,
            "asks": [{"any_of": list(groups), "count": count} for groups, count in each.outcome.missing],
            "expires_first": each.too_late,
            "escalated": list(each.was_reached),
            "would_escalate": list(each.reached),
            "review": each.was_reviewed,
            "would_review": each.review,
            "refused_by": _by(each.outcome.refused or each.held).rpartition(" ")[2] or None,
            "sentence": _sentence(each),
            "same": each.same,
        }
        for each in found.requests
    ]
    return {"generation": catalog.policy_hash, "unreadable": found.unreadable, "requests": requests}
