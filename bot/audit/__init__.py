"""The record: sealed, archived, searched, exported, proved and shipped; nothing in here decides about access."""
