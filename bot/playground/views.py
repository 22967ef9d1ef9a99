"""The ``views.*`` methods: modals, opened by a trigger and stacked up to three deep, and Home tabs."""

from __future__ import annotations

from bot.playground import blocks
from bot.playground.block_tree import Json, with_ids
from bot.playground.errors import SlackRefusal, bad_arguments
from bot.playground.installation import Installation
from bot.playground.workspace import TRIGGER_SECONDS, View

_DEEPEST = 3


def open_view(slack: Installation, args: Json) -> Json:
    """``views.open``."""
    check_showable(slack, args["view"], None)
    return _answer(slack, show(slack, _user_of_trigger(slack, args), args["view"], None))


def push_view(slack: Installation, args: Json) -> Json:
    """``views.push``."""
    check_showable(slack, args["view"], None)
    user = _user_of_trigger(slack, args)
    stack = slack.world.stack(user)
    if not stack:
        raise SlackRefusal("not_found")
    return _answer(slack, show(slack, user, args["view"], stack[-1]))


def update_view(slack: Installation, args: Json) -> Json:
    """``views.update``, by id or external id."""
    if not args.get("view_id") and not args.get("external_id"):
        raise bad_arguments("must provide view_id or external_id")
    named = args.get("view_id"), args.get("external_id")
    there = (view for view in slack.world.views.values() if view.open and not view.home)
    found = next((view for view in there if named in {(view.id, None), (None, _external(view.body))}), None)
    check_showable(slack, args["view"], found)
    if found is None:
        raise SlackRefusal("not_found")
    _check_hash(args, found)
    replace(slack, found, args["view"])
    return _answer(slack, found)


def publish_view(slack: Installation, args: Json) -> Json:
    """``views.publish``: a person's Home tab."""
    user = str(args["user_id"])
    if user not in slack.world.people:
        raise bad_arguments("invalid `user_id`")
    found = slack.world.homes.get(user)
    check_showable(slack, args["view"], found, "home")
    if found is None:
        found = slack.world.homes[user] = show(slack, user, args["view"], None)
    else:
        _check_hash(args, found)
        replace(slack, found, args["view"])
    return _answer(slack, found)


def check_showable(slack: Installation, body: Json, own: View | None, kind: str = "modal") -> None:
    """Raise `SlackRefusal` if a view cannot be shown; ``own`` is the view that it replaces."""
    blocks.check_view(body, kind)
    external = _external(body)
    others = (view for view in slack.world.views.values() if view.open and view is not own)
    if external and any(_external(view.body) == external for view in others):
        raise SlackRefusal("duplicate_external_id")


def show(slack: Installation, user: str, body: Json, below: View | None) -> View:
    """Show a view to a person, on top of another or by itself."""
    if below and sum(view.root == below.root for view in slack.world.stack(user)) >= _DEEPEST:
        raise SlackRefusal("push_limit_reached")
    id_ = f"V{slack.world.number()}"
    view = View(id_, user, {}, below.root if below else id_, below.id if below else None)
    slack.world.views[id_] = view
    replace(slack, view, body)
    return view


def replace(slack: Installation, view: View, body: Json) -> None:
    """Show another body in the same view; an input that stays keeps what was filled in."""
    view.body, view.hash = {**body, "blocks": with_ids(body["blocks"])}, slack.world.ts()
    kept = {(element["block_id"], action) for action, element in view.buttons().items()}
    view.state = {
        block: {action: value for action, value in values.items() if (block, action) in kept}
        for block, values in view.state.items()
    }
    slack.payloads.append(("view", body))


def _answer(slack: Installation, view: View) -> Json:
    return {"view": view.json(slack.team, slack.app_id, slack.bot_id)}


def _user_of_trigger(slack: Installation, args: Json) -> str:
    """The person of the trigger, which works once, within `TRIGGER_SECONDS`."""
    if not args.get("trigger_id"):
        raise bad_arguments("missing required field: trigger_id")
    trigger = slack.world.triggers.get(str(args["trigger_id"]))
    if trigger is None:
        raise SlackRefusal("invalid_trigger_id")
    if trigger.used:
        raise SlackRefusal("exchanged_trigger_id")
    if slack.clock() - trigger.at > TRIGGER_SECONDS:
        raise SlackRefusal("expired_trigger_id")
    trigger.used = True
    return trigger.user


def _check_hash(args: Json, view: View) -> None:
    if args.get("hash") and args["hash"] != view.hash:
        raise SlackRefusal("hash_conflict")


def _external(body: Json) -> str | None:
    return body.get("external_id") or None
