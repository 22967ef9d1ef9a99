"""`jit people`: who is bound to which address, account and directory identity; second factors; and a terminal's person.

Like `jit requests` it needs the bot's environment and its store, and not Slack.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from bot import terminal
from bot.cli.session import run_verb

if TYPE_CHECKING:
    from bot.access.context import AccessContext
    from bot.core.bound_person import BoundPerson

_json = click.option("--json", "as_json", is_flag=True, help="JSON lines, for machines.")


@click.group()
def people() -> None:
    """Whose an e-mail address is, whose a terminal, and people's second factors, for operators."""


@people.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000), help="People on a page.")
@click.option("--after", default="", metavar="EMAIL", help="Begin behind this address: the last one of a page.")
@_json
def list_(limit: int, after: str, *, as_json: bool) -> None:
    """Show who is bound: the address, its Slack account, since when, and the stable id in each directory."""
    found, missing = run_verb(lambda context: _page(context, after.strip().lower(), limit), reads=True)
    for person in found[:limit]:
        if as_json:
            terminal.document(_entry(person))
        else:
            terminal.say(_row(person))
    if missing:
        # On stderr, so that a machine which reads the list is not misled, and somebody sees it.
        terminal.say(
            f"The list is incomplete: {missing} bound addresses are not in it. Each is in it again once the bot has "
            "looked its account up in Slack; until then, jit people show EMAIL shows one.",
            err=True,
        )
    if as_json:
        return
    if len(found) > limit:
        terminal.say(f"There are more: jit people list --after {found[limit - 1].identity}")
    elif not found and not missing:
        terminal.say("Nobody is bound." if not after else "Nobody else is bound.")


@people.command()
@click.argument("email", metavar="EMAIL")
@_json
def show(email: str, *, as_json: bool) -> None:
    """Show what is bound to EMAIL, and why it is refused if it is."""
    from bot.access.bind import CannotBind, person
    from bot.core.human_times import spelled

    found = run_verb(lambda context: person(context, email), CannotBind, reads=True)
    if as_json:
        terminal.document(_entry(found))
        return
    since = f" since {spelled(found.since)}" if found.since else ""
    terminal.say(f"{found.identity}: {f'the Slack account {found.user}{since}' if found.user else 'no Slack account'}")
    for name, each in sorted(found.directories.items()):
        id_ = f"the id {each.id}" if each.id else "no id"
        refused = f", refused since the directory said {each.refused}" if each.refused else ""
        terminal.say(f"    directory {name}: {id_}{refused} ({spelled(each.since)})")
    if found.refusing:
        fix = f"jit people bind {found.identity} --directory {found.refusing} --id ID --reason REASON"
        terminal.say(f"Nothing new is accepted from this address. Find out who has it, then type: {fix}")


@people.command()
@click.argument("email", metavar="EMAIL")
@click.option("--account", default="", metavar="U…", help="The Slack account that has EMAIL, which has to be free.")
@click.option("--directory", default="", metavar="NAME", help="A directory of the policy, together with --id.")
@click.option("--id", "id_", default="", metavar="ID", help="The stable id of whoever has EMAIL in the directory.")
@click.option("--reason", required=True, help="How you made sure whose address it is; the audit channel reads this.")
def bind(email: str, account: str, directory: str, id_: str, reason: str) -> None:
    """Say whose EMAIL is: by --account in Slack, or by --directory and --id.

    For an address that a directory gave to another stable id: nothing new is accepted from it until you have said who
    has it now. Make sure first: whoever is bound to an address is taken for the person who had it before, so it has to
    have no open request where that may be another. Running bots know it within a minute.
    """
    from bot.access.bind import CannotBind, bind_account, bind_directory
    from bot.cli import requests

    if bool(account) == bool(directory or id_) or bool(directory) != bool(id_):
        raise click.UsageError("Give either --account, or --directory and --id.")
    by, who = requests.whoami(), email.strip()
    if account:
        run_verb(lambda context: bind_account(context, by, email, account, reason), CannotBind)
        terminal.say(f"{who} is bound to {account}. The audit channel and the account got a notice, as by {by}.")
        return
    former = run_verb(lambda context: bind_directory(context, by, email, directory, id_, reason), CannotBind)
    terminal.say(f"{who} is bound to the id {id_} of {directory}. The audit channel got a notice, as by {by}.")
    if former:
        terminal.say(f"{former} had this id before, and is refused if the directory still says so.")


async def _page(context: AccessContext, after: str, limit: int) -> tuple[list[BoundPerson], int]:
    """One person more than fit on a page, and how many are in no page."""
    from bot.store.indexes.bound_people import BoundPeople

    bound = BoundPeople(context.store)
    return await bound.page(after, limit + 1), await bound.missing()


def _row(person: BoundPerson) -> str:
    from bot.core.human_times import spelled

    since = spelled(person.since) if person.since else "?"
    directories = "  ".join(
        f"{name}={each.id or '?'}{' (refused)' if each.refused else ''}"
        for name, each in sorted(person.directories.items())
    )
    return f"{person.identity:<40}  {person.user or 'no account':<12}  since {since:<24}  {directories}".rstrip()


