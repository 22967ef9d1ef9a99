"""People's second factors in tests: an authenticator app that is enrolled as the bot would, and what it shows."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP
from pydantic import SecretStr

from bot.core.factors import TRUSTED_AFTER
from bot.store.factors import ENROLLED
from bot.store.store import Store
from providers.factors import registry


@dataclass
class App:
    """The authenticator app of one person."""

    store: Store
    identity: str
    seed: str

    async def code(self, steps: int = 0) -> SecretStr:
        """What it shows now by Redis' clock, or so many time steps of 30 s later."""
        return SecretStr(self.shown(await self.store.now() + 30 * steps))

    def shown(self, at: float) -> str:
        """What it shows at that time."""
        import base64

        return TOTP(base64.b32decode(self.seed), 6, SHA1(), 30).generate(int(at)).decode()

    def wrong(self, at: float) -> SecretStr:
        """A code that is none of those that could count around that time."""
        counted = {self.shown(at + 30 * step) for step in range(-3, 4)}
        return SecretStr(
            next(
                code
                for code in ("000000", "111111", "222222", "333333", "444444", "555555", "666666", "777777")
                if code not in counted
            )
        )


async def enrolled(store: Store, identity: str, *, trusted: bool = True) -> App:
    """Enrol an app for this person, confirmed; ``trusted``: long enough ago for critical roles."""
    made = registry.build("totp", {}, {}).enrol(identity, "JIT Access")
    id_, known = secrets.token_hex(4), await store.factors.read(identity)
    at = known.now - (TRUSTED_AFTER + 60 if trusted else 0)
    secret = store.factors.encrypt(identity, id_, made.secret)
    after = known.record.with_factor(id_, "totp", secret, at).with_confirmed(id_, "", at)
    # As one change: the revisions between are of no record that anybody could have read.
    assert await store.factors.write(known, after, ENROLLED, {"by": "test"})
    return App(store, identity, made.secret.get_secret_value())
