"""What a hostile holder can do with an account: one function an ability, each played on a real MariaDB."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pymysql
import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from providers.systems.base import Order, Secret
from providers.systems.conformance.bench import HostileAct, Lives
from tests import servers
from tests.providers.mariadb import BOT, MINE, PASSWORD, SAM, MariaDbServer, does, entered, reads

if TYPE_CHECKING:
    from tests.providers.mysql_bench import MysqlBench
_REFUSED = {1044, 1045, 1095, 1142, 1227, 1410, 1698, 1959}


@dataclass
class Holder:
    """Somebody who has an account, and does not want to give it back."""

    bench: MysqlBench
    order: Order
    secret: Secret | None
    lives: list[Lives] = field(default_factory=list)

    @property
    def server(self) -> MariaDbServer:
        return self.bench.running

    async def enter(self) -> Connection[Cursor]:
        """A session that stays, and that nobody may be left with."""
        user = await self.bench.as_user(self.order, self.secret)
        self.stays(user)
        return user

    def stays(self, user: Connection[Cursor]) -> None:
        async def lives() -> bool:
            alive = await reads(user)
            if not alive and user.open:
                user.close()
            return alive

        self.lives.append(lives)

    async def does(self, *statements: str) -> Connection[Cursor]:
        """A session that stays, in which these were run."""
        user = await self.enter()
        for statement in statements:
            await asyncio.to_thread(does, user, statement)
        return user

    async def may_not(self, *statements: str) -> None:
        """The server refuses each."""
        user = await self.enter()
        for statement in statements:
            with pytest.raises(pymysql.Error) as told:
                await asyncio.to_thread(does, user, statement)
            assert told.value.args[0] in _REFUSED, (statement, told.value)

    def in_background(self, user: Connection[Cursor], statement: str) -> None:
        """A statement that does not come to an end by itself."""

        def work() -> None:
            with contextlib.suppress(pymysql.Error, OSError):
                does(user, statement)
            with contextlib.suppress(pymysql.Error, OSError):
                user.close()

        thread = threading.Thread(target=work, daemon=True)
        thread.start()

        async def lives() -> bool:
            await asyncio.to_thread(thread.join, 10)
            return thread.is_alive()

        self.lives.append(lives)

    async def helper(self) -> str:
        """A standing account of somebody else, with no rights."""
        name = f"helper_{secrets.token_hex(4)}"
        self.server.run(f"CREATE USER {name}@'%' IDENTIFIED BY '{MINE}'")
        return name


Ability = Callable[[Holder], Awaitable[None]]


async def reads_on(holder: Holder) -> None:
    """Does nothing but stay."""
    await holder.does("SELECT word FROM app.data")


async def takes_every_connection(holder: Holder) -> None:
    """Opens sessions until none is given, or as many as the server has."""
    with contextlib.suppress(pymysql.OperationalError):
        for _ in range(60):
            await holder.enter()


async def comes_back_faster_than_it_is_ended(holder: Holder) -> None:
    """Connects in a tight loop, four at a time."""
    stop = threading.Event()
    inside: list[int] = []

    def storm() -> None:
        password = holder.secret.password.get_secret_value() if holder.secret else SAM
        while not stop.is_set():
            try:
                user = entered(holder.server, holder.order.subject.native, password)
            except (pymysql.Error, OSError):
                continue
            with contextlib.suppress(pymysql.Error, OSError):
                does(user, "SET ROLE app_readers", "DO SLEEP(0.01)")
                inside.append(1)
            with contextlib.suppress(pymysql.Error, OSError):
                user.close()

    threads = [threading.Thread(target=storm, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    await asyncio.to_thread(servers.until, lambda: bool(inside), "the holder to be in")

    async def lives() -> bool:
        inside.clear()
        stop.set()
        for thread in threads:
            await asyncio.to_thread(thread.join, 20)
        return bool(inside)

    holder.lives.append(lives)
    await holder.enter()


async def changes_own_password(holder: Holder) -> None:
    """Has a password that the bot does not know."""
    if not holder.order.subject.own:
        return
    await holder.does(f"SET PASSWORD = PASSWORD('{MINE}')")

    def enters() -> bool:
        with contextlib.suppress(pymysql.OperationalError):
            entered(holder.server, holder.order.subject.native, MINE).close()
            return True
        return False

    assert await asyncio.to_thread(enters)
    holder.lives.append(lambda: asyncio.to_thread(enters))


async def wants_to_outlast_it(holder: Holder) -> None:
    """Another account, another limit, another's rights, and the bot out of the way."""
    me = f"{holder.order.subject.native}@'%'"
    bot = await asyncio.to_thread(entered, holder.server, BOT, PASSWORD.encode())
    await holder.may_not(
        "CREATE USER another",
        "CREATE ROLE another",
        f"ALTER USER {me} ACCOUNT UNLOCK",
        f"ALTER USER {me} WITH MAX_QUERIES_PER_HOUR 0",
        "ALTER USER CURRENT_USER() WITH MAX_USER_CONNECTIONS 0",
        f"RENAME USER {me} TO another@'%'",
        "GRANT app_readers TO jit_bot@'%'",
        "GRANT SELECT ON app.* TO jit_bot@'%'",
        "GRANT USAGE ON *.* TO another IDENTIFIED BY 'x'",
        f"GRANT PROXY ON {me} TO another IDENTIFIED BY 'x'",
        "SET ROLE app_deployers",
        "SET GLOBAL event_scheduler = OFF",
        f"KILL HARD {does(bot, 'SELECT CONNECTION_ID()')[0][0]}",
        "FLUSH TABLES WITH READ LOCK",
        "LOCK TABLES mysql.global_priv READ",
        "CREATE DEFINER = jit_bot@'%' VIEW app.theirs AS SELECT 1",
    )
    await holder.does(f"KILL HARD USER {BOT}")  # the server says yes, and leaves out what it may not end
    assert does(bot, "SELECT 1")
    bot.close()


