"""A MariaDB with a bot that has the documented rights and no more, an application's database, and its people."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import pymysql
from pydantic import SecretStr
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from providers.systems.base import Order, Principal, Secret
from providers.systems.conformance.bench import Bench, BotRight, HostileAct, LesserStep, Lives
from providers.systems.mysql.params import MysqlConfig
from providers.systems.mysql.provider import MySQL
from providers.systems.mysql.statements import identifier
from tests.providers.mariadb import BOT, PASSWORD, SAM, MariaDbServer, does, entered, reads
from tests.providers.mysql_abilities import hostile_acts

ME = f"`{BOT}`@`%`"
WRITER = "SELECT, INSERT, CREATE, CREATE VIEW, CREATE ROUTINE, EVENT, TRIGGER, ALTER, ALTER ROUTINE, DROP, EXECUTE"


def furnish(server: MariaDbServer) -> None:
    """Once a server: roles, people, data."""
    server.run(
        f"CREATE USER {ME} IDENTIFIED BY '{PASSWORD}'",
        f"GRANT CREATE USER, PROCESS, CONNECTION ADMIN, SHOW VIEW, TRIGGER ON *.* TO {ME}",
        f"GRANT SELECT, UPDATE ON mysql.* TO {ME}",
        "CREATE DATABASE app",
        "CREATE DATABASE app_x",
        "CREATE DATABASE appyx",
        "CREATE TABLE app.data AS SELECT 'one' AS word",
        "CREATE TABLE app.log (word text)",
        "CREATE TABLE app_x.data AS SELECT 'one' AS word",
        "CREATE TABLE appyx.data AS SELECT 'one' AS word",
        "CREATE ROLE app_readers",
        "GRANT SELECT ON app.* TO app_readers",
        f"GRANT SELECT, INSERT, EVENT, CREATE VIEW, CREATE ROUTINE, EXECUTE ON app.* TO {ME} WITH GRANT OPTION",
        f"GRANT SELECT ON `app\\_x`.* TO {ME} WITH GRANT OPTION",
        "CREATE ROLE app_writers",
        f"GRANT {WRITER} ON app.* TO app_writers",
    )
    for role in ("app_readers", "app_writers"):
        let_bot_grant(server, role)


def let_bot_grant(server: MariaDbServer, role: str) -> None:
    """As the documentation says."""
    server.run(f"GRANT {identifier(role)} TO {ME} WITH ADMIN OPTION")


class MysqlBench(Bench):
    """Accounts of the orders' own."""

    provider = MySQL
    params: Mapping[str, Any] = {"member_of": ["app_readers"]}  # each bench only reads it
    other_params: Mapping[str, Any] = {"member_of": ["app_writers"]}
    hidden = (PASSWORD,)

    def __init__(self, server: MariaDbServer, other: MariaDbServer | None = None) -> None:
        """On a furnished server, with another one that has nothing of it."""
        self.running, self.other = server, other
        self.server = ("127.0.0.1", server.port)

    def config(self, port: int | None = None) -> Mapping[str, Any]:
        """As the bot; by way of another port, where something is struck, with little patience."""
        return config(port or self.running.port, timeout=0.4 if port else 10.0)

    async def usable(self, order: Order, secret: Secret | None) -> bool:
        """Log in and read."""
        try:
            user = await self.as_user(order, secret)
        except pymysql.OperationalError:
            return False
        try:
            return await reads(user)
        finally:
            user.close()

    async def enter(self, order: Order, secret: Secret | None) -> Lives:
        """A connection that has its role active, as one that would survive a mere revoke."""
        user = await self.as_user(order, secret)

        async def lives() -> bool:
            alive = await reads(user)
            if not alive and user.open:
                user.close()
            return alive

        return lives

    def rights(self) -> Sequence[BotRight]:
        """What the docstring of the provider asks for."""
        everything = [f"{right} ON *.*" for right in ("CREATE USER", "PROCESS", "CONNECTION ADMIN")]
        return [self._right(right) for right in [*everything, "SELECT ON `mysql`.*", "UPDATE ON `mysql`.*"]]

    def _right(self, right: str) -> BotRight:
        async def taken() -> None:
            self.running.run(f"REVOKE {right} FROM {ME}")

        async def given() -> None:
            self.running.run(f"GRANT {right} TO {ME}")

        return BotRight(f"GRANT {right} TO {ME}", taken, given)

    def lesser_steps(self) -> Sequence[LesserStep]:
        """What stands in the way of a step that comes after the one that shuts."""

        async def no_admin(order: Order) -> None:
            self.running.run(f"REVOKE ADMIN OPTION FOR app_readers FROM {ME}")

        async def admin(order: Order) -> None:
            let_bot_grant(self.running, "app_readers")

        async def more(order: Order) -> None:
            self.running.run(f"GRANT SELECT ON app.log TO {order.subject.native}@'%'")

        async def nothing(order: Order) -> None:
            """It went with the account."""

        gtrid = secrets.token_hex(4)

        async def prepared(order: Order) -> None:
            with self.running.admin() as admin_, admin_.cursor() as cursor:
                for words in ("XA START", "XA END", "XA PREPARE"):
                    cursor.execute(f"{words} '{gtrid}'")
                    if words == "XA START":
                        cursor.execute("INSERT INTO app.log VALUES ('x')")

        async def ended(order: Order) -> None:
            self.running.run(f"XA ROLLBACK '{gtrid}'")

        return [
            LesserStep("the bot may not take the role away any more", no_admin, admin),
            LesserStep("a privilege of another hand", more, nothing),
            LesserStep("a transaction that somebody has prepared", prepared, ended, f"XA ROLLBACK '{gtrid}'"),
        ]

    def build(self, port: int | None = None) -> MySQL:
        """As the suite's, by its own name."""
        return MySQL(MysqlConfig.model_validate(self.config(port)))

    def elsewhere(self) -> MySQL:
        """The same bot, on the other server."""
        assert self.other is not None
        return MySQL(MysqlConfig.model_validate(config(self.other.port)))

    async def seen_elsewhere(self) -> object:
        """Every account and role."""
        assert self.other is not None
        return [self.other.run(f"SELECT * FROM mysql.{table}") for table in ("global_priv", "roles_mapping", "db")]

    async def stand(self, order: Order) -> None:
        """An administrator's account of that name."""
        self.running.run(f"CREATE USER {order.subject.native}@'%' IDENTIFIED BY 'theirs'")

    async def stands(self, order: Order) -> bool:
        """Whether it logs in."""
        theirs = Secret(username=order.subject.native, password=SecretStr("theirs"))
        user = await self.as_user(order, theirs)
        user.close()
        return True

    async def tamper(self, order: Order) -> None:
        """Give it more."""
        self.running.run(f"GRANT app_writers TO {order.subject.native}@'%'")

    async def as_user(self, order: Order, secret: Secret | None) -> Connection[Cursor]:
        """Logged in."""
        password = secret.password.get_secret_value() if secret else "none"
        return await asyncio.to_thread(entered, self.running, order.subject.native, password)

    def hostile_acts(self) -> Sequence[HostileAct]:
        """What is played one by one in `test_mysql_hostile`."""
        return hostile_acts(self)


