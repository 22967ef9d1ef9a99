"""Requesting access: by one line that says it all, or by a form that is filled in with what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View
from slack_sdk.web.async_client import AsyncWebClient

from bot.access import submit, usage
from bot.access.parsed_line import RequestLine, WordUse
from bot.access.request_line import names_a_time, parse_line
from bot.access.submit import RequestForm
from bot.core import given_inputs
from bot.core.errors import (
    AlreadyRequested,
    BadDuration,
    BadInput,
    BadReason,
    BadStart,
    CannotCombine,
    JitError,
    LockedDown,
    NotAllowed,
    NotAMember,
    NotUnderstood,
    UnknownChoice,
)
from bot.core.factor_errors import NotProved, ProofRequired
from bot.core.request import Request
from bot.core.time_phrases import Clock
from bot.core.verdict import Actor
from bot.policy import authorization
from bot.policy.catalog import Catalog, Choice
from bot.policy.field_types import Sensitivity
from bot.policy.vocabulary import TOGETHER
from handlers import reach, second_factor, show
from handlers.context import Door
from handlers.error_messages import sentence
from handlers.request_form import filled, filled_with, form_choices, person_for
from handlers.slack import modal_stack, payloads
from handlers.slack.message_link import message_link
from handlers.slack.payloads import Payload
from handlers.slack.shown_form import shown_inputs
from handlers.views import action_ids, input_fields, modals, proof
from handlers.views import request_line as views
from handlers.views.message import SlackMessage
from handlers.views.text import field_error

Answer = SlackMessage | str | None
"""What the person reads, None where a modal was opened instead."""
_SAID = frozenset({WordUse.CHOICE, WordUse.INPUT, WordUse.DURATION, WordUse.START, WordUse.DASH, WordUse.REASON})
_RANKS = tuple(Sensitivity)

_FIELDS: Mapping[type[JitError], str] = {
    BadReason: action_ids.REASON,
    BadDuration: action_ids.DURATION,
    BadStart: action_ids.START,
}


def register(app: AsyncApp, door: Door) -> None:
    """Listen to the modal, and to each way to it; the command comes through commands.py."""
    _register_modal(app, door)
    _register_ways(app, door)


def _register_modal(app: AsyncApp, door: Door) -> None:
    @app.action(action_ids.CHOICE)
    @app.action(action_ids.ADD_ROLE)
    async def choosing(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await modal_stack.change(client, body, await _chosen(door, await door.who(body), body))
        await ack()

    @app.options(action_ids.CHOICE)
    async def searching(ack: AsyncAck, body: Payload) -> None:
        offers = (await form_choices(door, await door.who(body))).offers
        groups = modals.suggested(offers, payloads.searched(body))
        await (ack(option_groups=groups) if groups else ack(options=[]))

    @app.options(action_ids.ADD_ROLE)
    async def searching_roles(ack: AsyncAck, body: Payload) -> None:
        offers = (await form_choices(door, await door.who(body))).offers
        groups = modals.suggested([choice for choice in offers if "/" in choice.name], payloads.searched(body))
        await (ack(option_groups=groups) if groups else ack(options=[]))

    @app.view(action_ids.ASK_VIEW)
    async def submitted(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        form, actor, whom = payloads.chosen(body), await door.who(body), payloads.chosen_person(body)
        try:
            if redrawn := await _redrawn(door, actor, body):
                await ack(response_action="update", view=redrawn)
                return
            them = await person_for(door, actor, whom)
            more = {"token": payloads.view_id(body), "requested_for": them}
            made = await submit.submit(door.context, actor, form.model_copy(update=more))
        except (LockedDown, *usage.REFUSALS):
            raise  # more than a field has room for
        except NotProved as error:
            await second_factor.refused(ack, body, error, partial(_chosen, door, actor, body))
        except JitError as error:
            await ack(response_action="errors", errors={_field(body, error): field_error(sentence(error))})
        else:
            # In place, since no message says so: what somebody did themself rings nobody.
            await ack(response_action="update", view=_requested(made))
            reach.follow_up(door, made, reach.in_form(body, client, partial(_requested, made)))


def _register_ways(app: AsyncApp, door: Door) -> None:
    @app.action(action_ids.REQUEST)
    async def requesting(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await _open(door, client, body, await door.who(body), RequestForm())
        await ack()

    @app.action(action_ids.TEMPLATE)
    async def picking(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        form = RequestForm(what=payloads.pressed(body))
        await _open(door, client, body, await door.who(body), form, pressed=True)
        await ack()

    @app.action(action_ids.AGAIN)
    async def requesting_again(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        before = (await door.context.find_readable(actor, payloads.pressed(body))).request
        them = before.requester if authorization.is_requested_by(before, actor.person) else None
        known: dict[str, Any] = {
            "duration": before.asked,
            "reason": before.reason,
            "inputs": given_inputs.values(before),
        }
        form = RequestForm(what=before.what, requested_for=them, **known)
        await _open(door, client, body, actor, form, pressed=True)
        await ack()

    @app.global_shortcut(action_ids.GLOBAL_SHORTCUT)
    async def anywhere(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        await _open(door, client, body, await door.who(body), RequestForm())
        await ack()

    @app.message_shortcut(action_ids.MESSAGE_SHORTCUT)
    async def here(ack: AsyncAck, body: Payload, client: AsyncWebClient) -> None:
        actor = await door.who(body)
        await _open(door, client, body, actor, RequestForm(reason=await message_link(client, *payloads.message(body))))
        await ack()


def _requested(made: Request, more: str = "") -> View:
    """In place of the form: what was requested. ``more``: who can be reached."""
    return modals.note("Requested", "\n".join(filter(None, [views.requested(made), more])), views.next_steps(made))


async def _redrawn(door: Door, actor: Actor, body: Payload) -> View | None:
    """The form as the policy asks for it now, where that is not how it was drawn; None where it fits.

    A form that is drawn for something else than what was chosen is not judged. Raises what `_chosen` does.
    """
    form = payloads.chosen(body)
    choice = door.context.catalog().find(form.what)
    shown = shown_inputs(body, choice.name) if choice else None
    if choice is None or shown is None:
        return None
    note, unfit = input_fields.outdated(choice, shown, form.inputs)
    kept = {name: text for name, text in form.inputs.items() if name not in unfit}
    return await _chosen(door, actor, body, None, note, form.model_copy(update={"inputs": kept})) if note else None


async def _chosen(
    door: Door,
    actor: Actor,
    body: Payload,
    confirm: Sequence[Block] | None = None,
    note: str = "",
    form: RequestForm | None = None,
) -> View:
    """The form with what was chosen in it. ``form``: what to fill in instead of all that was typed.

    ``confirm``: see `filled_with`.

    Raises `UnknownChoice`, `NotAllowed`, and what `person_for` does.
    """
    form, whom = form or payloads.chosen(body), payloads.chosen_person(body)
    shown = await form_choices(door, actor, whom)
    if TOGETHER in form.what:
        form = form.model_copy(update={"requested_for": await person_for(door, actor, whom)})
    choice = await submit.find_offered(door.context, actor, shown.offers, form)
    return await filled_with(door, actor, shown, choice, form, note, confirm)


async def request(door: Door, payload: Payload, rest: str, client: AsyncWebClient) -> Answer:
    """``/jit request …``: the answer's text, or None when a modal was opened instead."""
    actor = await door.who(payload)
    return await _answered(door, payload, actor, await understood(door, actor, rest), client)


