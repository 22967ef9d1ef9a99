"""The provider ``sandbox``: doors that protect nothing, and the reference for whoever writes a provider."""

from providers.systems.sandbox.config import SandboxConfig, SandboxFault, SandboxParams
from providers.systems.sandbox.provider import Sandbox

__all__ = ["Sandbox", "SandboxConfig", "SandboxFault", "SandboxParams"]
