"""A local Slack: small, honest, refusing what Slack refuses, with Slack's own error codes; it knows nothing of the bot.

::

    async with LocalSlack() as slack:
        slack.add_person("UMIA", "Mia", "mia@example.com")       # kind="guest", "external", "deactivated", …
        slack.add_channel("C0VAULT01", "vault", members=["UMIA"])  # private=, ext_shared=, archived=, bot_inside=
        slack.add_usergroup("S0DBA0001", "dba", ["UMIA"])
        slack.deliver_to("http://127.0.0.1:3000/slack/events")   # or Socket Mode: await slack.connected()
        mia = slack.person("UMIA")
        reply = await mia.command("/jit", "request debug 30m -- INC-1", "C0VAULT01")
        card = await slack.sees("C0VAULT01", lambda message: "debug" in message.text)
        await mia.click(card, "approve")                         # value= where several buttons share an id
        view = await mia.sees_view("ask")
        await mia.choose(view, "duration", "1800")               # a select; in a message too
        reply = await mia.submit(view, {"reason": "INC-1"})      # reply.errors; or fill(), close_view()
    await mia.shortcut("request_access", message)            # a message's; without one, a global shortcut
    await mia.opens_home()                                   # and home; searches() asks for a select's options

``slack.install(manifest)`` makes the app from a manifest, refusing what Slack refuses: it then has those scopes and
commands, and is told of those events alone.

What a person sees: `Human.view`, `home`, `dms`, `ephemerals`, and ``sees_view``, ``sees_home``, ``sees_dm``,
``sees_told``, which wait. A message is as it was seen: one that was kept while it changed gives a stale click. What is
not before a person raises `NotThere`; an answer at which Slack would show an error of its own raises `BadAnswer` or
`SlackRefusal`. The payloads can be had before they are delivered, to deliver them twice: ``command_payload``,
``click_payload``, ``submission``.

What went on: `LocalSlack.calls` has every Web API call, ``payloads`` each message, view and options that were accepted;
``was_called`` waits for a call, ``settled`` for events on their way.

What is to go wrong: ``slack.faults.add("chat.postMessage", "drop_after")`` and its like; ``slack.limits.on`` and
``scale``; ``slack.clock``; ``slack.scopes``; ``slack.delivery`` has ``ack_seconds``, ``retry_delays``, ``redeliver``,
``disconnect(reason)``, and ``raw(body, headers)`` with ``signed(body, secret, at)`` for forgeries and replays.

Files: ``slack.world.files`` has each upload, its bytes, alt text and where it is shown; `Message.files` names them.

Not here: Enterprise Grid, reading files, history, private messages among people, and what an app sees of them.
"""

from bot.playground.driver import Human, Reply
from bot.playground.errors import BadAnswer, NotThere, SlackRefusal
from bot.playground.faults import Fault
from bot.playground.slack import Call, LocalSlack
from bot.playground.workspace import Account, Channel, Message, View

__all__ = [
    "Account", "BadAnswer", "Call", "Channel", "Fault", "Human", "LocalSlack", "Message", "NotThere", "Reply",
    "SlackRefusal", "View",
]  # fmt: skip
