"""How the provider ``redis`` reaches its server; it connects to nothing."""

from __future__ import annotations

import redis.asyncio as aioredis
from pydantic import ConfigDict, Field, SecretStr, field_validator

from providers.systems.base import Frozen


class RedisConfig(Frozen):
    """How to reach the server."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: SecretStr
    """``redis://``, ``rediss://`` or ``unix://``, with the bot's own user and password."""
    id: str = Field(default="", pattern=r"^[A-Za-z0-9_.:-]{0,64}$")
    """What the server is called for good; needed where it has no ``aclfile``."""
    address: str = Field(default="", pattern=r"^([A-Za-z0-9.-]{1,200}(:[0-9]{1,5})?)?$")
    """The ``host:port`` that people are told to connect to; by default the url's."""
    timeout: float = Field(default=3.0, gt=0, le=60)
    """Seconds for a connection, and for each answer."""

    @field_validator("url")
    @classmethod
    def _known(cls, url: SecretStr) -> SecretStr:
        """What the client makes of it; its own complaint could quote a password."""
        try:
            aioredis.ConnectionPool.from_url(url.get_secret_value())
        except ValueError:
            raise ValueError("a redis://, rediss:// or unix:// url is needed, with special characters quoted") from None
        return url
