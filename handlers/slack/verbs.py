"""The words that `/jit` knows as commands, and what people type in their place."""

from __future__ import annotations

from collections.abc import Mapping

COMMANDS = (
    "request",
    "break-glass",
    "list",
    "show",
    "who",
    "explain",
    "release",
    "done",
    "extend",
    "remind",
    "revoke",
    "lockdown",
    "terminal",
    "delegate",
    "mfa",
    "cancel",
    "digest",
    "audit",
    "insights",
    "help",
)
ALIASES: Mapping[str, str] = {
    "ask": "request",
    "get": "request",
    "grant": "request",
    "approved": "approve",
    "approve": "approve",
    "reject": "deny",
    "deny": "deny",
    "denied": "deny",
    "history": "list",
    "ls": "list",
    "mine": "list",
    "status": "list",
    "end": "release",
    "finish": "release",
    "finished": "release",
    "breakglass": "break-glass",
    "2fa": "mfa",
    "totp": "mfa",
    "-h": "help",
    "--help": "help",
    "?": "help",
    "h": "help",
}
"""Whatever stands here is nobody's command, and is known all the same."""
POLITE = frozenset({"hello", "hey", "hi", "jit", "please", "pls"})
"""What may stand before a command."""
