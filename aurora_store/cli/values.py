"""Values of a database: for people, on one line, and for machines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_WIDTH = 60  # of a value that is shortened


def whole(value: Any) -> str:
    """A value for people: text as it is, NULL and blobs as SQL writes them."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    text = str(value).encode("utf-8", "backslashreplace").decode()
    return text.replace("\t", r"\t").replace("\n", r"\n").replace("\r", r"\r")


def short(value: Any) -> str:
    """A value as SQL writes it; of a long one the beginning, and how long it is."""
    if isinstance(value, bytes):
        text = whole(value[: _WIDTH // 2])
        return text if len(value) <= _WIDTH // 2 else f"{text}... ({len(value)} bytes)"
    if isinstance(value, str):
        text = f"'{whole(value[:_WIDTH])}'"
        return text if len(value) <= _WIDTH else f"{text}... ({len(value)} characters)"
    return whole(value)


def json_value(value: Any) -> Any:
    """A value for machines: what JSON cannot say is an object with ``hex`` or ``real``."""
    if isinstance(value, bytes):
        return {"hex": value.hex()}
    if isinstance(value, float) and value - value != 0:
        return {"real": str(value)}
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return {"hex": value.encode("utf-8", "surrogateescape").hex()}
    return value


def json_row(row: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A row for machines."""
    return None if row is None else {name: json_value(value) for name, value in row.items()}
