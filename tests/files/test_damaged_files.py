"""Damage to a replica's files is found, located and read past; nothing in the directory changes."""

from __future__ import annotations

import os
import re
import shutil
import struct
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from unittest import mock

import pytest
from directories import batch, crc, fingerprint, flip, journal, make_database, newest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aurora_store.errors import Corrupt, LogUnavailable
from aurora_store.log.directory import check_directory
from aurora_store.log.files import Damage, ReplicaDirectory


def _read(directory: Path) -> tuple[dict[int, bytes], list[Damage]]:
    """Entries by position, and the damage; makes sure that looking changes nothing."""
    before = fingerprint(directory)
    replica = ReplicaDirectory.read(directory)
    found = {action.position: action.data for action in replica.entries()}
    assert fingerprint(directory) == before
    return found, replica.damages


@pytest.fixture(scope="session")
def whole(written: Path) -> dict[int, bytes]:
    """What is in the undamaged directory."""
    found, damages = _read(written)
    assert damages == []
    return found


def _is_rest(found: dict[int, bytes], whole: dict[int, bytes]) -> bool:
    return found.items() <= whole.items()


# ---- tables ----


def test_a_flipped_bit_in_a_table_costs_one_block(copy: Path, whole: dict[int, bytes]) -> None:
    table = newest(copy, "*.ldb")
    flip(table, 100_000)
    found, (damage,) = _read(copy)
    assert damage.file == table.name
    assert damage.offset is not None and damage.offset <= 100_000
    assert "does not match its checksum" in damage.what
    assert damage.positions is not None
    first, last = damage.positions
    assert _is_rest(found, whole)
    lost = set(whole) - set(found)
    assert lost <= set(range(first, last + 1))
    assert last - first < 10


@pytest.mark.parametrize("at", [-1, -20])
def test_a_flipped_bit_in_a_footer_costs_the_table(
    copy: Path, whole: dict[int, bytes], at: int
) -> None:
    table = newest(copy, "*.ldb")
    flip(table, at)
    found, (damage,) = _read(copy)
    assert damage.file == table.name
    assert damage.positions is not None
    assert _is_rest(found, whole)
    assert set(whole) - set(found) <= set(range(damage.positions[0], damage.positions[1] + 1))


def test_a_flipped_bit_in_an_index_costs_the_table(copy: Path, whole: dict[int, bytes]) -> None:
    table = newest(copy, "*.ldb")
    flip(table, -100)
    found, (damage,) = _read(copy)
    assert "its index cannot be read" in damage.what
    assert _is_rest(found, whole)


