"""The request form: what it offers, whom it may be for, and what is known of it already; it records nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

from bot.access import proof, submit, usage
from bot.access.submit import RequestForm
from bot.core.errors import BadInput, UnknownChoice
from bot.core.proof import ProofUse
from bot.core.request import Person
from bot.core.verdict import Actor
from bot.policy import inputs
from bot.policy.catalog import Choice
from bot.policy.vocabulary import TOGETHER
from handlers import show
from handlers.context import Door
from handlers.error_messages import sentence
from handlers.views import modals
from handlers.views import proof as proof_views


@dataclass(frozen=True)
class FormChoices:
    """What a form shows: the choices, whether it has a field for somebody else, and who is in it.

    ``several``: several roles in one request, where those were named.
    """

    offers: Sequence[Choice]
    for_others: bool
    person: str = ""
    several: tuple[Choice, ...] = ()


async def form_choices(door: Door, actor: Actor, person: str = "", form: RequestForm | None = None) -> FormChoices:
    """What this person may request, for themself or for others; first several roles where the ``form`` names them.

    Raises `NotAllowed` where they may not request each of them, `CannotCombine`.
    """
    own, others = await submit.offers(door.context, actor), submit.offers_for_others(door.context, actor)
    together = form is not None and TOGETHER in form.what
    several = ((await submit.prepare(door.context, actor, form)).choice,) if form and together else ()
    names = {choice.name for choice in own}
    more = [choice for choice in others if choice.name not in names]
    return FormChoices([*several, *own, *more], for_others=bool(others), person=person, several=several)


async def person_for(door: Door, actor: Actor, typed: str) -> Person | None:
    """Whom it is for; None for this person. Raises what `Door.person_for` does."""
    if not typed or typed == actor.person.id:
        return None
    return await door.person_for(typed)


async def filled(door: Door, actor: Actor, form: RequestForm, shown: FormChoices, note: str = "") -> View:
    """The modal, filled in. Raises `UnknownChoice`, `LockedDown`."""
    if not shown.offers:
        raise UnknownChoice(form.what or "anything")
    await door.context.store.lockdowns.require(())
    chosen = next((choice for choice in shown.offers if choice.name == form.what), None)
    return await filled_with(door, actor, shown, chosen, form, note)


async def filled_with(
    door: Door,
    actor: Actor,
    shown: FormChoices,
    choice: Choice | None,
    form: RequestForm,
    note: str = "",
    confirm: Sequence[Block] | None = None,
) -> View:
    """The same with that choice, and why it could not be requested now.

    ``confirm``: the field for a second-factor code, where more is known of it than the policy says of the roles.
    """
    said = (note, *(_unfit(choice, form) if choice else ()), await _full(door, actor, shown, choice, form))
    note = " ".join(each for each in said if each)
    known = modals.Filled(form.duration, form.reason, form.starts_at, note, form.inputs, shown.person, shown.for_others)
    if choice is None:
        return modals.ask(shown.offers, None, known)
    known = replace(known, confirm=await _confirm(door, actor, choice) if confirm is None else confirm)
    offers = shown.offers if choice in shown.offers else [choice, *shown.offers]
    found, names = await show.of_choice(door, choice)
    expires = await door.context.store.now() + found.decide_within
    return modals.ask(offers, modals.Chosen(found, names, expires), known)


async def _confirm(door: Door, actor: Actor, choice: Choice) -> Sequence[Block]:
    """The field for a code of whoever requests it, or what stands in its place."""
    context = door.context
    preview = await proof.preview(context, context.catalog(), actor, choice.roles, ProofUse.REQUEST)
    return proof_views.asked(preview)


async def _full(door: Door, actor: Actor, shown: FormChoices, choice: Choice | None, form: RequestForm) -> str:
    """Why limits or conflicts would refuse it now; of somebody else, only once it is known who they are."""
    others = shown.person not in {"", actor.person.id}
    person = form.requested_for or (None if others else actor.person)
    if choice is None or person is None:
        return ""
    store, catalog, for_other = door.context.store, door.context.catalog(), person.id != actor.person.id
    full = await usage.refusal(store, catalog, person, choice.roles, for_other=for_other)
    return sentence(full) if full else ""


def _unfit(choice: Choice, form: RequestForm) -> list[str]:
    """What is wrong with each input that was typed."""
    said = []
    for name, text in form.inputs.items():
        asks = {name: choice.inputs[name]} if name in choice.inputs else choice.inputs
        try:
            inputs.checked(asks, choice.name, {name: text})
        except BadInput as error:
            said.append(sentence(error))
    return said
