"""What `check` finds out: whether this is a server on which every verb can do its work, and the identity it has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from providers.systems.base import Health, Refused, Unsure
from providers.systems.redis_acl.errors import why
from providers.systems.redis_acl.rights import Tried, tried
from providers.systems.redis_acl.session import AclSession, has_no_file

_OLDEST = (6, 2)


async def checked(session: AclSession, id_: str) -> Health:
    """The health of the server, whose configured id is ``id_``. Raises `Refused`, `Unsure`."""
    async with session.talk("check"):
        async with session.fresh(single_connection_client=True) as client:
            found = await tried(client)
        _refuse_what_is_missing(session, found)
        info: Mapping[str, Any] = await session.say("INFO")
        version = _refuse_the_wrong_kind(info)
        if found.blocked:
            raise Unsure(f"nothing can be granted just now, though what is open is closed: {why(found.blocked)}")
        saved = _is_saved(found, id_)
        instance = (await session.instance() or await session.name_instance()) if saved else ""
        warnings = [*_warnings(info, saved), *_open_door(await session.user("default"))]
        kept = "ACLs are kept in its aclfile" if saved else "no aclfile: a restart takes all access away"
        brand = "Valkey" if "valkey_version" in info else "Redis"
        detail = "; ".join([f"{brand} {version}", kept, *(f"WARNING: {each}" for each in warnings)])
        return Health(target=id_ or instance, detail=detail)


def _refuse_what_is_missing(session: AclSession, found: Tried) -> None:
    if found.gone:
        raise Refused(
            f"this server has no {', '.join(found.gone)}: renamed, disabled, or a managed service that makes its ACL "
            "users another way; give the bot a server that has them"
        )
    if found.lacks:
        raise Refused(f"the bot's user lacks {', '.join(found.lacks)}; run `{session.cure(*found.lacks)}`")


def _refuse_the_wrong_kind(info: Mapping[str, Any]) -> str:
    """Where no ACL user would hold what it promises; else the version."""
    version = str(info.get("valkey_version") or info["redis_version"])
    if tuple(map(int, str(info["redis_version"]).split(".")[:2])) < _OLDEST:
        raise Refused(f"Redis {version} is too old: 6.2 or later is needed")
    mode = str(info.get("redis_mode") or info.get("server_mode") or "standalone")
    if mode == "cluster" or info.get("cluster_enabled"):
        raise Refused(
            "this is a node of a cluster, and each node has ACLs of its own: a user that is made on one does not exist "
            "on the others, and stays on it when slots move; point the url at a server that is no cluster's"
        )
    if mode == "sentinel":
        raise Refused("this is a sentinel: point the url at the primary that it watches")
    if info["role"] != "master":
        raise Refused(f"this server is a {info['role']}: ACLs are not replicated, so point the url at the primary")
    return version


def _is_saved(found: Tried, id_: str) -> bool:
    """Whether its ACLs outlive a restart."""
    failed = found.failed.get("+acl|save")
    if failed is None:
        return True
    if not has_no_file(failed):
        raise Refused(
            "the ACL file cannot be written, so a restart would bring deleted users back: let the server write the "
            "aclfile and its directory; a file that a deployment tool or a read-only mount owns cannot be used"
        )
    if not id_:
        raise Refused("this Redis has no aclfile to keep an identity in: set one up, or give an `id` in the config")
    return False


def _warnings(info: Mapping[str, Any], saved: bool) -> list[str]:
    if saved or not info.get("connected_slaves"):
        return []
    return ["replicas and no aclfile: a restart cannot be told from a failover, a person has to revoke"]


def _open_door(default: Mapping[str, Any] | None) -> list[str]:
    if default is None or not {"on", "nopass"} <= set(default["flags"]) or default["commands"] == "-@all":
        return []
    return ["its default user needs no password: whoever reaches the port needs no access of ours"]