async def without_verb(
    door: Door, payload: Payload, text: str, client: AsyncWebClient, *, mistyped: bool = False
) -> Answer:
    """A line without a command, if it names something or asks for it; '' otherwise.

    ``mistyped``: its first word is much like a command, which goes before all but a name.
    """
    actor = await door.who(payload)
    line = await understood(door, actor, text)
    begins = line.words[0][1] if line.words else WordUse.UNKNOWN
    if line.empty and not line.unknown:
        return views.HELLO
    if not mistyped and not line.names and (near := await _nearest(door, actor, line)):
        raise UnknownChoice(line.unknown[0], tuple(near))
    if begins is not WordUse.CHOICE and (mistyped or not (line.names or begins is WordUse.FILLER)):
        return ""
    return await _answered(door, payload, actor, line, client)


async def _answered(door: Door, payload: Payload, actor: Actor, line: RequestLine, client: AsyncWebClient) -> Answer:
    if line.person and line.person != actor.person.id and not submit.offers_for_others(door.context, actor):
        return views.not_for_others(line.person, " ".join(word for word, use in line.words if use in _SAID))
    return await _by_line(door, payload, actor, line, client)


async def understood(door: Door, actor: Actor, text: str) -> RequestLine:
    """The line in the words of today's policy, by the person's own clock."""
    now = await door.context.store.now() if names_a_time(text) else 0.0
    return parse_line(text, door.context.catalog().vocabulary, Clock(actor.person.tz, now))


