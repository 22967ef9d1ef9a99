"""Finds what was made or changed under the names of granted roles since an access began; it removes nothing.

Who may become a role can leave a function, a view or a privilege in its name, and none of it says who it was. Each row
of the catalog bears the transaction that wrote it, so that what is younger than the access is found by comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import psycopg

from providers.systems.base import ProviderError
from providers.systems.postgresql.connection import talk
from providers.systems.postgresql.params import PostgresConfig
from providers.systems.postgresql.session import Session

_MOST_NAMED = 5
_MOST_DATABASES = 20
_OWNED = {
    "pg_class": (
        "relowner",
        "relacl",
        "o.relkind NOT IN ('t', 'i', 'I') AND NOT pg_catalog.pg_is_other_temp_schema(o.relnamespace)",
    ),
    "pg_proc": ("proowner", "proacl", ""),
    "pg_type": ("typowner", "typacl", "o.typrelid = 0 AND o.typelem = 0"),
    "pg_namespace": ("nspowner", "nspacl", "o.nspname !~ '^pg_(temp|toast_temp)_'"),
    "pg_operator": ("oprowner", "", ""),
    "pg_opclass": ("opcowner", "", ""),
    "pg_opfamily": ("opfowner", "", ""),
    "pg_conversion": ("conowner", "", ""),
    "pg_collation": ("collowner", "", ""),
    "pg_language": ("lanowner", "lanacl", ""),
    "pg_foreign_data_wrapper": ("fdwowner", "fdwacl", ""),
    "pg_foreign_server": ("srvowner", "srvacl", ""),
    "pg_publication": ("pubowner", "", ""),
    "pg_event_trigger": ("evtowner", "", ""),
    "pg_extension": ("extowner", "", ""),
    "pg_statistic_ext": ("stxowner", "", ""),
    "pg_ts_config": ("cfgowner", "", ""),
    "pg_ts_dict": ("dictowner", "", ""),
    "pg_largeobject_metadata": ("lomowner", "lomacl", ""),
    "pg_default_acl": ("defaclrole", "", ""),
    "pg_database": ("datdba", "datacl", ""),
    "pg_tablespace": ("spcowner", "spcacl", ""),
}
"""Each catalog with owners: the columns of the owner and of the privileges, and what is left out."""
_BELOW = {
    "pg_trigger": ("tgrelid", "NOT o.tgisinternal"),
    "pg_rewrite": ("ev_class", "o.rulename <> '_RETURN'"),
    "pg_policy": ("polrelid", ""),
    "pg_attrdef": ("adrelid", ""),
    "pg_constraint": ("conrelid", "o.contype = 'c'"),
}
"""Each catalog of what hangs on a relation."""
_REACH = """
WITH RECURSIVE reach(oid) AS (
    SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolname = ANY(%s::pg_catalog.text[])
    UNION SELECT m.roleid FROM pg_catalog.pg_auth_members m JOIN reach ON m.member = reach.oid)
SELECT reach.oid::pg_catalog.int8 AS oid FROM reach
"""
_DATABASES = """
SELECT d.datname::pg_catalog.text AS name,
       pg_catalog.has_database_privilege(current_user, d.oid, 'CONNECT') AS mine
