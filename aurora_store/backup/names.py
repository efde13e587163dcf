"""What a backup is called in a directory of many."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from pathlib import Path

__all__ = ["PART", "backup_name", "made_at"]

_NAME = re.compile(r"backup-(\d{8}T\d{6}Z)-p\d{10,20}\.db(\.zst)?")
PART = re.compile(r"\.backup-\d{8}T\d{6}Z-p\d{10,20}\.db(\.zst)?(\.json)?\..*\.part")
"""What is left of one that was not finished."""

_TIME = "%Y%m%dT%H%M%SZ"


def backup_name(made_at: datetime, position: int, *, compress: bool) -> str:
    """What a backup is called: names sort by the time of making, then by position."""
    made_at = made_at.astimezone(timezone.utc)
    return f"backup-{made_at:{_TIME}}-p{int(position):010d}.db{'.zst' if compress else ''}"


def made_at(path: Path) -> datetime | None:
    """When a backup was made, by its name; ``None`` for another name."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    try:
        return datetime.strptime(match[1], _TIME).replace(tzinfo=timezone.utc)
    except ValueError:
        return None
