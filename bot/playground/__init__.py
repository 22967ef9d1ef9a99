"""A local Slack: small, honest, and it refuses what Slack refuses, with Slack's own error codes.

::

    async with LocalSlack() as slack:
        slack.add_person("UMIA", "Mia", "mia@example.com")       # kind="guest", "external", "deactivated", …
        slack.add_channel("C0VAULT01", "vault", members=["UMIA"])  # private=, ext_shared=, archived=, bot_inside=
        slack.add_usergroup("S0DBA0001", "dba", ["UMIA"])
        slack.deliver_to("http://127.0.0.1:3000/slack/events")   # or Socket Mode: await slack.connected()
        mia = slack.person("UMIA")
        reply = await mia.command("/jit", "request debug 30m -- INC-1", "C0VAULT01")
        card = await slack.sees("C0VAULT01", lambda message: "debug" in message.text)
        await mia.click(card, "approve")                         # value= if several buttons share an id
        view = await mia.sees_view("ask")
        await mia.choose(view, "duration", "1800")               # a select; in a message too
        reply = await mia.submit(view, {"reason": "INC-1"})      # reply.errors; or fill(), close_view()
    await mia.shortcut("request_access", message)            # without a message: a global shortcut
    await mia.opens_home()                                   # searches() types into an external select

``slack.install(manifest)`` creates the app from a manifest: it refuses what Slack refuses, and the app gets only those
scopes, commands and events.

What a person sees: `Human.view`, `home`, `dms`, `ephemerals`; ``sees_view``, ``sees_home``, ``sees_dm`` and
``sees_ephemeral`` wait. A `Message` is one version of it: clicking a kept one after an update is a stale click. What
the person cannot see raises `NotThere`; an answer for which Slack shows an error raises `BadAnswer` or `SlackRefusal`.
``command_payload``, ``click_payload`` and ``submission`` build a payload without delivering it, to deliver it twice.

What the app did: `LocalSlack.calls` has every Web API call, ``payloads`` every message, view and list of options that
was accepted. ``was_called`` waits for a call, ``settled`` for events in the background.

Faults: ``slack.faults.add("chat.postMessage", "drop_after")`` and others; ``slack.limits.on`` and ``scale``;
``slack.clock``; ``slack.scopes``. ``slack.delivery`` has ``ack_seconds``, ``retry_delays``, ``redeliver``,
``disconnect(reason)``, and ``raw(body, headers)`` with ``signed(body, secret, at)`` for forgeries and replays.

Files: ``slack.world.files`` has each upload with its bytes, alt text and place; `Message.files` has their ids.

Enterprise Grid: ``LocalSlack(enterprise="E0LOCAL01")`` is a team of an organisation; ``organisation=True`` installs
the app for the whole organisation (only its ``granted`` teams). People have ``teams``; a user group has one team.

Not here: administration of a Grid's teams, reading files, history, private messages between people.
"""

from bot.playground.errors import BadAnswer, NotThere, SlackRefusal
from bot.playground.faults import Fault
from bot.playground.human import Human, Reply
from bot.playground.installation import SCOPES, Call
from bot.playground.slack import LocalSlack
from bot.playground.workspace import Account, Channel, Message, View

__all__ = [
    "SCOPES", "Account", "BadAnswer", "Call", "Channel", "Fault", "Human", "LocalSlack", "Message", "NotThere", "Reply",
    "SlackRefusal", "View",
]  # fmt: skip