def test_every_byte_of_a_table_counts(copy: Path) -> None:
    """Whatever byte is damaged is found: nothing lies between the blocks."""
    table = newest(copy, "*.ldb")
    data = table.read_bytes()
    for at in [*range(0, len(data), len(data) // 40), *range(len(data) - 60, len(data))]:
        damaged = bytearray(data)
        damaged[at] ^= 1
        table.write_bytes(damaged)
        _, damages = _read(copy)
        assert [damage.file for damage in damages] == [table.name], at


def test_a_truncated_table_says_which_positions_are_gone(
    copy: Path, whole: dict[int, bytes]
) -> None:
    table = newest(copy, "*.ldb")
    os.truncate(table, table.stat().st_size // 2)
    found, (damage,) = _read(copy)
    assert damage.file == table.name and damage.positions is not None
    assert set(whole) - set(found) <= set(range(damage.positions[0], damage.positions[1] + 1))


def test_a_missing_table_says_which_positions_are_gone(copy: Path, whole: dict[int, bytes]) -> None:
    tables = sorted(copy.glob("*.ldb"))
    tables[0].unlink()
    found, damages = _read(copy)
    assert {damage.what for damage in damages} == {
        "the file is missing",
        "the replica's own state is missing",  # it is kept in front of the first entry
    }
    (damage,) = (damage for damage in damages if damage.file == tables[0].name)
    assert damage.positions is not None
    lost = set(whole) - set(found)
    assert lost and lost <= set(range(damage.positions[0], damage.positions[1] + 1))
    state = ReplicaDirectory.read(copy).state()
    assert {p for first, last in state.holes for p in range(first, last + 1)} == lost


def test_a_table_that_the_disk_does_not_give_back_is_damage(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = newest(copy, "*.ldb")
    table.unlink()
    table.mkdir()  # a directory's bytes cannot be read
    replica = ReplicaDirectory.read(copy)
    replica.state()
    (damage,) = replica.damages
    assert (damage.file, damage.what) == (table.name, "the file cannot be read: Is a directory")


# ---- the log of LevelDB ----


def test_a_flipped_bit_in_the_log_costs_the_writes_it_hits(
    copy: Path, whole: dict[int, bytes]
) -> None:
    log = newest(copy, "*.log")
    flip(log, log.stat().st_size // 2)
    found, damages = _read(copy)
    assert {damage.file for damage in damages} == {log.name}
    assert _is_rest(found, whole)
    assert len(found) >= len(whole) - 1


def test_a_flipped_length_in_the_log_does_not_hide_what_follows(
    copy: Path, whole: dict[int, bytes]
) -> None:
    log = newest(copy, "*.log")
    for at in (4, 5):  # both bytes of the first length
        flip(log, at, 0x7F)
    found, damages = _read(copy)
    assert damages[0] == Damage(log.name, 0, "a record does not match its checksum")
    assert len(found) >= len(whole) - 1


def test_a_write_that_a_crash_cut_short_is_no_damage(copy: Path, whole: dict[int, bytes]) -> None:
    log = newest(copy, "*.log")
    os.truncate(log, log.stat().st_size - 9)
    found, damages = _read(copy)
    assert damages == []
    assert _is_rest(found, whole)
    torn = ReplicaDirectory.read(copy).torn
    assert torn is not None and torn[0] == log.name


def test_zeros_that_a_file_system_left_behind_the_log_are_no_damage(
    copy: Path, whole: dict[int, bytes]
) -> None:
    log = newest(copy, "*.log")
    os.truncate(log, log.stat().st_size + 5000)
    assert _read(copy) == (whole, [])
    assert ReplicaDirectory.read(copy).torn is not None


def test_a_cut_log_with_a_newer_one_behind_it_is_damage(copy: Path) -> None:
    log = newest(copy, "*.log")
    (copy / "900000.log").write_bytes(b"")
    os.truncate(log, log.stat().st_size - 9)
    _, (damage,) = _read(copy)
    assert damage.file == log.name
    assert "a newer log follows" in damage.what


def test_a_missing_log_is_found_through_the_manifest(copy: Path) -> None:
    log = newest(copy, "*.log")
    log.unlink()
    _, damages = _read(copy)
    assert Damage(log.name, None, "the file is missing; the manifest names it") in damages


# ---- which files there are ----


def test_without_current_all_tables_and_logs_are_read(copy: Path, whole: dict[int, bytes]) -> None:
    (copy / "CURRENT").unlink()
    assert _read(copy) == (whole, [Damage("CURRENT", None, "the file is missing")])


def test_a_current_that_names_nothing_is_damage(copy: Path, whole: dict[int, bytes]) -> None:
    (copy / "CURRENT").write_bytes(b"")
    assert _read(copy) == (whole, [Damage("CURRENT", 0, "it does not name a manifest")])


def test_without_a_manifest_all_tables_and_logs_are_read(
    copy: Path, whole: dict[int, bytes]
) -> None:
    newest(copy, "MANIFEST-*").unlink()
    found, (damage,) = _read(copy)
    assert found == whole
    assert re.fullmatch(r"the file is missing; CURRENT names it", damage.what)


@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_a_truncated_manifest_hides_nothing(
    copy: Path, whole: dict[int, bytes], share: float
) -> None:
    manifest = newest(copy, "MANIFEST-*")
    os.truncate(manifest, int(manifest.stat().st_size * share))
    found, damages = _read(copy)
    assert found == whole
    assert [damage.file for damage in damages] == [manifest.name]


def test_a_flipped_bit_in_the_manifest_hides_nothing(copy: Path, whole: dict[int, bytes]) -> None:
    manifest = newest(copy, "MANIFEST-*")
    flip(manifest, manifest.stat().st_size // 2)
    found, (damage,) = _read(copy)
    assert found == whole
    assert damage.file == manifest.name


def test_files_without_content_that_matters_may_be_missing_or_damaged(
    copy: Path, whole: dict[int, bytes]
) -> None:
    (copy / "LOCK").unlink()
    flip(copy / "LOG", 3)
    assert _read(copy) == (whole, [])


# ---- what Mesos keeps ----


def test_a_key_that_is_no_position_is_reported(tmp_path: Path) -> None:
    make_database(
        tmp_path / "x",
        batch(1, **{"0000000000": b"\x08\x03\x22\x04\x08\x01\x10\x05"}),
        batch(2, odd=b""),
    )
    replica = ReplicaDirectory.read(tmp_path / "x")
    replica.state()
    assert replica.metadata.promised == 5
    assert [damage.what for damage in replica.damages] == [
        "the database holds a key that is no position: b'odd'"
    ]


def test_a_value_that_is_no_action_is_reported_with_its_position(tmp_path: Path) -> None:
    metadata = batch(1, **{"0000000000": b"\x08\x03\x22\x04\x08\x01\x10\x05"})
    make_database(tmp_path / "x", metadata, batch(2, **{"0000000008": b"\xff\xff"}))
    replica = ReplicaDirectory.read(tmp_path / "x")
    assert replica.state().end is None
    (damage,) = replica.damages
    assert damage.positions == (7, 7)


def test_a_block_compressed_with_snappy_is_unpacked_or_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libmesos does not write such blocks, unless a distribution built it so."""
    metadata = b"\x08\x03\x22\x04\x08\x01\x10\x05"
    _make_snappy(tmp_path / "x", metadata)
    replica = ReplicaDirectory.read(tmp_path / "x")
    assert (replica.metadata.promised, replica.damages) == (5, [])
    monkeypatch.setitem(__import__("sys").modules, "cramjam", None)
    replica = ReplicaDirectory.read(tmp_path / "x")
    assert any('needs the package "cramjam"' in damage.what for damage in replica.damages)


def _make_snappy(directory: Path, metadata: bytes) -> None:
    """A database with one table, whose only data block is a snappy literal."""

    def block(*items: tuple[bytes, bytes], packed: bool = False) -> bytes:
        data = b"".join(
            bytes([0, len(key), len(value)]) + key + value for key, value in items
        ) + struct.pack("<II", 0, 1)
        if packed:
            data = bytes([len(data), (len(data) - 1) << 2]) + data
        body = data + bytes([packed])
        return body + struct.pack("<I", crc(body))

    key = b"0000000000" + struct.pack("<Q", 1 << 8 | 1)
    data = block((key, metadata), packed=True)
    names = block()
    handle = bytes([0, len(data) - 5])
    index = block((key, handle))
    footer = bytes([len(data), len(names) - 5, len(data) + len(names), len(index) - 5])
    table = data + names + index + footer.ljust(40, b"\0") + bytes.fromhex("57fb808b247547db")
    make_database(directory)
    assert 128 <= len(table) < 256
    key_text = bytes([len(key)]) + key
    edit = (
        b"\1" + b"\x1aleveldb.BytewiseComparator" + b"\2\3\x07\0\5" + bytes([len(table) | 0x80, 1])
    )
    (directory / "MANIFEST-000002").write_bytes(journal(edit + key_text + key_text))
    (directory / "000005.ldb").write_bytes(table)


# ---- anything ----


@pytest.fixture(scope="session")
def small(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The newest table and the beginning of the log of `written`: enough to damage anything."""
    directory = Path(shutil.copytree(written, tmp_path_factory.mktemp("small") / "log"))
    for table in sorted(directory.glob("*.ldb"), key=lambda path: path.stat().st_size)[1:]:
        table.unlink()
    os.truncate(newest(directory, "*.log"), 40_000)
    return directory


_EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "zero", "end"]),
        st.floats(0, 1, exclude_max=True),
        st.integers(1, 255),
    ),
    min_size=1,
    max_size=5,
)


def _edit(data: bytearray, edits: list[tuple[str, float, int]]) -> bytes:
    for what, share, number in edits:
        at = int(share * len(data))
        if what == "flip" and data:
            data[at] ^= number
        elif what == "cut":
            del data[at : at + number]
        elif what == "insert":
            data[at:at] = bytes([number]) * number
        elif what == "zero":
            data[at : at + number] = bytes(len(data[at : at + number]))
        elif what == "end":
            del data[at:]
    return bytes(data)


@settings(
    max_examples=300,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    kind=st.sampled_from(["*.ldb", "*.log", "MANIFEST-*", "CURRENT"]),
    edits=_EDITS,
    blind=st.booleans(),
)
def test_whatever_happens_to_a_file_what_is_read_was_written(
    small: Path, kind: str, edits: list[tuple[str, float, int]], blind: bool
) -> None:
    """And with checksums that fit by accident, nothing worse than a wrong value comes of it."""
    path = newest(small, kind)
    original = path.read_bytes()
    unharmed = ReplicaDirectory.read(small)
    wanted = {action.position: action.data for action in unharmed.entries()}
    path.write_bytes(_edit(bytearray(original), edits))
    try:
        if blind:
            for module in ("journal", "table"):
                mock.patch(f"aurora_store.log.files.{module}.checksum_fits", _fits).start()
        replica = ReplicaDirectory.read(small)
        found = {action.position: action.data for action in replica.entries()}
        if not blind:
            assert found.items() <= wanted.items()
            if replica.damages == unharmed.damages and replica.torn == unharmed.torn:
                assert found == wanted or kind == "*.log"  # cut between two writes
    except LogUnavailable:
        pass
    finally:
        mock.patch.stopall()
        path.write_bytes(original)


def _fits(_stored: int, _data: bytes) -> bool:
    return True


# ---- what is refused before libmesos opens it: LevelDB shows a damaged table as an empty log ----


@pytest.mark.parametrize("which", [min, max])
def test_a_table_that_was_cut_is_refused_by_name(copy: Path, which: Callable[..., Path]) -> None:
    table = which(copy.glob("*.ldb"))
    size = table.stat().st_size
    os.truncate(table, size - 2000)
    with pytest.raises(Corrupt, match=f"{table.name}.*{size - 2000} bytes instead of {size}") as no:
        check_directory(copy)
    assert no.value.hint is not None and f"aurora-store log verify {copy}; with" in no.value.hint


def test_a_table_that_is_missing_is_refused_by_name(copy: Path) -> None:
    newest(copy, "*.ldb").unlink()
    with pytest.raises(Corrupt, match=r"\d+\.ldb: the table is missing"):
        check_directory(copy)


@pytest.mark.parametrize(("at", "what"), [(-1, "footer"), (-20, "footer"), (-100, "index")])
def test_a_table_that_cannot_be_looked_up_in_is_refused(copy: Path, at: int, what: str) -> None:
    table = newest(copy, "*.ldb")
    flip(table, at)
    with pytest.raises(Corrupt, match=f"{table.name}: .*its {what} cannot be read"):
        check_directory(copy)


def test_what_leveldb_reads_past_is_not_refused(copy: Path) -> None:
    log, manifest = newest(copy, "*.log"), newest(copy, "MANIFEST-*")
    os.truncate(log, log.stat().st_size - 9)
    with manifest.open("ab") as file:
        file.write(b"\0\0\0\0\xff\0\1")  # a record under way
    with newest(copy, "*.ldb").open("ab") as file:
        file.write(b"\0" * 100)
    newest(copy, "*.ldb").rename(newest(copy, "*.ldb").with_suffix(".sst"))
    assert check_directory(copy)


def test_the_check_before_opening_reads_little_of_a_table(copy: Path) -> None:
    flip(newest(copy, "*.ldb"), 100_000)  # in a block of entries
    assert check_directory(copy)
