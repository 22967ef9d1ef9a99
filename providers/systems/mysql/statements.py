"""The statements that change a MariaDB, as text; nothing here opens a connection or decides.

A name goes in only through `identifier` or `literal`. The bot's sessions have NO_BACKSLASH_ESCAPES, so that in
a literal nothing but the quote itself is special.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

NO_PASSWORD = "invalid"  # noqa: S105  # no hash has this form, so that no password fits
NO_HASHES = "the server takes no hash of a password, only the password: SET GLOBAL strict_password_validation = OFF"
"""What to say where it validates passwords, and insists on it."""
LATE = "jit-access: too late"


def identifier(name: str) -> str:
    """A name, quoted."""
    if "\0" in name:
        raise ValueError("a name has no NUL")
    return "`" + name.replace("`", "``") + "`"


def literal(value: str) -> str:
    """A text, quoted."""
    if "\0" in value:
        raise ValueError("a literal has no NUL")
    return "'" + value.replace("'", "''") + "'"


def literals(values: Sequence[str]) -> str:
    """Texts, for IN (…); none of them is a list that fits nothing."""
    return ", ".join(literal(value) for value in values) or "NULL"


def account(name: str, host: str) -> str:
    """An account, quoted."""
    return f"{identifier(name)}@{identifier(host)}"


def on_database(name: str) -> str:
    """A database in GRANT and REVOKE, where ``_`` and ``%`` would be wildcards."""
    return identifier(pattern(name)) + ".*"


def pattern(name: str) -> str:
    """What fits this database alone."""
    return name.replace("_", "\\_").replace("%", "\\%")


def password_hash(password: str) -> str:
    """What the server keeps of a password and checks it by; it is made here, so that no log can hold the password."""
    return "*" + hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest().upper()  # noqa: S324  # the server's


def create(who: str, mark: int, most_sessions: int, roles: Sequence[str], privileges: Sequence[str], db: str) -> str:
    """An account with no password, which can be used once all of it is there, and is gone if some of it cannot be."""
    steps = add(who, roles)
    if roles:
        steps.append(f"SET DEFAULT ROLE {identifier(roles[0])} FOR {who}")
    if privileges:
        steps.append(f"GRANT {', '.join(privileges)} ON {on_database(db)} TO {who}")
    steps.append(f"ALTER USER {who} ACCOUNT UNLOCK")
    return (
        f"CREATE USER {who} IDENTIFIED VIA mysql_native_password USING {literal(NO_PASSWORD)}"
        f" WITH MAX_QUERIES_PER_HOUR {mark:d} MAX_USER_CONNECTIONS {most_sessions:d} ACCOUNT LOCK;"
        # Only now: if it was there before, it is another hand's, and stays.
        f" BEGIN DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN DROP USER IF EXISTS {who}; RESIGNAL; END;"
        f" {'; '.join(steps)}; END"
    )


def add(who: str, roles: Sequence[str]) -> list[str]:
    """Roles."""
    return [f"GRANT {identifier(role)} TO {who}" for role in roles]


def remove(who: str, role: str) -> str:
    """One role, gone. One at a time: a refused one must not keep the others."""
    return f"REVOKE {identifier(role)} FROM {who}"


def set_password(who: str, password: str) -> str:
    """A password, by its hash."""
    return f"ALTER USER {who} IDENTIFIED VIA mysql_native_password USING {literal(password_hash(password))}"


def close_login(who: str) -> str:
    """No new session, by no password. Taking the password away could be refused, by a server that takes no hash."""
    return f"ALTER USER {who} ACCOUNT LOCK"


def drop(who: str) -> str:
    """The account, gone, with its roles and privileges, whoever gave them."""
    return f"DROP USER IF EXISTS {who}"


def kill(name: str) -> str:
    """Every session of this name, those of its events among them."""
    return f"KILL HARD USER {identifier(name)}"


def in_time(until: float, *statements: str) -> str:
    """The statements, unless the server comes to them later than ``until`` by its own clock."""
    return (
        f"BEGIN NOT ATOMIC IF UNIX_TIMESTAMP(SYSDATE(6)) > {until:.6f} THEN"
        f" SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = {literal(LATE)}; END IF; {'; '.join(statements)}; END"
    )


def to_allow(bot: str, roles: Sequence[str]) -> str:
    """What an administrator types so that the bot may grant these roles."""
    return "; ".join(f"GRANT {identifier(role)} TO {bot} WITH ADMIN OPTION" for role in roles)
