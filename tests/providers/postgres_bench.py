"""A PostgreSQL with a bot that has the documented rights and no more, an application's database, and its people."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
from psycopg import sql
from pydantic import SecretStr

from providers.systems.base import Order, Principal, Secret
from providers.systems.conformance.bench import Bench, BotRight, LesserStep, Lives
from providers.systems.postgresql.params import PostgresConfig
from providers.systems.postgresql.provider import PostgreSQL
from providers.systems.postgresql.session import GRANTOR_SCOPED
from tests.servers import PostgresServer

BOT, PASSWORD, SAM = "jit_bot", "correct-horse", "sams-own"


def furnish(server: PostgresServer) -> None:
    """Once a server: roles, people, data."""
    run(
        server,
        f"CREATE ROLE {BOT} LOGIN CREATEROLE PASSWORD '{PASSWORD}'",
        f"GRANT pg_signal_backend TO {BOT}",
        "CREATE ROLE app_readers",
        "CREATE ROLE app_writers",
        "CREATE ROLE app_deployers CREATEROLE",
        "CREATE ROLE through_deployers",
        "GRANT app_deployers TO through_deployers",
        "CREATE DATABASE app",
    )
    run(
        server,
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",  # as from 15 on
        "CREATE TABLE data AS SELECT 'one'::text AS word",
        "GRANT SELECT ON data TO app_readers",
        "GRANT CREATE, USAGE ON SCHEMA public TO app_writers",
        dbname="app",
    )
    for role in ("app_readers", "app_writers", "through_deployers"):
        let_bot_grant(server, role)


def let_bot_grant(server: PostgresServer, role: str) -> None:
    """As the documentation says; before 16 there is nothing to do."""
    if version(server) >= GRANTOR_SCOPED:
        name = sql.Identifier(role).as_string()
        run(server, f"GRANT {name} TO {BOT} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE")


def run(server: PostgresServer, *statements: str, dbname: str = "postgres") -> list[Any]:
    """As the superuser, each statement by itself; the rows of the last."""
    with psycopg.connect(server.dsn, dbname=dbname, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def version(server: PostgresServer) -> int:
    """As a number, 150014."""
    return int(run(server, "SHOW server_version_num")[0][0])


class PostgresBench(Bench):
    """Logins of the orders' own."""

    provider = PostgreSQL
    params = {"member_of": ["app_readers"]}  # noqa: RUF012  # each bench only reads it
    other_params = {"member_of": ["app_writers"]}  # noqa: RUF012
    hidden = (PASSWORD,)

    def __init__(self, server: PostgresServer, other: PostgresServer | None = None) -> None:
        """On a furnished server, with another one that has nothing of it."""
        self.running, self.other = server, other
        self.server = ("127.0.0.1", server.port)

    def config(self, port: int | None = None) -> Mapping[str, Any]:
        """As the bot; by way of another port, where something is struck, with little patience."""
        dsn = f"postgresql://{BOT}:{PASSWORD}@127.0.0.1:{port or self.running.port}/postgres"
        return {"dsn": dsn, "timeout": 0.4 if port else 10.0}

    async def usable(self, order: Order, secret: Secret | None) -> bool:
        """Log in and read."""
        try:
            async with self.as_user(order, secret) as user:
                return await _reads(user)
        except psycopg.OperationalError:
            return False

    async def enter(self, order: Order, secret: Secret | None) -> Lives:
        """A connection that has done SET ROLE, as one that would survive a mere revoke."""
        user = await psycopg.AsyncConnection.connect(self._dsn(order, secret), autocommit=True)
        await user.execute("SET ROLE app_readers")

        async def lives() -> bool:
            try:
                return await _reads(user)
            except psycopg.OperationalError:
                await user.close()
                return False

        return lives

    def rights(self) -> Sequence[BotRight]:
        """What the docstring of the provider asks for, and what every role has unless it was taken away."""
        bot = sql.Identifier(BOT).as_string()
        return [
            self._right(f"ALTER ROLE {bot} CREATEROLE", f"ALTER ROLE {bot} NOCREATEROLE"),
            self._right(f"ALTER ROLE {bot} INHERIT", f"ALTER ROLE {bot} NOINHERIT"),
            self._right(f"GRANT pg_signal_backend TO {bot}", f"REVOKE pg_signal_backend FROM {bot}"),
            self._right(
                "GRANT EXECUTE ON FUNCTION pg_control_system() TO its role",
                "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC",
                "GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC",
            ),
        ]

    def _right(self, cure: str, take: str, give: str = "") -> BotRight:
        async def taken() -> None:
            run(self.running, take)

        async def given() -> None:
            run(self.running, give or cure)

        return BotRight(cure, taken, given)

    def lesser_steps(self) -> Sequence[LesserStep]:
        """A membership and a privilege of another hand: the first goes with the login, the second keeps it."""
        table = f"lesser_{secrets.token_hex(4)}"

        async def member(order: Order) -> None:
            run(self.running, f"GRANT pg_monitor TO {order.subject.native}")

        async def no_member(order: Order) -> None:
            """It went with the login."""

        async def privilege(order: Order) -> None:
            run(
                self.running,
                f"CREATE TABLE {table} ()",
                f"GRANT SELECT ON {table} TO {order.subject.native}",
                dbname="app",
            )

        async def no_privilege(order: Order) -> None:
            run(self.running, f"DROP TABLE {table}", dbname="app")

        return [
            LesserStep("a membership that a superuser gave", member, no_member),
            LesserStep("a privilege of another hand", privilege, no_privilege, f"REVOKE ALL ON TABLE public.{table}"),
        ]

    def build(self, port: int | None = None) -> PostgreSQL:
        """As the suite's, by its own name."""
        return PostgreSQL(PostgresConfig.model_validate(self.config(port)))

    def elsewhere(self) -> PostgreSQL:
        """The same bot, on the other server."""
        assert self.other is not None
        dsn = f"postgresql://{BOT}:{PASSWORD}@127.0.0.1:{self.other.port}/postgres"
        return PostgreSQL(PostgresConfig.model_validate({**self.config(), "dsn": dsn}))

    async def seen_elsewhere(self) -> object:
        """Every role, and who is a member of what."""
        assert self.other is not None
        members = "SELECT roleid::regrole::text, member::regrole::text FROM pg_auth_members ORDER BY 1, 2"
        roles = "SELECT rolname, rolcanlogin, rolvaliduntil FROM pg_roles ORDER BY 1"
        return [run(self.other, query) for query in (roles, members)]

    async def stand(self, order: Order) -> None:
        """An administrator's role of that name."""
        run(self.running, f"CREATE ROLE {order.subject.native} LOGIN PASSWORD 'theirs'")

    async def stands(self, order: Order) -> bool:
        """Whether it logs in."""
        theirs = Secret(username=order.subject.native, password=SecretStr("theirs"))
        async with self.as_user(order, theirs) as user:
            return user.info.user == order.subject.native

    async def tamper(self, order: Order) -> None:
        """Give it more."""
        run(self.running, f"GRANT app_writers TO {order.subject.native}")

    @asynccontextmanager
    async def as_user(self, order: Order, secret: Secret | None) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """Logged in to the application's database."""
        async with await psycopg.AsyncConnection.connect(self._dsn(order, secret), autocommit=True) as user:
            yield user

    def _dsn(self, order: Order, secret: Secret | None) -> str:
        password = secret.password.get_secret_value() if secret else "none"
        return f"host=127.0.0.1 port={self.running.port} dbname=app user={order.subject.native} password={password}"


