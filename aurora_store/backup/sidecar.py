"""What a backup says of itself: the JSON file beside it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from aurora_store.errors import Corrupt, FormatTooNew

__all__ = ["Backup", "sidecar_of"]

_FORMAT = 1
_MOST_BYTES = 64 << 20
_NO_SIDECAR = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError)
"""What it takes to read any other JSON, or none, as one."""


@dataclass(frozen=True)
class Backup:
    """One backup.

    Attributes:
        path: of the file.
        size: of the file in bytes.
        sha256: of the file's bytes, hexadecimal.
        compressed: whether the file is one zstd frame.
        position: of the log entry that completed the version which is in it.
        time: the leader's clock in that entry, RFC 3339 in UTC.
        epoch: the reign that wrote it.
        version: of the database: transactions since the beginning.
        checksum: of the database, as the log has it, hexadecimal: the XOR of XXH3 over each page,
            seeded with its number.
        page_count: of 4096 bytes each.
        absent_pages: pages without content: zeros in the file, and not part of the checksum.
        user_version: SQLite's ``PRAGMA user_version``.
        alembic_version: the schema's newest revisions: as its store's journal of migrations has
            them or, for a store without a schema, Alembic's own table.
        software: that made the backup.
        host: of the replica that made it.
    """

    path: Path
    size: int
    sha256: str
    compressed: bool
    position: int
    time: str
    epoch: int
    version: int
    checksum: str
    page_count: int
    absent_pages: tuple[int, ...]
    user_version: int
    alembic_version: str | None
    software: str
    host: str

    def as_json(self) -> dict[str, Any]:
        """For the command line: with the path."""
        return {**asdict(self), "path": str(self.path), "absent_pages": list(self.absent_pages)}

    def document(self) -> bytes:
        """The sidecar's bytes; the path is where it lies."""
        document = {"format": _FORMAT, **self.as_json(), "file": self.path.name}
        del document["path"]
        return json.dumps(document, indent=1).encode() + b"\n"

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Backup:
        """What the sidecar of the backup in `path` says.

        Raises:
            Corrupt: it is missing, or not what it should be.
            FormatTooNew: a newer release wrote it.
            OSError: it cannot be read.
        """
        beside = sidecar_of(path)
        try:
            with beside.open("rb") as file:
                text = file.read(_MOST_BYTES)
        except FileNotFoundError:
            raise Corrupt(
                f"{path} has no {beside.name} beside it, so it is no backup, or one that was not"
                " finished",
                hint="copy a backup together with its .json file",
            ) from None
        try:
            return cls._of(Path(path), json.loads(text))
        except _NO_SIDECAR as exc:
            raise Corrupt(
                f"{beside} is not a backup's sidecar, or is damaged",
                hint="copy a backup together with its .json file, or use another backup",
            ) from exc

    @classmethod
    def _of(cls, path: Path, document: Mapping[str, Any]) -> Backup:
        software = str(document["software"])
        if not software.startswith("aurora-store "):
            raise ValueError("of another software")
        if int(document["format"]) > _FORMAT:
            raise FormatTooNew(
                f"{sidecar_of(path)} has format {document['format']}", hint="upgrade aurora-store"
            )
        alembic = document["alembic_version"]
        return cls(
            path=path,
            size=int(document["size"]),
            sha256=str(document["sha256"]),
            compressed=bool(document["compressed"]),
            position=int(document["position"]),
            time=str(document["time"]),
            epoch=int(document["epoch"]),
            version=int(document["version"]),
            checksum=f"{int(document['checksum'], 16):016x}",
            page_count=int(document["page_count"]),
            absent_pages=tuple(int(each) for each in document["absent_pages"]),
            user_version=int(document["user_version"]),
            alembic_version=None if alembic is None else str(alembic),
            software=software,
            host=str(document["host"]),
        )


def sidecar_of(path: str | os.PathLike[str]) -> Path:
    """Where the sidecar of a backup is."""
    return Path(f"{os.fspath(path)}.json")
