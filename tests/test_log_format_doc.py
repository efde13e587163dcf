"""Holds docs/log-format.md against real entries.

The golden files were written by the first release with this format. This decoder knows of the
format what the page says: offsets, sizes, kinds and changes come out of its tables.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
import xxhash
import zstandard

ROOT = Path(__file__).resolve().parent.parent
DOC = ROOT / "docs" / "log-format.md"
GOLDEN = ROOT / "tests" / "golden" / "log-format-v1"
PAGE_SIZE = 4096
CHECKSUM_SIZE = 8

# Which kind each golden file holds.
KINDS = {
    "leader": "leader",
    "heartbeat": "heartbeat",
    "batch-of-patches": "batch",
    "batch-part": "batch_part",
    "batch": "batch",
    "snapshot-begin": "snapshot_begin",
    "snapshot-chunk": "snapshot_chunk",
    "snapshot-end": "snapshot_end",
}
BATCHES = [name for name, kind in KINDS.items() if kind.startswith("batch")]


@dataclass(frozen=True)
class Field:
    """One row of the header table."""

    offset: int
    size: int
    name: str


@cache
def header_fields() -> list[Field]:
    """The header table."""
    rows = re.findall(r"^\| (\d+) \| (\d+) \| `(\w+)` \|", DOC.read_text("utf-8"), re.MULTILINE)
    return [Field(int(offset), int(size), name) for offset, size, name in rows]


def numbered(title: str) -> dict[int, str]:
    """The table whose head starts with `title`: number (decimal or hexadecimal) to name."""
    table = DOC.read_text("utf-8").split(f"\n| {title} |", 1)[1].split("\n\n", 1)[0]
    rows = re.findall(r"^\| (\w+) \| `?([^|`]+)`? \|", table, re.MULTILINE)
    return {int(number, 0): name.strip() for number, name in rows}


def header_size() -> int:
    """The size of the header, by its last row."""
    last = header_fields()[-1]
    return last.offset + last.size


def golden(name: str) -> bytes:
    """A golden entry."""
    return (GOLDEN / f"{name}.bin").read_bytes()


def header_of(entry: bytes) -> dict[str, int]:
    """All fields of the header."""
    return {
        field.name: int.from_bytes(entry[field.offset : field.offset + field.size], "little")
        for field in header_fields()
    }


def body_of(entry: bytes) -> bytes:
    """The body, decompressed where the flag says so."""
    stored = entry[header_size() : -CHECKSUM_SIZE]
    (zstd_flag,) = numbered("Flag")
    if header_of(entry)["flags"] & zstd_flag:
        return zstandard.ZstdDecompressor().decompress(stored, max_output_size=1 << 24)
    return stored


@dataclass
class Reader:
    """Takes numbers and bytes off the front of a body."""

    data: bytes

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        assert len(self.data) >= size
        taken, self.data = self.data[:size], self.data[size:]
        return taken

    def varint(self) -> int:
        """The next number of variable length."""
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7


def patched(base: bytes, patch: bytes) -> bytes:
    """The page that a patch makes of `base`."""
    reader, page, at = Reader(patch), bytearray(base), 0
    while reader.data:
        at += reader.varint()
        head = reader.varint()
        length = head >> 1
        assert length >= 1
        if head & 1:
            encoded = reader.varint()
            shift = -(encoded >> 1) - 1 if encoded & 1 else encoded >> 1
            page[at : at + length] = base[at - shift : at - shift + length]
        else:
            page[at : at + length] = reader.take(length)
        at += length
        assert len(page) == PAGE_SIZE
    return bytes(page)


def changes_of(entry: bytes) -> dict[int, tuple[str, bytes]]:
    """Page number to change and, for an unchanged base, the page's new content."""
    names = numbered("Change")
    reader, number, changes = Reader(body_of(entry)), 0, {}
    while reader.data:
        head = reader.varint()
        assert head >= 4, "page numbers ascend"
        number += head // 4
        change = names[head % 4]
        data = b""
        if change == "full":
            data = reader.take(PAGE_SIZE)
        elif change == "patch":
            data = patched(formula_page(number), reader.take(reader.varint()))
        changes[number] = (change, data)
    return changes


