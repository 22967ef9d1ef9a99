"""The policy of the workspace that an intruder writes into: every kind of door, a rule, a sink, a digest."""

from __future__ import annotations

POLICY = """
version: 1
workspace:
  audit_channel: C0AUDIT01
  mfa: {request: off, break_glass: off}
  operators: [platform]
  auditors: [platform]
  grant_budget: 1m
  limits: {open: 50, submits: 500}
  digest: {at: "00:00", timezone: UTC}
  sinks: {disk: {kind: file, config: {path: "@SHIPPED@"}}}
groups:
  dba: {slack_usergroup: S0DBA0001}
  security: {people: [sam@example.com, kim@example.com]}
  platform: {people: [pat@example.com, ron@example.com]}
  staff: {people: [@STAFF@]}
systems:
  vault:
    title: Vault
    provider: sandbox
    config: {path: "@DOORS@", settles_within: @SETTLES@}
    channel: C0VAULT01
    approvers: [dba]
    roles:
      read-only:
        grants: {door: vault, secret: true}
        sensitivity: low
        max: 60s
        may_ask: [everyone]
      shared:
        grants: {door: hall, shared: true}
        max: 60s
        may_ask: [everyone]
      admin:
        grants: {door: safe}
        sensitivity: critical
        max: 60s
        may_ask: [everyone]
        approval:
          steps: [{any_of: [dba]}, {any_of: [security]}]
      lamp:
        grants: {door: lamp}
        sensitivity: low
        max: 60s
        may_ask: [everyone]
  cache:
    title: Cache
    provider: redis
    config: {url: "file:@TARGET@", id: the-cache, timeout: 1.0}
    channel: C0VAULT01
    approvers: [dba]
    roles:
      reader:
        grants: {keys: ["app:*"], commands: [+@read]}
        sensitivity: low
        max: 60s
        may_ask: [everyone]
  db:
    title: Orders
    provider: postgresql
    config: {dsn: "file:@DSN@", timeout: 2.0}
    channel: C0VAULT01
    approvers: [dba]
    roles:
      reader:
        grants: {member_of: [app_readers]}
        max: 60s
        may_ask: [everyone]
templates:
  both:
    title: Vault and hall
    roles: [vault/read-only, vault/shared]
    durations: [6s, 8s]
rules:
  - when: {sensitivity: low, requester_in: [staff], at_most: 10s, what: [vault/lamp]}
    then: approve
    budget: @BUDGET@/day
"""
