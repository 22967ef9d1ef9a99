"""Audit events in the words of the Open Cybersecurity Schema Framework 1.8; pure, and the event itself goes along.

A grant or a revoke is User Access Management (3005), a new secret an Account Change (3001), and the rest of a
request's life, and whatever was refused or read, Entity Management (3004).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from bot.audit.archive import projection
from bot.core.audit_chain import AuditEntry
from bot.core.given_inputs import spelled
from bot.core.request import Request

VERSION = "1.8.0"
_ACCOUNT, _ENTITY, _ACCESS = 3001, 3004, 3005
_CLASSES = {_ACCOUNT: "Account Change", _ENTITY: "Entity Management", _ACCESS: "User Access Management"}
_ACTIVITIES: Mapping[str, tuple[int, int, str]] = {
    "granted": (_ACCESS, 1, "Assign Privileges"),
    "revoked": (_ACCESS, 2, "Revoke Privileges"),
    "closed_manually": (_ACCESS, 2, "Revoke Privileges"),
    "revealed": (_ACCOUNT, 4, "Password Reset"),
    "submitted": (_ENTITY, 1, "Create"),
    "approved_by_rule": (_ENTITY, 1, "Create"),
    "drafted": (_ENTITY, 1, "Create"),
    "break_glass_used": (_ENTITY, 1, "Create"),
    "read": (_ENTITY, 2, "Read"),
}
_UPDATE = (_ENTITY, 3, "Update")
_FAILED = frozenset({"refused", "denied", "request_expired", "grant_uncertain", "alarm", "loss", "set_aside"})
_SEVERE = {
    "alarm": (5, "Critical"),
    "set_aside": (5, "Critical"),
    "loss": (5, "Critical"),
    "grant_uncertain": (4, "High"),
    "break_glass_used": (4, "High"),
    "switched_to_break_glass": (4, "High"),
    "review_overdue": (3, "Medium"),
    "refused": (2, "Low"),
}


def ocsf(entry: AuditEntry, request: Request | None, workspace: str) -> dict[str, Any]:
    """One event. ``request``: what it belongs to, as far as it is known."""
    uid, activity, name = _ACTIVITIES.get(entry.kind, _UPDATE)
    if request is None and uid != _ENTITY:  # whose access it is cannot be told
        uid, activity, name = _UPDATE
    severity, severe = _SEVERE.get(entry.kind, (1, "Informational"))
    failed = entry.kind in _FAILED
    said: dict[str, Any] = {
        "category_uid": 3,
        "category_name": "Identity & Access Management",
        "class_uid": uid,
        "class_name": _CLASSES[uid],
        "activity_id": activity,
        "activity_name": name,
        "type_uid": uid * 100 + activity,
        "type_name": f"{_CLASSES[uid]}: {name}",
        "time": int(entry.at * 1000),
        "severity_id": severity,
        "severity": severe,
        "status_id": 2 if failed else 1,
        "status": "Failure" if failed else "Success",
        "status_detail": entry.kind,
        "message": _message(entry, request),
        "metadata": {
            "version": VERSION,
            "product": {"name": "JIT Access", "vendor_name": "JIT Access"},
            "uid": f"{workspace}:{entry.seq}",
            "sequence": entry.seq,
            "tenant_uid": workspace,
            "log_name": "audit",
            "event_code": entry.kind,
        },
        "unmapped": {"id": entry.id, "version": entry.version, "event": _event(entry)},
    }
    if who := projection.by(entry):
        said["actor"] = {"user": {"uid": who}}
    return said | _about(entry, request, uid)


def _about(entry: AuditEntry, request: Request | None, uid: int) -> dict[str, Any]:
    if request is None or uid == _ENTITY:
        entity = {
            "uid": entry.id or projection.about(entry) or "audit",
            "type": "Access request" if entry.id else "Other",
        }
        return {"entity": entity | ({"name": request.what} if request else {})}
    requester = request.requester
    user = {"uid": requester.id, "name": requester.email, "email_addr": requester.email}
    if uid == _ACCOUNT:
        return {"user": user}
    leg = _event(entry).get("leg")
    legs = [one for one in request.legs if leg is None or one.n == leg] or list(request.legs)
    resources = [{"name": one.role.system, "type": one.role.provider} for one in legs]
    return {"user": user, "privileges": [one.role.name for one in legs], "resources": resources}


def _message(entry: AuditEntry, request: Request | None) -> str:
    by = f" (requested by {request.requested_by.email})" if request and request.requested_by else ""
    what = f" {entry.id}: {request.requester.email}{by}, {request.what}" if request else f" {entry.id}".rstrip()
    given = f" ({said})" if request and (said := spelled(request)) else ""
    return f"{entry.kind}{what}{given}"


def _event(entry: AuditEntry) -> dict[str, Any]:
    try:
        found = json.loads(entry.event)
    except (ValueError, RecursionError):
        return {"text": entry.event}
    return found if isinstance(found, dict) else {"text": entry.event}