FROM pg_catalog.pg_database d WHERE d.datallowconn ORDER BY d.datname <> pg_catalog.current_database(), 1
"""
_PREPARED = """
SELECT p.gid, p.database::pg_catalog.text AS dbname, p.owner::pg_catalog.text AS owner
FROM pg_catalog.pg_prepared_xacts p JOIN pg_catalog.pg_roles r ON r.rolname = p.owner
WHERE r.oid = ANY(%s::pg_catalog.oid[]) AND pg_catalog.age(p.transaction) <= pg_catalog.age(%s::pg_catalog.xid)
"""
_YOUNG = "pg_catalog.age(o.xmin) <= pg_catalog.age(since.xid)"


def _query() -> str:
    """Every row that is younger than the access, and belongs to one of the roles or was granted by one.

    It is put together from the names above, and from nothing else.
    """
    parts = []
    for catalog, (owner, acl, also) in _OWNED.items():
        theirs = f"o.{owner} = ANY(roles.oids)"
        if acl:
            theirs = (
                f"({theirs} OR EXISTS (SELECT FROM pg_catalog.aclexplode(o.{acl}) x WHERE x.grantor = ANY(roles.oids)))"
            )
        parts.append(_part(catalog, "", theirs, also))
    for catalog, (relation, also) in _BELOW.items():
        parts.append(
            _part(catalog, f"JOIN pg_catalog.pg_class c ON c.oid = o.{relation}", "c.relowner = ANY(roles.oids)", also)
        )
    # What has no owner column that the bot may read is found by its dependency, as a user mapping.
    depends = "o.deptype = 'o' AND o.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass"
    here = "SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()"
    parts.append(
        f"SELECT o.classid, o.objid FROM pg_catalog.pg_shdepend o, since, roles WHERE {_YOUNG} AND {depends}"  # noqa: S608
        f" AND o.refobjid = ANY(roles.oids) AND (o.dbid = 0 OR o.dbid = ({here}))"
    )
    union = "\nUNION ".join(parts)
    return (
        "WITH since AS (SELECT %s::pg_catalog.xid AS xid), roles AS (SELECT %s::pg_catalog.oid[] AS oids),\n"  # noqa: S608
        f"found(classid, objid) AS ({union})\n"
        "SELECT DISTINCT told FROM found, pg_catalog.pg_describe_object(found.classid, found.objid, 0) AS told"
        " WHERE told IS NOT NULL ORDER BY 1 LIMIT 100"
    )


def _part(catalog: str, join: str, theirs: str, also: str) -> str:
    where = " AND ".join(word for word in (_YOUNG, theirs, also) if word)
    which = f"'pg_catalog.{catalog}'::pg_catalog.regclass::pg_catalog.oid"
    return f"SELECT {which}, o.oid FROM pg_catalog.{catalog} o {join} CROSS JOIN since CROSS JOIN roles WHERE {where}"  # noqa: S608


@dataclass(frozen=True)
class Comparison:
    """What to compare. ``since``: the transaction by which the access began, empty where it is not known."""

    config: PostgresConfig
    session: Session
    roles: Sequence[str]
    since: str

    async def told(self) -> str:
        """In words, what was made or changed, and what could not be compared. It closes nothing, so it never fails."""
        try:
            return await self._found()
        except (ProviderError, psycopg.Error):
            return f"what was made as {', '.join(self.roles)}, which could not be compared"

    async def _found(self) -> str:
        if not self.roles:
            return ""
        if not self.since:
            return f"what was made as a member of {', '.join(self.roles)}: when the access began is not known"
        oids = [row.oid for row in await self.session.rows(_REACH, list(self.roles))]
        prepared = await self.session.rows(_PREPARED, oids, self.since)
        said = [f"prepared transaction {row.gid} of {row.owner} in {row.dbname}" for row in prepared]
        blind = []
        rows = await self.session.rows(_DATABASES)
        for n, row in enumerate(rows):
            if not row.mine or n >= _MOST_DATABASES or self.session.remaining < self.config.timeout:
                blind.append(row.name)
                continue
            try:
                said += [f"{each} in {row.name}" for each in await self._in_one(row.name, oids)]
            except (ProviderError, psycopg.Error):
                blind.append(row.name)
        return self._sentence(said, blind)

    async def _in_one(self, dbname: str, oids: Sequence[int]) -> list[str]:
        if dbname == self.session.dbname:
            return [row.told for row in await self.session.rows(_QUERY, self.since, list(oids))]
        async with talk(self.config, "revoke", dbname=dbname) as there:
            return [row.told for row in await there.rows(_QUERY, self.since, list(oids))]

    def _sentence(self, said: Sequence[str], blind: Sequence[str]) -> str:
        names = ", ".join(self.roles)
        words = []
        if said:
            more = f" and {len(said) - _MOST_NAMED} more" if len(said) > _MOST_NAMED else ""
            words.append(f"made or changed as {names} meanwhile: {', '.join(said[:_MOST_NAMED])}{more}")
        if blind:
            words.append(f"what was made as {names} in {', '.join(blind[:_MOST_NAMED])}, which could not be compared")
        return "; ".join(words)


_QUERY = _query()
