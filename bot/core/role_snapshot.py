"""A role as it was requested, with what the requester gave for it; values only."""

from __future__ import annotations

from bot.core.frozen import Frozen, ProviderData


class GivenInput(Frozen):
    """What the requester gave for an input of a role, as it was granted. ``kind``: a word of the policy."""

    name: str
    title: str
    kind: str
    value: str


class RoleSnapshot(Frozen):
    """A role as it was requested; ``digest`` shows whether the policy changed it since. ``cap`` in seconds."""

    system: str
    role: str
    title: str
    channel: str
    provider: str
    params: ProviderData
    sensitivity: str
    cap: int
    consequence: str
    digest: str
    can_extend: bool = False
    """Whether its provider can extend open access."""
    inputs: tuple[GivenInput, ...] = ()

    @property
    def name(self) -> str:
        """``system/role``, as people type it."""
        return f"{self.system}/{self.role}"
