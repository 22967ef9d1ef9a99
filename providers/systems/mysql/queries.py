"""The longer queries, each one message; it sends none. What goes between braces is quoted by who puts it in."""

from __future__ import annotations

from collections.abc import Sequence

from providers.systems.mysql.params import SYSTEM_DATABASES
from providers.systems.mysql.statements import literal, literals

_DB_COLUMNS = {
    "Select_priv": "SELECT",
    "Insert_priv": "INSERT",
    "Update_priv": "UPDATE",
    "Delete_priv": "DELETE",
    "Create_priv": "CREATE",
    "Drop_priv": "DROP",
    "Grant_priv": "GRANT OPTION",
    "References_priv": "REFERENCES",
    "Index_priv": "INDEX",
    "Alter_priv": "ALTER",
    "Create_tmp_table_priv": "CREATE TEMPORARY TABLES",
    "Lock_tables_priv": "LOCK TABLES",
    "Create_view_priv": "CREATE VIEW",
    "Show_view_priv": "SHOW VIEW",
    "Create_routine_priv": "CREATE ROUTINE",
    "Alter_routine_priv": "ALTER ROUTINE",
    "Execute_priv": "EXECUTE",
    "Event_priv": "EVENT",
    "Trigger_priv": "TRIGGER",
    "Delete_history_priv": "DELETE HISTORY",
}
_PRIVILEGES = ", ".join(f"IF(d.{column} = 'Y', {literal(word)}, NULL)" for column, word in _DB_COLUMNS.items())
_MAKES = ("Create_view_priv", "Create_routine_priv", "Event_priv", "Trigger_priv")
_NAMED = """
SELECT 'account' AS kind, g.Host AS host, g.User AS a, g.Priv AS b FROM mysql.global_priv g
WHERE g.Host <> '' AND (g.User = {who} OR JSON_VALUE(g.Priv, '$.max_questions') = {mark})
UNION ALL SELECT 'role', m.Host, m.Role, m.Admin_option FROM mysql.roles_mapping m WHERE m.User = {who}
UNION ALL SELECT 'db', d.Host, d.Db, CONCAT_WS(',', {privileges}) FROM mysql.db d WHERE d.User = {who}
UNION ALL SELECT 'more', t.Host, t.Db, t.Table_name FROM mysql.tables_priv t WHERE t.User = {who}
UNION ALL SELECT 'proxy', p.Host, p.User, p.Proxied_host FROM mysql.proxies_priv p WHERE p.Proxied_user = {who}
"""
_REACH = """
WITH RECURSIVE reach(name) AS (
    SELECT g.User FROM mysql.global_priv g
    WHERE g.Host = '' AND g.User IN ({roles}) AND JSON_VALUE(g.Priv, '$.is_role')
    UNION SELECT m.Role FROM mysql.roles_mapping m JOIN reach r ON m.User = r.name AND m.Host = '')
SELECT 'role' AS kind, r.name AS name, JSON_VALUE(g.Priv, '$.access') AS what
FROM reach r JOIN mysql.global_priv g ON g.User = r.name AND g.Host = ''
UNION ALL SELECT 'admin', m.User, CONCAT('ADMIN of ', m.Role)
FROM mysql.roles_mapping m JOIN reach r ON m.User = r.name AND m.Host = '' WHERE m.Admin_option = 'Y'
UNION ALL SELECT 'db', d.User, CONCAT(IF(d.Grant_priv = 'Y', 'GRANT OPTION on ', 'on '), d.Db)
FROM mysql.db d JOIN reach r ON d.User = r.name AND d.Host = '' WHERE d.Grant_priv = 'Y' OR {fits_a_system}
UNION ALL SELECT 'table', t.User, CONCAT('on ', t.Db, '.', t.Table_name)
FROM mysql.tables_priv t JOIN reach r ON t.User = r.name AND t.Host = ''
WHERE FIND_IN_SET('Grant', t.Table_priv) OR LOWER(t.Db) IN ({systems})
UNION ALL SELECT 'table', p.User, CONCAT('GRANT OPTION on ', p.Db, '.', p.Routine_name)
FROM mysql.procs_priv p JOIN reach r ON p.User = r.name AND p.Host = '' WHERE FIND_IN_SET('Grant', p.Proc_priv)
UNION ALL SELECT 'makes', d.User, d.Db
FROM mysql.db d JOIN reach r ON d.User = r.name AND d.Host = '' WHERE {makes}
UNION ALL SELECT 'makes', t.User, CONCAT(t.Db, '.', t.Table_name)
FROM mysql.tables_priv t JOIN reach r ON t.User = r.name AND t.Host = ''
WHERE FIND_IN_SET('Create View', t.Table_priv) OR FIND_IN_SET('Trigger', t.Table_priv)
UNION ALL SELECT 'give', m.Role, '' FROM mysql.roles_mapping m
WHERE m.Admin_option = 'Y' AND m.Role IN ({roles}) AND m.User = {bot} AND m.Host = {host}
UNION ALL SELECT 'mine', d.Db, CONCAT_WS(',', {privileges}) FROM mysql.db d
WHERE d.User = {bot} AND d.Host = {host} AND d.Grant_priv = 'Y' AND {database} LIKE d.Db ESCAPE '\\'
UNION ALL SELECT 'database', s.SCHEMA_NAME, '' FROM information_schema.SCHEMATA s WHERE s.SCHEMA_NAME = {database}
"""
KINDS = ("role", "admin", "db", "table", "makes", "give", "mine", "database")
"""Of the rows of `reach`."""
_MADE = {
    "event": """
SELECT 'event' AS kind, e.db AS db, e.name AS name, e.definer AS definer, SHA2(CONCAT_WS('|', e.body, e.status,
       e.execute_at, e.interval_value, e.interval_field, e.ends), 256) AS said
FROM mysql.event e WHERE e.definer IN ({names})""",
    "routine": """
SELECT LOWER(p.type), p.db, p.name, p.definer,
       SHA2(CONCAT_WS('|', p.body, p.security_type, p.param_list, p.returns), 256)
FROM mysql.proc p WHERE p.definer IN ({names})""",
    "trigger": """
SELECT 'trigger', t.TRIGGER_SCHEMA, t.TRIGGER_NAME, t.DEFINER,
       SHA2(CONCAT_WS('|', t.ACTION_STATEMENT, t.EVENT_MANIPULATION, t.EVENT_OBJECT_TABLE), 256)
FROM information_schema.TRIGGERS t WHERE t.DEFINER IN ({names})""",
    "view": """
SELECT 'view', v.TABLE_SCHEMA, v.TABLE_NAME, v.DEFINER,
       IF(v.VIEW_DEFINITION = '', '', SHA2(CONCAT_WS('|', v.VIEW_DEFINITION, v.SECURITY_TYPE), 256))
FROM information_schema.VIEWS v WHERE v.DEFINER IN ({names})""",
}