async def _by_line(door: Door, payload: Payload, actor: Actor, line: RequestLine, client: AsyncWebClient) -> Answer:
    named, apart = line.names[0] if line.names else "", ""
    # A name is nobody's account: the form asks who it is.
    them = None if line.person.startswith("@") else await person_for(door, actor, line.person)
    whom = them.id if them else ""
    try:
        shown = await form_choices(door, actor, whom, RequestForm(what=named, requested_for=them))
    except CannotCombine as error:
        # The form opens with the first of them, so that nothing of the line is lost.
        shown, apart = await form_choices(door, actor, whom), sentence(error)
        line = line.model_copy(update={"names": (named.split(TOGETHER)[0],)})
    theirs = submit.offers_for_others(door.context, actor) if line.person else await submit.offers(door.context, actor)
    candidates = _candidates(door.context.catalog(), [*shown.several, *theirs], line)
    what = candidates[0].name if len(candidates) == 1 else "" if line.partial else next(iter(line.names), "")
    said = {"duration": line.duration, "reason": line.reason, "starts_at": line.starts_at}
    form = RequestForm(what=what, inputs=dict(line.inputs), requested_for=them, **said)
    unsure = line.person if line.person and not them and line.person.startswith("@") else line.named_only
    unsure = unsure if shown.for_others else ""
    notes = (
        apart,
        views.pick_person(unsure) if unsure else "",
        views.note(line, candidates, await _nearest(door, actor, line)),
    )
    note = " ".join(each for each in notes if each)
    if line.clear and not apart and not unsure:
        try:
            made = await _submit(door, actor, form.model_copy(update={"token": payloads.token(payload)}))
            if made:
                reach.follow_up(door, made, reach.below(payload, client, made))
                return views.answer(made)
        except AlreadyRequested as error:
            return await show.with_card(door, error.request, sentence(error))
        except ProofRequired:
            note = proof.NOT_IN_A_COMMAND
        except NotUnderstood as error:
            note, form = _said_of(error), _without(form, error)
    elif (line.partial and not candidates) or (line.empty and line.unknown):
        await submit.prepare(door.context, actor, RequestForm(what=_typed(line)))  # raises what is near
    if len(candidates) > 1:
        shown = replace(shown, offers=candidates)
    found = await filled(door, actor, form, shown, note)
    await modal_stack.show(client, payload, found)
    return None


def _candidates(catalog: Catalog, offers: Sequence[Choice], line: RequestLine) -> list[Choice]:
    """What the line may mean and this person may request, the lowest risk first where it is not clear."""
    found = [choice for choice in offers if choice.name in line.names]
    return sorted(found, key=lambda choice: _RANKS.index(catalog.risk(choice))) if line.partial else found


async def _nearest(door: Door, actor: Actor, line: RequestLine) -> Sequence[str]:
    """The offers that are most like the first words that are not understood, where nothing was named."""
    if line.names or not line.unknown:
        return ()
    try:
        await submit.prepare(door.context, actor, RequestForm(what=line.unknown[0][:90]))
    except UnknownChoice as error:
        return error.nearest
    except NotAllowed:
        return ()
    return ()


def _typed(line: RequestLine) -> str:
    """The name as it was typed, of what nobody may know of."""
    said = [word for word, use in line.words if use in {WordUse.CHOICE, WordUse.UNKNOWN}]
    return " ".join(said)[:90]


def _said_of(error: NotUnderstood) -> str:
    """The sentence, but for inputs: what cannot be filled in there, the form says itself."""
    return "" if isinstance(error, BadInput) and error.problem != "refused" else sentence(error)


def _without(form: RequestForm, error: NotUnderstood) -> RequestForm:
    """A start that is not possible is named in the note, and not filled in."""
    return form.model_copy(update={"starts_at": 0}) if isinstance(error, BadStart) else form


async def _submit(door: Door, actor: Actor, form: RequestForm) -> Request | None:
    """The request that a line makes; None where a modal has to ask for the rest. Raises what `submit.submit` does."""
    submission = await submit.prepare(door.context, actor, form)
    return await submit.record(door.context, submission) if submission.complete else None


async def _open(
    door: Door, client: AsyncWebClient, payload: Payload, actor: Actor, form: RequestForm, *, pressed: bool = False
) -> None:
    """Open the modal, filled in with what is known. ``pressed``: a choice that is not offered is refused, not left out.

    Raises `UnknownChoice`, `NotAllowed`, `LockedDown`.
    """
    shown = await form_choices(door, actor, form.requested_for.id if form.requested_for else "", form)
    if pressed and all(choice.name != form.what for choice in shown.offers):
        await submit.prepare(door.context, actor, form)  # raises why it is not offered
    await modal_stack.show(client, payload, await filled(door, actor, form, shown))


def _field(body: Payload, error: JitError) -> str:
    """The input that an error belongs to."""
    blocks = [str(block["block_id"]) for block in body["view"]["blocks"]]
    wanted = _FIELDS.get(type(error), action_ids.CHOICE)
    wanted = f"{action_ids.INPUT}:{error.name}:" if isinstance(error, BadInput) else wanted
    wanted = action_ids.FOR if isinstance(error, NotAMember) else wanted
    return next((block for block in blocks if block.startswith(wanted)), action_ids.CHOICE)