def formula_page(number: int) -> bytes:
    """What the golden files hold as page `number` (native/tests/record_samples.h)."""
    return bytes((number * 7 + i * i // 16) & 0xFF for i in range(PAGE_SIZE))


def page_9_after() -> bytes:
    """Page 9 with two bytes inserted in front of 160 others."""
    page = formula_page(9)
    return page[:40] + b"\xf0\x0d" + page[40:200] + page[202:]


def test_the_header_table_has_no_gaps_and_no_overlaps() -> None:
    """Each field starts where the one before ends, and the total is what the text says."""
    end = 0
    for field in header_fields():
        assert field.offset == end, field
        end += field.size
    assert len(header_fields()) == 15
    assert f"header ({end} bytes)" in DOC.read_text("utf-8")


@pytest.mark.parametrize("name", KINDS)
def test_every_golden_entry_is_of_the_kind_the_table_says(name: str) -> None:
    """Magic, format version and kind are where the header table puts them."""
    entry = golden(name)
    header = header_of(entry)
    magic = header_fields()[0]
    assert entry[magic.offset : magic.offset + magic.size] == b"\x89ASL"
    assert "`89 41 53 4C`" in DOC.read_text("utf-8")
    assert header["format"] == 1
    assert numbered("Kind")[header["kind"]] == KINDS[name]


def test_there_is_a_golden_file_for_every_kind() -> None:
    """A kind added to the table needs an entry to hold it against."""
    assert set(numbered("Kind").values()) == set(KINDS.values())
    assert {path.stem for path in GOLDEN.glob("*.bin")} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_the_last_eight_bytes_are_the_checksum_of_all_before(name: str) -> None:
    """Plain XXH3-64."""
    entry = golden(name)
    checksum = int.from_bytes(entry[-CHECKSUM_SIZE:], "little")
    assert checksum == xxhash.xxh3_64_intdigest(entry[:-CHECKSUM_SIZE])


@pytest.mark.parametrize("name", KINDS)
def test_the_header_fields_are_where_the_table_says(name: str) -> None:
    """The golden files were written with these values, all different where they can be."""
    header = header_of(golden(name))
    pages = name in BATCHES
    part = name == "batch-part"
    parts = {"batch": 1, "snapshot-chunk": 2, "snapshot-end": 3}
    before, after = 0x1122334455667788, 0x99AABBCCDDEEFF00
    assert header["epoch"] == 7
    assert header["first_version"] == (1001 if pages else 1003)
    assert header["last_version"] == 1003
    assert header["checksum_before"] == (before if pages else after)
    assert header["checksum_after"] == (before if part else after)
    assert header["time_us"] == 1700000000123456
    assert header["page_count"] == 100
    assert header["snapshot"] == 4711
    assert header["part"] == parts.get(name, 0)
    assert header["transactions"] == (3 if pages and not part else 0)


@pytest.mark.parametrize("name", KINDS)
def test_the_body_has_the_size_the_header_says(name: str) -> None:
    """`body_size` counts after decompression; only large bodies of pages are compressed."""
    entry = golden(name)
    assert len(body_of(entry)) == header_of(entry)["body_size"]
    large = name in ("batch", "batch-part", "snapshot-chunk")
    assert header_of(entry)["flags"] == (1 if large else 0)


@pytest.mark.parametrize(
    ("name", "behind"), [("leader", b""), ("snapshot-begin", (4720).to_bytes(8, "little"))]
)
def test_a_leader_is_four_texts_with_their_lengths(name: str, behind: bytes) -> None:
    """And behind them, where a snapshot begins, the position of the leader's own entry."""
    reader = Reader(body_of(golden(name)))
    texts = [reader.take(reader.take(1)[0]).decode() for _ in range(4)]
    assert texts == ["scheduler-1.example.com", "aurora-store 0.1.0", "0f8e2c5a", "schema-42"]
    assert reader.data == behind


@pytest.mark.parametrize("name", ["heartbeat", "snapshot-end"])
def test_a_record_that_says_all_in_its_header_has_no_body(name: str) -> None:
    """Header and checksum are all of it."""
    assert len(golden(name)) == header_size() + CHECKSUM_SIZE


def test_a_snapshot_has_full_pages() -> None:
    """In ascending order, whatever was changed."""
    assert changes_of(golden("snapshot-chunk")) == {
        2: ("full", formula_page(2)),
        5: ("full", formula_page(5)),
    }


def test_patches_read_by_the_page_give_the_new_pages() -> None:
    """A run of new bytes in page 1, a moved run in page 9."""
    page_1 = formula_page(1)
    assert changes_of(golden("batch-of-patches")) == {
        1: ("patch", page_1[:24] + b"\x01\x02\x03\x04" + page_1[28:]),
        9: ("patch", page_9_after()),
    }
    assert len(body_of(golden("batch-of-patches"))) < 30, "the moved run is not spelled out"


def test_a_batch_in_two_entries_gives_all_its_pages() -> None:
    """Page numbers start anew in each entry."""
    assert changes_of(golden("batch-part")) == {
        2: ("full", formula_page(2)),
        3: ("full", formula_page(3)),
    }
    assert changes_of(golden("batch")) == {
        5: ("full", formula_page(5)),
        6: ("absent", b""),
        9: ("patch", page_9_after()),
    }
