"""What the bot must be able to do on a server, what it is told of, and which roles are never granted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from providers.systems.base import Refused
from providers.systems.mysql import queries, statements
from providers.systems.mysql.params import MysqlConfig, MysqlParams
from providers.systems.mysql.session import MysqlSession
from providers.systems.mysql.statements import literal

_ON_EVERYTHING = ("CREATE USER", "PROCESS", "CONNECTION ADMIN")
_HARMLESS = 1 << 14 | 1 << 20 | 1 << 38
"""SHOW DATABASES, BINLOG MONITOR and SLAVE MONITOR: bits of ``access``, as in the server's privilege.h."""
_SEES = ("SHOW VIEW", "TRIGGER")
_ANONYMOUS = "SELECT g.Host AS host FROM mysql.global_priv g WHERE g.User = '' AND g.Host <> '' ORDER BY 1"
_VALIDATES = """
SELECT @@strict_password_validation AND COUNT(*) AS n FROM information_schema.PLUGINS p
WHERE p.PLUGIN_TYPE = 'PASSWORD VALIDATION' AND p.PLUGIN_STATUS = 'ACTIVE'
"""
_UPDATES = """
SELECT COUNT(*) AS n FROM information_schema.SCHEMA_PRIVILEGES s
WHERE s.TABLE_SCHEMA = 'mysql' AND s.PRIVILEGE_TYPE = {right} AND s.GRANTEE = {grantee}
"""


async def rights(session: MysqlSession, config: MysqlConfig) -> str:
    """One line on the server and the bot, or `Refused` with what to grant or to change."""
    proved(session, config)
    if needs := await _lacking(session):
        raise Refused(f"the bot's account {session.me} lacks rights: {'; '.join(needs)}")
    if anonymous := [row["host"] for row in await session.rows(_ANONYMOUS)]:
        drop = "; ".join(f"DROP USER {statements.account('', host)}" for host in anonymous)
        raise Refused(
            f"an anonymous account takes the place of a temporary one that connects from the same host: {drop}"
        )
    if (await session.rows(_VALIDATES))[0]["n"]:
        raise Refused(statements.NO_HASHES)
    notes = [f"MariaDB {session.facts.get('version')}, as {session.me}"]
    if "SUPER" in session.rights:
        notes.append("WARNING: SUPER, which is more than it needs")
    if blind := _unseen(session):
        notes.append(f"{blind} are not compared at the end: {_to_see(session)}")
    if count := await session.replicas():
        notes.append(
            f"accounts go on to replicas ({count}): sessions there are not ended, so let nobody connect to them"
        )
    notes.append("nothing ends access by itself: where no worker runs, it stays")
    return "; ".join(notes)


def proved(session: MysqlSession, config: MysqlConfig) -> None:
    """Refuse a server on which the verbs cannot do what they say. An end is tried on any."""
    facts = session.facts
    if session.series != config.version:
        raise Refused(
            f"this is MariaDB {session.series}, and the config says {config.version}: only 10.11 is tested; if that is"
            f' known, say `version: "{session.series}"`'
        )
    if not session.target:
        raise Refused("the server has no server_uid: give it an `id` in the config")
    if facts.get("read_only", "OFF") not in {"OFF", "0"}:
        raise Refused("this server is read-only, as a replica is: point the url at the primary")
    if facts.get("wsrep_on", "OFF") == "ON":
        raise Refused("this is a node of a Galera cluster: sessions on its other nodes could not be ended")
    if facts.get("skip_grant_tables", "OFF") == "ON":
        raise Refused("this server checks no privileges (skip_grant_tables): start it without")


async def _lacking(session: MysqlSession) -> list[str]:
    strong = "SUPER" in session.rights
    lacks = [right for right in _ON_EVERYTHING if right not in session.rights]
    if strong:
        lacks = [right for right in lacks if right == "CREATE USER"]
    needs = [f"GRANT {right} ON *.* TO {session.me}" for right in lacks]
    for right in ("SELECT", "UPDATE"):
        if right not in session.rights:
            grantee = literal(f"'{session.name}'@'{session.host}'")
            rows = await session.rows(_UPDATES.format(right=literal(right), grantee=grantee))
            if not rows[0]["n"]:
                needs.append(f"GRANT {right} ON `mysql`.* TO {session.me}")
    return needs


def _unseen(session: MysqlSession) -> str:
    lacks = [right for right in _SEES if right not in session.rights]
    return " and ".join({"SHOW VIEW": "views", "TRIGGER": "triggers"}[right] for right in lacks)


def _to_see(session: MysqlSession) -> str:
    lacks = [right for right in _SEES if right not in session.rights]
    return f"GRANT {', '.join(lacks)} ON *.* TO {session.me}"


@dataclass(frozen=True)
class Reach:
    """What some roles come to. ``makes``: each role, and where it can leave what acts in its name."""

    roles: Sequence[str]
    makes: Sequence[tuple[str, str]]


async def grantable(session: MysqlSession, wanted: MysqlParams) -> Reach:
    """Raise `Refused` where the bot may not grant it, or where its holder could undo its end; else what it comes to."""
    said = await _said(session, wanted.member_of, wanted.database)
    there = {name for name, _ in said["role"]}
    if missing := [role for role in wanted.member_of if role not in there]:
        raise Refused(f"there is no role {', '.join(missing)} on this server")
    if wanted.database and not said["database"]:
        raise Refused(f"there is no database {wanted.database} on this server, or the bot cannot see it")
    strong = [f"{name} (on *.*)" for name, access in said["role"] if int(access or 0) & ~_HARMLESS]
    strong += [f"{name} ({what})" for kind in ("admin", "db", "table") for name, what in said[kind]]
    if strong:
        raise Refused(
            f"never granted: who has it could undo the end of the access, or read the accounts: {', '.join(strong[:5])}"
        )
    mine = {name for name, _ in said["give"]}
    if denied := [role for role in wanted.member_of if role not in mine]:
        raise Refused(f"the bot may not grant {', '.join(denied)}: {statements.to_allow(session.me, denied)}")
    _may_pass_on(session, wanted, said["mine"])
    return Reach(sorted(there), said["makes"])


async def reached(session: MysqlSession, roles: Sequence[str]) -> Reach:
    """What the roles come to now, whether or not they may be granted."""
    said = await _said(session, roles)
    return Reach(sorted({name for name, _ in said["role"]}), said["makes"])


async def _said(session: MysqlSession, roles: Sequence[str], database: str = "") -> dict[str, list[tuple[str, str]]]:
    rows = await session.rows(queries.reach(roles, database, session.name, session.host))
    return {kind: [(row["name"], row["what"]) for row in rows if row["kind"] == kind] for kind in queries.KINDS}


async def makers(session: MysqlSession, reach: Reach) -> list[str]:
    """What members of these roles could leave behind."""
    told = [
        f"members of {role} can leave objects behind in {where} that run in its name" for role, where in reach.makes
    ]
    if told and (blind := _unseen(session)):
        told.append(f"{blind} are not compared at the end: {_to_see(session)}")
    return told


def _may_pass_on(session: MysqlSession, wanted: MysqlParams, mine: Sequence[tuple[str, str]]) -> None:
    """Refuse privileges that the bot has not itself, to pass on. What it has on everything, the server knows."""
    has = {word for _, words in mine for word in words.split(",")}
    if not set(wanted.privileges) <= has | (session.rights if "GRANT OPTION" in session.rights else set()):
        grant = f"GRANT {', '.join(wanted.privileges)} ON {statements.on_database(wanted.database)}"
        raise Refused(f"the bot may not grant this: {grant} TO {session.me} WITH GRANT OPTION")