async def hands_itself_on(holder: Holder) -> None:
    """Lets another account act as itself, which the server allows without any right."""
    helper = await holder.helper()
    await holder.does(f"GRANT PROXY ON {holder.order.subject.native}@'%' TO {helper}@'%'")

    async def lives() -> bool:
        user = await asyncio.to_thread(entered, holder.server, helper, MINE)
        try:
            return await reads(user)
        finally:
            user.close()
            holder.server.run(f"DROP USER {helper}@'%'")  # the same person is the next holder

    holder.lives.append(lives)


async def turns_its_role_off_for_later(holder: Holder) -> None:
    """Changes what is active when it signs in."""
    await holder.does("SET DEFAULT ROLE NONE")


async def holds_locks_and_open_work(holder: Holder) -> None:
    """Everything that lives as long as a session does."""
    await holder.does(
        f"DO GET_LOCK('{secrets.token_hex(4)}', 1)", "HANDLER app.data OPEN", "START TRANSACTION",
        "SELECT * FROM app.data FOR UPDATE",
        f"PREPARE later FROM 'SELECT {secrets.randbelow(9)}'",
    )  # fmt: skip


async def does_not_stop(holder: Holder) -> None:
    """Statements that catch whatever can be caught."""
    holder.in_background(await holder.bench.as_user(holder.order, holder.secret), "SELECT SLEEP(600)")
    loop = (
        "BEGIN NOT ATOMIC DECLARE CONTINUE HANDLER FOR SQLEXCEPTION, SQLWARNING BEGIN END;"
        " LOOP DO SLEEP(600); END LOOP; END"
    )
    holder.in_background(await holder.bench.as_user(holder.order, holder.secret), loop)
    await holder.enter()


async def leaves_an_event_of_its_own(holder: Holder) -> None:
    """Something that acts every second with its rights, whether or not it may sign in."""
    name = f"e_{secrets.token_hex(4)}"
    await holder.does(
        f"CREATE EVENT app.{name} ON SCHEDULE EVERY 1 SECOND DO INSERT INTO app.log VALUES ('{name}')",
        f"CREATE EVENT app.s{name} ON SCHEDULE EVERY 1 SECOND DO SELECT SLEEP(600) FROM app.data",
    )
    count = f"SELECT COUNT(*) FROM app.log WHERE word = '{name}'"
    await asyncio.to_thread(servers.until, lambda: holder.server.run(count)[0][0] > 0, "the event to act")

    async def lives() -> bool:
        before = holder.server.run(count)
        await asyncio.sleep(1.5)  # it would act once a second
        sessions = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER"
        inside = holder.server.run(f"{sessions} = '{holder.order.subject.native}'")[0][0]
        return bool(inside) or holder.server.run(count) != before

    holder.lives.append(lives)


async def leaves_objects_of_its_own(holder: Holder) -> None:
    """Views and routines that run with its rights, for whoever may use them."""
    helper, name = await holder.helper(), f"o_{secrets.token_hex(4)}"
    holder.server.run(f"GRANT EXECUTE ON app.* TO {helper}@'%'")
    await holder.does(
        f"CREATE PROCEDURE app.{name}() SQL SECURITY DEFINER SELECT word FROM app.data",
        f"CREATE VIEW app.v{name} AS SELECT word FROM app.data",
    )

    async def lives() -> bool:
        return await asyncio.to_thread(_calls, holder.server, helper, f"CALL app.{name}()")

    assert await lives()
    holder.lives.append(lives)


def _calls(server: MariaDbServer, user: str, statement: str) -> bool:
    connection = entered(server, user, MINE)
    try:
        return does(connection, statement) == [("one",)]
    except pymysql.Error:
        return False
    finally:
        connection.close()


FOR_ALL: tuple[Ability, ...] = (
    reads_on,
    takes_every_connection,
    comes_back_faster_than_it_is_ended,
    changes_own_password,
    wants_to_outlast_it,
    hands_itself_on,
    turns_its_role_off_for_later,
    holds_locks_and_open_work,
    does_not_stop,
)
"""After each, access ends at once, whoever's account it is."""
_ON_APP = ["SELECT", "INSERT", "EVENT", "CREATE VIEW", "CREATE ROUTINE", "EXECUTE"]
WITH_PRIVILEGES: tuple[Ability, ...] = (leaves_an_event_of_its_own, leaves_objects_of_its_own)
"""With privileges of its own: an account's events and objects do not have its roles."""


def hostile_acts(bench: MysqlBench) -> Sequence[HostileAct]:
    """The table, as the conformance suite plays it."""
    acts = [_act(bench, ability) for ability in FOR_ALL]
    if bench.params.get("login", "own") == "own":
        params = {"database": "app", "privileges": _ON_APP}
        acts += [_act(bench, ability, params) for ability in WITH_PRIVILEGES]
    return acts


def _act(bench: MysqlBench, ability: Ability, params: dict[str, Any] | None = None) -> HostileAct:
    async def do(order: Order, secret: Secret | None) -> Sequence[Lives]:
        holder = Holder(bench, order, secret)
        await ability(holder)
        return holder.lives

    return HostileAct(ability.__name__, do, params)
