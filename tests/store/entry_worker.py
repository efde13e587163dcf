"""Writes entries of any content to a log, and counts what a log has: for `test_store_bad_input`."""

from __future__ import annotations

from aurora_store.log import Log


def write_entries(directory: str, entries: list[str]) -> None:
    """`entries` are hexadecimal."""
    with Log.open(directory) as log:
        log.elect()
        for entry in entries:
            log.append(bytes.fromhex(entry))


def count_entries(directory: str) -> int:
    with Log.open(directory) as log:
        log.elect()
        return len(log.read(log.beginning(), log.ending()))
