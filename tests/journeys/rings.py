"""What rings whom in the local Slack: a new message in their DM, or one in a channel or thread that mentions them."""

from __future__ import annotations

import re
from typing import Any

from bot.playground import LocalSlack

_PERSON = re.compile(r"<@([UW]\w+)")
_GROUP = re.compile(r"<!subteam\^(\w+)")
_EVERYBODY = re.compile(r"<!(?:here|channel|everyone)")


class Rings:
    """The pushes of a workspace so far; an edit rings nobody, nor does a message that only one person sees."""

    def __init__(self, slack: LocalSlack) -> None:
        """Take the workspace."""
        self._slack = slack

    def of(self, who: str) -> list[str]:
        """The lock-screen texts that rang this person's phone, in order."""
        posts = [call.args for call in self._slack.calls if call.method == "chat.postMessage" and call.answer == "ok"]
        return [post["text"] for post in posts if self._rings(f"U{who.upper()}", post)]

    def _rings(self, user: str, post: dict[str, Any]) -> bool:
        if post["channel"].startswith("D"):
            # Nobody else is in a DM, so that who is mentioned there does not hear of it.
            return bool(post["channel"] == self._slack.world.dm(user).id)
        # The text and the blocks say the same to different readers, and ring once.
        said = f"{post['text']} {post.get('blocks')}"
        groups = (self._slack.world.usergroups[group].users for group in _GROUP.findall(said))
        return bool(user in _PERSON.findall(said) or any(user in users for users in groups) or _EVERYBODY.search(said))
