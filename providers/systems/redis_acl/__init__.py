"""The provider ``redis``: temporary ACL users on one Redis or Valkey server."""

from providers.systems.redis_acl.config import RedisConfig
from providers.systems.redis_acl.provider import RedisAcl
from providers.systems.redis_acl.rules import RedisParams

__all__ = ["RedisAcl", "RedisConfig", "RedisParams"]