def _entry(person: BoundPerson) -> dict[str, Any]:
    """The same for machines; keys stay, more may come. A time of 0 is not known."""
    return {
        "email": person.identity,
        "account": person.user,
        "since": person.since,
        "directories": {
            name: {"id": each.id, "refused": each.refused, "since": each.since}
            for name, each in sorted(person.directories.items())
        },
        "refused": bool(person.refusing),
    }


@people.command()
@click.argument("email", metavar="EMAIL")
@click.option("--reason", required=True, help="How you made sure whose address it is; the audit channel reads this.")
def unbind(email: str, reason: str) -> None:
    """Free EMAIL from the account that it is bound to: the next account that Slack says has it is bound to it.

    For somebody who is told that their address is bound to another account. Make sure first that it is theirs: who is
    bound to an address is taken for the person who had it before. Running bots know it within a minute.
    """
    from bot.access.unbind import CannotUnbind
    from bot.access.unbind import unbind as free
    from bot.cli import requests

    by = requests.whoami()
    user = run_verb(lambda context: free(context, by, email, reason), CannotUnbind)
    terminal.say(f"{email.strip()} is free; it was bound to {user}. The audit channel got a notice, as by {by}.")


@people.command("bind-cli")
def bind_cli() -> None:
    """Have this terminal count as you where operators are counted: prints a code, which you type into Slack.

    This terminal is the account that the kernel says types here: your uid; under sudo, the account that logged in
    (/proc/self/loginuid, else SUDO_UID). LOGNAME and USER are not asked. It lasts for 90 days.
    """
    from bot.access import terminal_binding
    from bot.cli import requests

    account = requests.account()
    bound = run_verb(lambda context: terminal_binding.binding_of(context, account))
    if bound and bound.terminal.uid == account.uid:
        terminal.say(f"{account.by} counts as {bound.person.email}. To end it: jit people unbind-cli")
        return
    code = run_verb(lambda context: terminal_binding.new_code(context, account))
    terminal.say(f"In Slack, within 10 minutes, as an operator, type: /jit terminal {code}")
    terminal.say(f"{account.by} then counts as you.")


@people.command("unbind-cli")
def unbind_cli() -> None:
    """Have this terminal count as nobody."""
    from bot.access import terminal_binding
    from bot.cli import requests

    account = requests.account()
    bound = run_verb(lambda context: terminal_binding.unbind_own(context, account))
    whose = f"; it counted as {bound.person.email}. Told in the audit channel." if bound else " already."
    terminal.say(f"{account.by} counts as nobody{whose}")


@people.command("enrol-code")
@click.argument("email", metavar="EMAIL")
@click.option("--reason", required=True, help="How you made sure who asks for it; the audit channel reads this.")
def enrol_code(email: str, reason: str) -> None:
    """Print a code with which the person of EMAIL can set up a second factor in Slack, once, within 24 hours.

    Make sure first who asks for it, and hand it over outside Slack: whoever has taken over their Slack account must
    not be able to read it. A code that was issued before no longer works.
    """
    from bot.access import enrolment
    from bot.cli import requests

    by = requests.whoami()
    code = run_verb(lambda context: enrolment.offer(context, by, email, reason))
    terminal.say(
        f"{code}",
        f"This code is for {email.strip()}, works once, and lasts 24 hours. It is not shown again.",
        "Hand it over in person, or in a call that you placed to a number that you knew before. Not in Slack: whoever",
        "has taken over their account there could read it. They type it into the form that /jit mfa opens.",
        f"They and the audit channel got a notice, as by {by}.",
    )


@people.command("reset-factors")
@click.argument("email", metavar="EMAIL")
@click.option("--reason", required=True, help="How you made sure who asks for it; that person and the channel read it.")
def reset_factors(email: str, reason: str) -> None:
    """Take all second factors of EMAIL away, as for somebody who lost their phone and their recovery codes.

    Two operators do it, neither for themself: the first one proposes it, and within an hour another one types the same
    with the same reason. This terminal counts as you once you have said so in Slack: `jit people bind-cli`.
    """
    import shlex

    from bot.access import factor_reset, terminal_binding
    from bot.access.factor_reset import ResetOutcome
    from bot.cli import requests

    async def reset(context: AccessContext) -> ResetOutcome:
        operator, roster = await terminal_binding.operator_of(context, requests.account())
        return await factor_reset.reset(context, operator, roster, email, reason)

    outcome = run_verb(reset)
    whose = outcome.person.identity
    if outcome.doubt and not outcome.done:
        terminal.say(f"What is stored of their factors is not believed here: {outcome.doubt}. Find out why first.")
    if outcome.done:
        terminal.say(f"All second factors of {whose} are gone; {outcome.proposal.operator.name} had proposed it.")
        terminal.say(f"They and the audit channel got a notice. For a new one: jit people enrol-code {whose}")
        return
    again = (
        "You have already proposed this" if outcome.repeated else "You proposed this, and the audit channel reads it"
    )
    terminal.say(f"{again}. Nothing is reset yet: within an hour, another operator types at their own terminal:")
    terminal.say(f"jit people reset-factors {whose} --reason {shlex.quote(outcome.proposal.reason)}")