def named(name: str, mark: int) -> str:
    """All that is known of the accounts of a name; and whatever account bears the mark, which is 0 for none."""
    return _NAMED.format(who=literal(name), mark=f"{mark or -1:d}", privileges=_PRIVILEGES)


def reach(roles: Sequence[str], database: str, bot: str, host: str) -> str:
    """What roles come to, whether the bot may grant them, and whether there is such a database."""
    # The grant tables escape by a backslash, whatever the bot's sql_mode makes of one.
    fits = " OR ".join(f"{literal(name)} LIKE LOWER(d.Db) ESCAPE '\\'" for name in SYSTEM_DATABASES)
    return _REACH.format(
        roles=literals(roles),
        systems=literals(SYSTEM_DATABASES),
        fits_a_system=fits,
        privileges=_PRIVILEGES,
        makes=" OR ".join(f"d.{column} = 'Y'" for column in _MAKES),
        bot=literal(bot),
        host=literal(host),
        database=literal(database),
    )


def made(definers: Sequence[str], without: Sequence[str]) -> str:
    """What has one of these as its definer; ``without``: kinds that the bot cannot see."""
    kinds = [query.format(names=literals(definers)) for kind, query in _MADE.items() if kind not in without]
    return f"{' UNION ALL '.join(kinds)} ORDER BY 1, 2, 3"