class SharedMysqlBench(MysqlBench):
    """An account that the person had before; everyone here is somebody else, so that tests do not meet."""

    params: Mapping[str, Any] = {"member_of": ["app_readers"], "login": "existing"}
    other_params: Mapping[str, Any] = {"member_of": ["app_writers"], "login": "existing"}

    def __init__(self, server: MariaDbServer) -> None:
        """A new person."""
        super().__init__(server)
        self.person = f"sam_{secrets.token_hex(4)}"
        email = f"{self.person}@example.com"
        self.principal = Principal(key=email, email=email, name="Sam")
        server.run(f"CREATE USER {self.person}@'%' IDENTIFIED BY '{SAM}'")

    def config(self, port: int | None = None) -> Mapping[str, Any]:
        """With the person's name found in their e-mail address."""
        found = {"login_from": "email-local-part", "email_domain": "example.com", "watch": ["app_readers"]}
        return {**super().config(port), **found}

    async def stand(self, order: Order) -> None:
        """The role, by an administrator."""
        self.running.run(f"GRANT app_readers TO {self.person}@'%'")

    async def stands(self, order: Order) -> bool:
        """Whether it is there."""
        query = f"SELECT COUNT(*) FROM mysql.roles_mapping WHERE User = '{self.person}' AND Role = 'app_readers'"
        return bool(self.running.run(query)[0][0])

    async def as_user(self, order: Order, secret: Secret | None) -> Connection[Cursor]:
        """With the role on, if it is had."""
        user = await asyncio.to_thread(entered, self.running, self.person, SAM)
        with contextlib.suppress(pymysql.Error):
            await asyncio.to_thread(does, user, "SET ROLE app_readers")
        return user


def config(port: int, **more: Any) -> dict[str, Any]:
    """The bot's, on this machine."""
    return {"url": f"mysql://{BOT}:correct-h%C3%B6rse@127.0.0.1:{port}", "tls": False, "timeout": 10.0, **more}
