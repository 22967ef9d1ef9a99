"""A local Slack: small, honest, refusing what Slack refuses, with Slack's own error codes; it knows nothing of the bot.

::

    async with LocalSlack() as slack:
        slack.add_person("UMIA", "Mia", "mia@example.com")
        slack.add_channel("C0VAULT01", "vault", members=["UMIA"])
        slack.deliver_to("http://127.0.0.1:3000/slack/events")   # or Socket Mode, once a socket is connected
        mia = slack.person("UMIA")
        reply = await mia.command("/jit", "request debug 30m -- INC-1")
        card = await slack.sees("C0VAULT01", lambda message: "debug" in message.text)
        await slack.person("UDAN").click(card, "approve")
        view = await mia.sees_view("ask")
        await mia.submit(view, {"reason": "INC-1"})

`LocalSlack.calls` has every Web API call, `LocalSlack.payloads` every message and view that was accepted,
`LocalSlack.faults` what is to go wrong next.
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
