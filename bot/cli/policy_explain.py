"""`jit policy explain`: what a policy makes of a request that nobody made, and which rule did what; it asks nobody.

What is not given is unknown: who is in a Slack user group, whether a calendar has an event, whether a ticket exists.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bot import terminal
from bot.cli.policy_command import STARTER

if TYPE_CHECKING:
    from bot.access.policy_case import Attempt, CaseOutcome
    from bot.policy.catalog import Catalog
    from bot.policy.rules import Finding


@click.command("explain")
@click.argument("what")
@click.option("--as", "who", required=True, metavar="EMAIL", help="Who requests it.")
@click.option("--for", "duration", metavar="30m", help="How long; else the first that is offered.")
@click.option("--at", metavar="TIME", help='When it is requested, like "2026-12-04 17:00+01:00"; now without it.')
@click.option("--start", metavar="2h", help="How long after that access is to start.")
@click.option("--reason", default="", help="Its reason; one that fits stands in.")
@click.option("--input", "inputs", multiple=True, metavar="NAME=VALUE", help="What a role asks for.")
@click.option("--groups", "listed", type=click.Path(path_type=Path), help="A file that says who is in user groups.")
@click.option("--frozen", multiple=True, metavar="CALENDAR", help="A calendar that has an event then.")
@click.option("--clear", multiple=True, metavar="CALENDAR", help="A calendar that has none.")
@click.option("--ticket", "tickets", multiple=True, metavar="ID", help="A ticket that exists; others do not.")
@click.option("--denied", type=int, metavar="N", help="How often they were denied each role just before.")
@click.option("--live", type=int, metavar="N", help="How many grants of each role are live.")
@click.option("--used", type=int, default=0, show_default=True, metavar="N", help="Approvals by each rule today.")
@click.option("--file", type=click.Path(path_type=Path), envvar="JIT_POLICY", default=STARTER, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def explain(
    what: str,
    who: str,
    duration: str | None,
    at: str | None,
    start: str | None,
    reason: str,
    inputs: tuple[str, ...],
    listed: Path | None,
    frozen: tuple[str, ...],
    clear: tuple[str, ...],
    tickets: tuple[str, ...],
    denied: int | None,
    live: int | None,
    used: int,
    file: Path,
    *,
    as_json: bool,
) -> None:
    """Show what the policy makes of a request for WHAT: who approves it, and what each rule does and why.

    jit policy explain --as mia@example.com debug-prod --for 30m
    """
    from bot.access import policy_case
    from bot.cli.policy_replay import groups_of, policy_of
    from bot.policy.loader import can_extend, consequence

    catalog, groups = policy_of(file), groups_of(listed)
    now = _moment(at)
    begins = now + (_seconds(start) or 0)
    roles = _roles(catalog, what)
    attempt = _attempt(
        catalog,
        groups,
        who=who,
        form={
            "what": what,
            "duration": _seconds(duration),
            "reason": reason or _reason(catalog, what),
            "starts_at": begins if start else 0.0,
            "inputs": _given(inputs),
        },
        circumstances={
            "now": now,
            "begins": begins,
            "frozen": {**_known(catalog, frozen, having=True), **_known(catalog, clear, having=False)},
            "denials": {} if denied is None else dict.fromkeys(roles, (now,) * denied),
            "live": {} if live is None else dict.fromkeys(roles, live),
        },
        tickets=tickets,
        used=used,
    )
    outcome = policy_case.judge(catalog, attempt, now, consequence, can_extend)
    if as_json:
        terminal.document({**_document(outcome), "proofs": _proofs(catalog, what, outcome)}, indent=2)
    else:
        terminal.say(*_lines(outcome), *_proved(_proofs(catalog, what, outcome)))


def _attempt(
    catalog: Catalog,
    groups: Mapping[str, Sequence[str]],
    *,
    who: str,
    form: Mapping[str, object],
    circumstances: Mapping[str, object],
    tickets: tuple[str, ...],
    used: int,
) -> Attempt:
    from bot.access.case_attempt import person
    from bot.access.policy_case import Attempt
    from bot.access.submit import RequestForm
    from bot.core.identity import identity_of
    from bot.policy.conditions import Circumstances
    from bot.reports.replay import roster_of

    try:
        identity_of(who)
    except ValueError as error:
        raise terminal.Cannot(f"--as: {error}") from error
    return Attempt(
        person(who),
        roster_of(catalog, groups),
        RequestForm.model_validate(form),
        {rule.key: used for rule in catalog.rules},
        circumstances=Circumstances.model_validate(circumstances),
        tickets=tickets or None,
    )


def _roles(catalog: Catalog, what: str) -> list[str]:
    found = catalog.find(what)
    return [f"{ref.system}/{ref.role}" for ref in found.roles] if found else []


def _known(catalog: Catalog, names: Sequence[str], *, having: bool) -> dict[str, bool]:
    for name in names:
        if name not in catalog.calendar_names:
            shown = ", ".join(catalog.calendar_names) or "none"
            raise terminal.Cannot(f"no rule names a calendar {name[:60]!r}: there are {shown}")
    return dict.fromkeys(names, having)


def _given(inputs: Sequence[str]) -> dict[str, str]:
    found = {name: value for name, sign, value in (each.partition("=") for each in inputs) if sign and name}
    if len(found) != len(inputs):
        raise terminal.Cannot("--input is written NAME=VALUE, each name once")
    return found


def _reason(catalog: Catalog, what: str) -> str:
    from bot.access.case_attempt import fitting_reason

    return fitting_reason(catalog, what)


def _moment(at: str | None) -> float:
    from bot.policy.case_file import moment

    if at is None:
        return time.time()
    try:
        return moment(at)
    except ValueError as error:
        raise terminal.Cannot(f"--at: {error}") from error


def _seconds(text: str | None) -> int | None:
    from bot.core import durations

    if text is None:
        return None
    try:
        return durations.parse(text)
    except durations.NotADuration as error:
        raise terminal.Cannot(str(error)) from error


def _lines(outcome: CaseOutcome) -> Iterator[str]:
    from bot.cli.policy_cases import what_came
    from bot.core import durations

    _, what, sentence = what_came(outcome)
    yield f"{what}: {sentence}"
    if outcome.duration:
        short = outcome.ruling.shortened if outcome.ruling else None
        said = f", shortened from {durations.short(short.asked)} by rule {short.rule}" if short else ""
        yield f"for {durations.short(outcome.duration)}{said}"
    for finding in outcome.ruling.findings if outcome.ruling else ():
        yield f"rule {finding.rule.n}: {_does(finding, outcome)}"


def _proofs(catalog: Catalog, what: str, outcome: CaseOutcome) -> list[str]:
    """What a second factor is asked for, of this request."""
    from bot.core.proof import ProofUse
    from bot.policy.mfa import asks_proof

    found = catalog.find(what)
    roles = found.roles if found else ()
    by_rule = {ProofUse.REQUEST: bool(outcome.ruling and outcome.ruling.requires_proof)}
    glass = any((role := catalog.role(ref.system, ref.role)) and role.break_glass for ref in roles)
    uses = (use for use in ProofUse if roles and (glass or use is not ProofUse.BREAK_GLASS))
    return [use.value for use in uses if asks_proof(catalog, roles, use, by_rule=by_rule.get(use, False))]


_WHOEVER = {"request": "requests it", "approve": "approves it", "break_glass": "takes it by break-glass"}


def _proved(proofs: Sequence[str]) -> list[str]:
    """The same in a line."""
    return [f"second factor: whoever {' or '.join(_WHOEVER[use] for use in proofs)}"] if proofs else []


def _does(finding: Finding, outcome: CaseOutcome) -> str:
    """What a rule did, and why it did not."""
    from bot.policy.rule_words import conditions
    from bot.policy.rule_words import outcome as words

    rule = finding.rule
    said = f"{words(rule)} ({', '.join(conditions(rule))})"
    if not finding.takes_effect:
        return f"{said}: no effect; not met: {_short_of(finding)}"
    if finding.applies is None:
        return f"{said}: takes effect; unknown: {_short_of(finding)}"
    if rule.approves and (outcome.rule is None or outcome.rule.n != rule.n):
        other = f"rule {outcome.rule.n} approves already" if outcome.rule else "another rule is stricter"
        return f"{said}: no effect; {other}"
    return f"{said}: takes effect"


def _short_of(finding: Finding) -> str:
    from bot.policy.rule_words import worded

    doubt = "" if finding.takes_effect else " (unknown)"
    said = ((worded(finding.rule, name), known) for name, known in finding.short_of)
    return ", ".join(f"{words}{doubt if known is None else ''}" for words, known in said)


def _document(outcome: CaseOutcome) -> dict[str, object]:
    """For machines; keys stay, more may come."""
    from bot.cli.policy_cases import effective, what_came
    from bot.policy.rule_words import conditions

    verdict, what, sentence = what_came(outcome)
    findings = outcome.ruling.findings if outcome.ruling else ()
    return {
        "verdict": verdict,
        "came": what,
        "sentence": sentence,
        "lasts": outcome.duration,
        "asks": [{"any_of": list(groups), "count": count} for groups, count in outcome.missing],
        "effective": list(effective(outcome)),
        "rules": [
            {
                "n": each.rule.n,
                "then": each.rule.then.outcome,
                "conditions": conditions(each.rule),
                "applies": each.applies,
                "takes_effect": each.takes_effect,
                "short_of": dict(each.short_of),
            }
            for each in findings
        ],
    }
