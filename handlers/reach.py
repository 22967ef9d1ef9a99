"""Who of the approvers can be reached now: looked up for those who read it, within a second, after what they did.

It is never asked before something is decided or recorded, and nothing is decided by it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence

from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot import tasks
from bot.core.errors import CouldNotCheck, IdentityTaken, JitError, NotAMember, StoreAway
from bot.core.request import Person, Request
from bot.core.verdict import Roster
from bot.policy import authorization
from bot.policy.candidates import could_fill
from bot.policy.catalog import Step
from handlers import show
from handlers.context import Door
from handlers.notify.poster import Waits
from handlers.slack import payloads
from handlers.slack.api import AWAY, NotNow, SlackRefused, Unanswered, answered, error_name
from handlers.slack.payloads import Payload
from handlers.slack.presence import MOST, PATIENCE
from handlers.views import reach
from handlers.views.reach import Candidate, SlackPresence, StepReach

log = logging.getLogger(__name__)

Say = Callable[[str], Awaitable[object]]
"""Shows the requester a text where they made the request."""
_AT_A_TIME = 5
_AGAIN = 0.1


def follow_up(door: Door, request: Request, say: Say) -> None:
    """Look it up for the requester of a new request, and show it; Slack has its answer by then."""
    if request.awaits_decision:
        door.background.start(_follow_up(door, request, say), f"who can decide about {request.id}")


def below(payload: Payload, client: AsyncWebClient, request: Request) -> Say:
    """In a message that only they see, where they typed the line."""

    async def say(text: str) -> None:
        message = reach.message(request, text)
        if url := payload.get("response_url"):
            webhook = AsyncWebhookClient(url, session=client.session, retry_handlers=[])
            await webhook.send(
                text=message.text, blocks=message.blocks, response_type="ephemeral", replace_original=False
            )
        elif channel := payload.get("channel_id"):
            await answered(
                client.chat_postEphemeral(
                    channel=channel,
                    user=payloads.sender(payload),
                    thread_ts=payload.get("thread_ts"),
                    text=message.text,
                    blocks=message.blocks,
                )
            )

    return say


def in_form(payload: Payload, client: AsyncWebClient, shown: Callable[[str], View]) -> Say:
    """In the modal that says what was requested. ``shown``: that modal, with a text more."""

    async def say(text: str) -> None:
        await answered(client.views_update(view_id=payloads.view_id(payload), view=shown(text)))

    return say


async def _follow_up(door: Door, request: Request, say: Say) -> None:
    try:
        text = await _text(door, request)
        # Whoever decided meanwhile, or cancelled it, has changed what is shown.
        if text and (await door.context.find_by_id(request.id)).request.awaits_decision:
            await say(text)
    except (NotNow, SlackRefused, Unanswered, JitError, *AWAY) as error:
        log.info("%s: who can be reached was not shown: %s", request.id, error_name(error))


async def _text(door: Door, request: Request) -> str:
    catalog, roster = door.context.catalog(), await door.people.roster()
    missing = authorization.approval_progress(catalog, roster, request, await door.context.store.now()).missing_now
    steps = [Step(any_of=groups, count=count) for groups, count in missing.items()]
    found, link = await asyncio.gather(of_steps(door, steps, request.requester), _card(door, request))
    names = await show.mentions(door, (group for step in steps for group in step.any_of)) if len(steps) > 1 else {}
    helps = await _helps(door, request) if any(step.nobody for step in found) else []
    return reach.reachable_approvers(request, found, names, helps, link)


async def _helps(door: Door, request: Request) -> list[str]:
    """Who and what there is, for a request whose approvers cannot be reached."""
    catalog = door.context.catalog()
    systems = (catalog.systems.get(leg.role.system) for leg in request.legs)
    on_call = list(dict.fromkeys(system.on_call for system in systems if system and system.on_call))
    operators = catalog.workspace.operators
    names = await show.mentions(door, (*on_call, *operators))
    return reach.helps(request.channels, [names[each] for each in on_call], [names[each] for each in operators])


async def _card(door: Door, request: Request) -> str:
    """The link to its card, for which it waits a moment; empty where none comes."""
    loop, link = asyncio.get_running_loop(), ""
    until = loop.time() + PATIENCE
    while door.announcer.site and not link and loop.time() < until:
        try:
            link = await door.announcer.router.links.of(request)
        except Waits as error:
            await asyncio.sleep(error.seconds)
        else:
            await asyncio.sleep(0 if link else _AGAIN)
    return link


async def of_steps(door: Door, steps: Sequence[Step], requester: Person | None) -> tuple[StepReach, ...]:
    """The people of each step, and who of them can be reached; empty where it is not known who they are.

    ``requester``: whose approval never counts. Raises `StoreAway`.
    """
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(PATIENCE):
            roster = await door.people.roster()
            accounts = [await door.people.accounts_of(step.any_of) for step in steps]
    except TimeoutError:
        return ()
    # In turn, so that a large group leaves room for the people of the other steps.
    turns = itertools.zip_longest(*accounts)
    users = list(dict.fromkeys(user for turn in turns for user in turn if user))[:MOST]
    now = await door.context.store.now()
    left = max(0.1, PATIENCE - (asyncio.get_running_loop().time() - began))
    people, presences = await asyncio.gather(_people(door, users, left), door.people.presences.of(users, now, left))
    return tuple(
        _step(step, their, users, roster, requester, people, presences)
        for step, their in zip(steps, accounts, strict=True)
    )


def _step(
    step: Step,
    accounts: Sequence[str],
    looked_up: Sequence[str],
    roster: Roster,
    requester: Person | None,
    people: dict[str, Person | None],
    presences: dict[str, SlackPresence],
) -> StepReach:
    found: list[Candidate] = []
    for user in (user for user in accounts if user in looked_up and user in people):
        person = people[user]
        if person is None:
            found.append(Candidate(user))
        elif could_fill(roster, step.any_of, person, requester):
            found.append(Candidate(user, person.name or person.email, presences[user]))
    return StepReach(step.any_of, step.count, tuple(found), sum(user not in looked_up for user in accounts))


async def _people(door: Door, users: Sequence[str], patience: float) -> dict[str, Person | None]:
    """Each active full member; None for whom Slack does not tell in time. Others are left out."""
    few, found = asyncio.Semaphore(_AT_A_TIME), dict[str, Person | None](dict.fromkeys(users))

    async def look(user: str) -> None:
        async with few:
            with contextlib.suppress(CouldNotCheck, StoreAway):
                try:
                    found[user] = await door.people.person(user)
                except (NotAMember, IdentityTaken):
                    found.pop(user, None)

    presences = door.people.presences
    asked = [user for user in users if door.people.remembers(user) or presences.may_look()]
    running = [asyncio.create_task(look(user), name="who can approve") for user in asked]
    try:
        if running:
            await asyncio.wait(running, timeout=patience)
    finally:
        await tasks.end(running)
    return found
