"""`jit people`: whose an address is, and a terminal; and with which code somebody sets up a second factor, or a reset.

Like `jit requests` it needs the bot's environment and its store, and not Slack.
"""

from __future__ import annotations

import click

from bot import terminal
from bot.cli.session import run_verb


@click.group()
def people() -> None:
    """Whose an e-mail address is, whose a terminal, and people's second factors, for operators."""


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
    from bot.access.context import AccessContext
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
