"""The archive's tables; they keep years of events, so each index serves one question and nothing is kept twice.

``events``, ``seals`` and ``policies`` are the record; ``cursors`` and ``refusals`` say how far each sink has it;
``reads`` holds what was read at a terminal until it is on the record. The others are an index over it, made while
events are added, and can be made again from them.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()

META = Table(
    "jit_meta",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("value", Text, nullable=False),
)

EVENTS = Table(
    "jit_events",
    METADATA,
    Column("workspace", String(32), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("id", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("event", Text, nullable=False),
    PrimaryKeyConstraint("workspace", "seq"),
)
ENTRY = tuple(EVENTS.c[1:])
"""The columns of an event as it was written."""
Index("jit_events_at", EVENTS.c.workspace, EVENTS.c.at, EVENTS.c.seq)
Index("jit_events_id", EVENTS.c.workspace, EVENTS.c.id, EVENTS.c.seq)

SEALS = Table(
    "jit_seals",
    METADATA,
    Column("workspace", String(32), nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("digests", LargeBinary, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("signature", LargeBinary, nullable=False),
    PrimaryKeyConstraint("workspace", "n"),
    UniqueConstraint("workspace", "last"),
)

POLICIES = Table(
    "jit_policies",
    METADATA,
    Column("workspace", String(32), nullable=False),
    Column("generation", String(64), nullable=False),
    Column("at", Double, nullable=False),
    Column("text", Text, nullable=False),
    PrimaryKeyConstraint("workspace", "generation"),
)

CURSORS = Table(
    "jit_cursors",
    METADATA,
    Column("workspace", String(32), nullable=False),
    Column("sink", String(40), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("began", Double, nullable=False),
    Column("config", String(16), nullable=False),
    Column("refused", Integer, nullable=False),
    Column("stopped", Text, nullable=False),
    Column("behind", Double),
    PrimaryKeyConstraint("workspace", "sink"),
)

REFUSALS = Table(
    "jit_refusals",
    METADATA,
    Column("workspace", String(32), nullable=False),
    Column("sink", String(40), nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    Column("why", Text, nullable=False),
    PrimaryKeyConstraint("workspace", "sink", "number"),
)

READS = Table(
    "jit_reads",
    METADATA,
    Column("n", Integer, primary_key=True),
    Column("workspace", String(32), nullable=False),
    Column("event", Text, nullable=False),
)

WORDS = Table(
    "jit_words",
    METADATA,
    Column("n", Integer, primary_key=True),
    Column("workspace", String(32), nullable=False),
    Column("word", Text, nullable=False),
    UniqueConstraint("workspace", "word"),
)

MENTIONS = Table(
    "jit_mentions",
    METADATA,
    Column("word", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("seq", BigInteger, nullable=False),
    PrimaryKeyConstraint("word", "at", "seq"),
    sqlite_with_rowid=False,
)

PEOPLE = Table(
    "jit_people",
    METADATA,
    Column("workspace", String(32), nullable=False),
    Column("identity", Text, nullable=False),
    Column("user", Text, nullable=False),
    PrimaryKeyConstraint("workspace", "identity", "user"),
)

LIVES = Table(
    "jit_lives",
    METADATA,
    Column("workspace", String(32), nullable=False),
    Column("id", Text, nullable=False),
    Column("born", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    PrimaryKeyConstraint("workspace", "id", "born"),
)

HOLDINGS = Table(
    "jit_holdings",
    METADATA,
    Column("workspace", String(32), nullable=False),
    Column("id", Text, nullable=False),
    Column("born", BigInteger, nullable=False),
    Column("leg", Integer, nullable=False),
    Column("user", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("system", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("tried_at", Double, nullable=False),
    Column("opened_at", Double),
    Column("closed_at", Double),
    Column("how", Text, nullable=False),
    PrimaryKeyConstraint("workspace", "id", "born", "leg"),
)
Index("jit_holdings_open", HOLDINGS.c.workspace, HOLDINGS.c.closed_at)
Index("jit_holdings_tried", HOLDINGS.c.workspace, HOLDINGS.c.tried_at)
