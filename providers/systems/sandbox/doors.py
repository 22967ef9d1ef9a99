"""Where the sandbox keeps its doors: in memory, or in a directory that outlives its processes. It judges nothing."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from providers.systems.base import Frozen


class Entry(Frozen):
    """One account's way through one door."""

    made_by: str
    password: str | None = None
    sessions: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without the password."""
        return f"Entry(made_by={self.made_by!r})"


class MemoryDoors:
    """In memory, of one process."""

    def __init__(self) -> None:
        """All shut."""
        self._entries: dict[tuple[str, str], Entry] = {}
        self._spent: dict[int, int] = {}

    def get(self, door: str, account: str) -> Entry | None:
        """The entry, if the door is open."""
        return self._entries.get((door, account))

    def put(self, door: str, account: str, entry: Entry) -> None:
        """Open it."""
        self._entries[door, account] = entry

    def drop(self, door: str, account: str) -> None:
        """Shut it."""
        self._entries.pop((door, account), None)

    def all(self) -> Iterator[tuple[str, str, Entry]]:
        """Every open door."""
        return ((door, account, entry) for (door, account), entry in self._entries.items())

    def faults(self) -> Sequence[Any]:
        """Scripted in the config only."""
        return ()

    def rights(self) -> frozenset[str] | None:
        """No limits."""
        return None

    def note(self, line: str) -> None:
        """Nobody reads it."""

    def spend(self, n: int, times: int) -> bool:
        """Use the ``n``-th fault up by one; False when it was used ``times`` times."""
        self._spent[n] = self._spent.get(n, 0) + 1
        return self._spent[n] <= times


class DirectoryDoors:
    """One small file a door and account, each written by an atomic rename."""

    def __init__(self, path: str) -> None:
        """Nothing is read or made yet."""
        self._root = Path(path).expanduser()

    def get(self, door: str, account: str) -> Entry | None:
        """The entry, if the door is open."""
        try:
            return Entry.model_validate_json(self._file(door, account).read_bytes())
        except FileNotFoundError:
            return None

    def put(self, door: str, account: str, entry: Entry) -> None:
        """Open it: a process killed in here leaves the entry before, or this one."""
        file = self._file(door, account)
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = self._root / f".draft-{secrets.token_hex(8)}"
        draft.write_text(entry.model_dump_json(), encoding="utf-8")
        draft.chmod(0o600)
        draft.replace(file)

    def drop(self, door: str, account: str) -> None:
        """Shut it."""
        self._file(door, account).unlink(missing_ok=True)

    def all(self) -> Iterator[tuple[str, str, Entry]]:
        """Every open door."""
        for file in sorted(self._root.glob("doors/*/*.json")):
            door, account = unquote(file.parent.name), unquote(file.stem)
            if (entry := self.get(door, account)) is not None:
                yield door, account, entry

    def faults(self) -> Sequence[Any]:
        """What ``faults.json`` says at this moment."""
        try:
            return list(json.loads((self._root / "faults.json").read_bytes()))
        except FileNotFoundError:
            return ()

    def rights(self) -> frozenset[str] | None:
        """The verbs that ``rights.json`` lets the bot use at this moment; None for all."""
        try:
            return frozenset(json.loads((self._root / "rights.json").read_bytes()))
        except FileNotFoundError:
            return None

    def note(self, line: str) -> None:
        """Add a line to the log. Raises `OSError`."""
        with (self._root / "log").open("a", encoding="utf-8") as log:
            log.write(line + "\n")

    def spend(self, n: int, times: int) -> bool:
        """Use the ``n``-th fault up by one, before the crash that it may be: a file each, made exclusively."""
        self._root.mkdir(parents=True, exist_ok=True)
        for use in range(times):
            try:
                os.close(os.open(self._root / f".spent-{n}-{use}", os.O_CREAT | os.O_EXCL, 0o600))
            except FileExistsError:
                continue
            return True
        return False

    def _file(self, door: str, account: str) -> Path:
        return self._root / "doors" / _name(door) / f"{_name(account)}.json"


def _name(text: str) -> str:
    """A file name for any text; a dot at its start would hide it or lead out of the directory."""
    return quote(text, safe="").replace(".", "%2E")