class SharedPostgresBench(PostgresBench):
    """A login that the person had before; everyone here is somebody else, so that tests do not meet."""

    params = {"member_of": ["app_readers"], "login": "existing"}  # noqa: RUF012
    other_params = {"member_of": ["app_writers"], "login": "existing"}  # noqa: RUF012

    def __init__(self, server: PostgresServer) -> None:
        """A new person."""
        super().__init__(server)
        self.person = f"sam_{secrets.token_hex(4)}"
        email = f"{self.person}@example.com"
        self.principal = Principal(key=email, email=email, name="Sam")
        run(server, f"CREATE ROLE {self.person} LOGIN CONNECTION LIMIT 20 PASSWORD '{SAM}'")

    def config(self, port: int | None = None) -> Mapping[str, Any]:
        """With the person's name found in their e-mail address."""
        found = {"login_from": "email-local-part", "email_domain": "example.com", "watch": ["app_readers"]}
        return {**super().config(port), **found}

    async def stand(self, order: Order) -> None:
        """Membership, by an administrator."""
        run(self.running, f"GRANT app_readers TO {self.person}")

    async def stands(self, order: Order) -> bool:
        """Whether it is there."""
        return bool(run(self.running, f"SELECT pg_has_role('{self.person}', 'app_readers', 'MEMBER')")[0][0])

    def _dsn(self, order: Order, secret: Secret | None) -> str:
        known = Secret(username=self.person, password=SecretStr(SAM))
        return super()._dsn(order, known)


async def _reads(user: psycopg.AsyncConnection[Any]) -> bool:
    try:
        row = await (await user.execute("SELECT word FROM data")).fetchone()
    except psycopg.errors.InsufficientPrivilege:
        return False
    return row == ("one",)


def owner_of(server: PostgresServer, table: str) -> str:
    """Whose table it is."""
    query = sql.SQL("SELECT tableowner FROM pg_tables WHERE tablename = {}").format(sql.Literal(table)).as_string()
    return str(run(server, query, dbname="app")[0][0])
