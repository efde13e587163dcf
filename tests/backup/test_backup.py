"""A backup is an ordinary SQLite file of one version, and whatever happens to it is found."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import zstandard
from memory_stores import MemoryEnsemble

from aurora_store import Store
from aurora_store.backup import Backup, sidecar_of, verify
from aurora_store.errors import BackupFailed, Corrupt, FormatTooNew, StoreError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")


def rows(path: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT id, body FROM t ORDER BY id").fetchall()


def problems(path: Path) -> dict[str, str]:
    return {check.name: check.problem for check in verify(path)[1] if check.problem}


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


@pytest.mark.parametrize("name", ["b.db", "b.db.zst"])
def test_a_backup_says_where_in_the_log_it_is_from_and_proves_itself(
    store: Store, tmp_path: Path, name: str
) -> None:
    status = store.status()
    backup = store.backup(tmp_path / name)
    assert (backup.position, backup.version) == (status.position, status.version)
    assert (backup.checksum, backup.page_count) == (f"{status.checksum:016x}", status.pages)
    assert (backup.epoch, backup.user_version, backup.host) == (status.epoch, 7, "one:1")
    assert backup.alembic_version is None
    assert backup.time.endswith("Z")
    found, checks = verify(tmp_path / name)
    assert found == backup
    names = ["file", "compression", "database", "integrity"]
    assert [check.name for check in checks] == (
        names if backup.compressed else [names[0], *names[2:]]
    )
    assert [check.problem for check in checks] == [""] * len(checks)


def test_a_plain_backup_is_what_sqlite_reads_and_a_compressed_one_unpacks_to_it(
    store: Store, tmp_path: Path
) -> None:
    plain = store.backup(tmp_path / "b.db")
    packed = store.backup(tmp_path / "b.db.zst")
    assert len(rows(plain.path)) == 1000
    with packed.path.open("rb") as file:
        unpacked = zstandard.ZstdDecompressor().stream_reader(file).read()
    assert unpacked == plain.path.read_bytes()
    assert packed.size < plain.size


def test_the_name_of_a_file_says_whether_it_is_compressed_and_in_a_directory_the_flag(
    store: Store, tmp_path: Path
) -> None:
    assert store.backup(tmp_path / "b.db.zst").compressed
    assert store.backup(tmp_path / "b.db.zst", compress=True).compressed
    assert not store.backup(tmp_path / "b.db").compressed
    before = contents(tmp_path)
    for name in ("b.db", "new.db"):
        with pytest.raises(ValueError, match=r"\.zst"):
            store.backup(tmp_path / name, compress=True)
    assert contents(tmp_path) == before
    for name in ("folder", "folder.zst"):
        (tmp_path / name).mkdir()
        for compress in (False, True):
            backup = store.backup(tmp_path / name, compress=compress)
            assert backup.compressed == backup.path.name.endswith(".zst") == compress


def test_both_files_are_their_owners_alone_and_nothing_else_is_left(
    store: Store, tmp_path: Path
) -> None:
    store.backup(tmp_path / "b.db")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.db", "b.db.json"]
    for path in tmp_path.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_the_sidecar_names_alembics_revision(store: Store, tmp_path: Path) -> None:
    with store.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num TEXT)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('ae1027a6acf')")
    assert store.backup(tmp_path / "b.db").alembic_version == "ae1027a6acf"


def test_a_standby_makes_the_same_backup_as_the_leader(
    ensemble: MemoryEnsemble, store: Store, tmp_path: Path
) -> None:
    standby = ensemble.open("two:1")
    standby.wait_for(store.position)
    of_leader = store.backup(tmp_path / "leader.db")
    of_standby = standby.backup(tmp_path / "standby.db")
    assert of_standby.sha256 == of_leader.sha256
    assert (of_standby.position, of_standby.time) == (of_leader.position, of_leader.time)


def test_an_empty_database_can_be_backed_up(ensemble: MemoryEnsemble, tmp_path: Path) -> None:
    store = ensemble.open("one:1")
    store.lead()
    backup = store.backup(tmp_path / "b.db.zst")
    assert (backup.page_count, backup.size > 0) == (0, True)
    assert problems(backup.path) == {}


def test_writers_go_on_and_a_backup_holds_no_half_of_what_they_do(
    store: Store, tmp_path: Path
) -> None:
    with store.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE bank (account INTEGER PRIMARY KEY, money INTEGER)")
        connection.exec_driver_sql("INSERT INTO bank VALUES (1, 1000), (2, 0)")
    stopping = threading.Event()
    written: list[int] = []

    def write() -> None:
        while not stopping.is_set():
            with store.begin() as connection:
                connection.exec_driver_sql("UPDATE bank SET money = money - 1 WHERE account = 1")
                connection.exec_driver_sql("UPDATE bank SET money = money + 1 WHERE account = 2")
            written.append(1)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        for number in range(5):
            before = len(written)
            backup = store.backup(tmp_path / f"{number}.db")
            assert problems(backup.path) == {}
            with closing(sqlite3.connect(backup.path)) as connection:
                total = connection.execute("SELECT sum(money) FROM bank").fetchone()
            assert total == (1000,)
            while len(written) == before:
                assert thread.is_alive()
    finally:
        stopping.set()
        thread.join(20)


def test_pages_without_content_are_told_from_pages_of_zeros(store: Store, tmp_path: Path) -> None:
    with store.begin() as connection:
        # Its pages are taken and freed in one transaction: SQLite never writes them.
        connection.exec_driver_sql("CREATE TABLE brief (b BLOB)")
        connection.exec_driver_sql("INSERT INTO brief VALUES (zeroblob(100000))")
        connection.exec_driver_sql("CREATE TABLE kept (b BLOB)")
        connection.exec_driver_sql("INSERT INTO kept VALUES (zeroblob(100000))")
        connection.exec_driver_sql("DELETE FROM brief")
    backup = store.backup(tmp_path / "b.db")
    assert backup.absent_pages, "no page without content: the test does not test what it should"
    assert problems(backup.path) == {}
    document = json.loads(sidecar_of(backup.path).read_text())
    document["absent_pages"] = document["absent_pages"][1:]
    sidecar_of(backup.path).write_text(json.dumps(document))
    assert set(problems(backup.path)) == {"database"}


# ---- what it does not replace ----


def refused(store: Store, target: Path) -> str:
    """What a backup is refused with that would destroy something; it touches nothing."""
    before = contents(target.parent)
    with pytest.raises(BackupFailed) as raised:
        store.backup(target)
    assert raised.value.hint is not None and "name " in raised.value.hint
    assert contents(target.parent) == before
    return raised.value.message


def test_a_backup_replaces_a_backup_of_the_same_name(store: Store, tmp_path: Path) -> None:
    store.backup(tmp_path / "nightly.db")
    with store.begin() as connection:
        connection.exec_driver_sql("DELETE FROM t WHERE id > 10")
    again = store.backup(tmp_path / "nightly.db")
    assert verify(tmp_path / "nightly.db")[0] == again
    assert problems(again.path) == {}
    assert sorted(contents(tmp_path)) == ["nightly.db", "nightly.db.json"]


def test_a_file_of_somebody_else_is_not_replaced(store: Store, tmp_path: Path) -> None:
    (tmp_path / "precious.db").write_text("precious")
    assert "precious.db is there" in refused(store, tmp_path / "precious.db")
    (tmp_path / "precious.db.json").write_text("[]")
    assert "precious.db is there" in refused(store, tmp_path / "precious.db")


def test_what_lies_where_the_sidecar_goes_is_not_replaced(store: Store, tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text('{"precious": true}')
    assert "settings.json is there" in refused(store, tmp_path / "settings")
    (tmp_path / "folder.json").mkdir()
    assert "not a regular file" in refused(store, tmp_path / "folder")


def test_what_is_no_regular_file_is_not_replaced(store: Store, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere.db")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        assert "not a regular file" in refused(store, tmp_path / name)
    assert (tmp_path / "link").is_symlink() and (tmp_path / "pipe").is_fifo()


def test_nothing_is_written_into_a_log_directory(store: Store, tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.mkdir()
    (log / "CURRENT").write_text("MANIFEST-000002\n")
    for target in (log / "CURRENT", log / "new.db"):
        assert "is a log directory" in refused(store, target)
    with pytest.raises(BackupFailed, match="is a log directory"):
        store.backup(log)
    assert contents(log) == {"CURRENT": b"MANIFEST-000002\n"}


def test_a_file_that_appears_while_it_copies_is_not_replaced(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "b.db"
    with pytest.raises(BackupFailed, match=r"b\.db is there"):
        store.backup(target, progress=lambda *_: target.write_text("precious") and None)
    assert contents(tmp_path) == {"b.db": b"precious"}


# ---- damage ----


@pytest.fixture(params=["b.db", "b.db.zst"], ids=["plain", "zstd"])
def backup(request: pytest.FixtureRequest, store: Store, tmp_path: Path) -> Backup:
    return store.backup(tmp_path / request.param)


def test_a_truncated_file_is_found(backup: Backup) -> None:
    os.truncate(backup.path, backup.size - 100)
    found = problems(backup.path)
    assert str(backup.size - 100) in found["file"]
    assert ("compression" in found) == backup.compressed
    assert ("database" in found) != backup.compressed


@pytest.mark.parametrize("where", [0.1, 0.5, 0.9])
def test_a_flipped_bit_is_found(backup: Backup, where: float) -> None:
    content = bytearray(backup.path.read_bytes())
    content[int(len(content) * where)] ^= 1
    backup.path.write_bytes(content)
    found = problems(backup.path)
    assert "SHA-256" in found["file"]
    assert "compression" in found or "database" in found


def test_another_file_with_a_sidecar_that_fits_it_is_found_by_its_pages(
    backup: Backup, tmp_path: Path
) -> None:
    # As if both were written wrongly: the log's own checksum is what it is held against.
    if backup.compressed:
        pytest.skip("the plain one shows it")
    with closing(sqlite3.connect(backup.path)) as connection:
        connection.execute("UPDATE t SET body = 'changed' WHERE id = 500")
        connection.commit()
    document = json.loads(sidecar_of(backup.path).read_text())
    document["sha256"] = subprocess.run(
        ["sha256sum", backup.path], capture_output=True, text=True, check=True
    ).stdout.split()[0]
    sidecar_of(backup.path).write_text(json.dumps(document))
    assert set(problems(backup.path)) == {"database"}


def test_a_backup_without_its_sidecar_is_no_backup(backup: Backup) -> None:
    sidecar_of(backup.path).unlink()
    with pytest.raises(Corrupt, match="no backup") as raised:
        verify(backup.path)
    assert raised.value.hint is not None and ".json" in raised.value.hint


def test_a_sqlite_file_of_somebody_else_is_no_backup(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "foreign.db")) as connection:
        connection.execute("CREATE TABLE t (a)")
    with pytest.raises(Corrupt, match="no backup"):
        verify(tmp_path / "foreign.db")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "\xff",
        "[]",
        pytest.param("[" * 100_000, id="deep"),
        "{}",
        "null",
        "7",
        '"aurora-store"',
        '{"format": 1, "size": "many"}',
        '{"software": "aurora-store 1", "format": Infinity}',
        '{"software": "aurora-store 1", "format": [1]}',
    ],
)
def test_a_damaged_sidecar_is_named_in_words(backup: Backup, text: str) -> None:
    sidecar_of(backup.path).write_bytes(text.encode("latin-1"))
    with pytest.raises(Corrupt, match="not a backup's sidecar") as raised:
        verify(backup.path)
    beside = sidecar_of(backup.path)
    assert raised.value.message == f"{beside} is not a backup's sidecar, or is damaged"
    assert raised.value.hint is not None


def test_of_a_file_that_is_not_there_it_does_not_ask_for_the_sidecar(tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match=r"there is no file .*missing\.db"):
        verify(tmp_path / "missing.db")
    with pytest.raises(BackupFailed, match="is a directory"):
        verify(tmp_path)


def test_a_sidecar_of_a_newer_release_is_left_to_that(backup: Backup) -> None:
    document = json.loads(sidecar_of(backup.path).read_text())
    sidecar_of(backup.path).write_text(json.dumps({**document, "format": 2}))
    with pytest.raises(FormatTooNew, match="format 2"):
        verify(backup.path)


def test_a_backup_whose_file_is_missing_says_so(backup: Backup) -> None:
    backup.path.unlink()
    with pytest.raises(BackupFailed, match=r"b\.db"):
        verify(backup.path)


# ---- no room, no right ----


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr}")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


@as_root
@pytest.mark.parametrize("name", ["b.db", "b.db.zst"])
def test_on_a_full_disk_it_fails_with_the_reason_and_what_was_there_stays(
    store: Store, small_disk: Path, name: str
) -> None:
    with store.begin() as connection:
        connection.exec_driver_sql("DELETE FROM t WHERE id > 10")
    connection = store.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    with connection:
        connection.exec_driver_sql("VACUUM")
    good = store.backup(small_disk / name)
    with store.begin() as connection:
        connection.exec_driver_sql("INSERT INTO t (body) VALUES (hex(randomblob(2000000)))")
    with pytest.raises(BackupFailed, match="No space left") as raised:
        store.backup(small_disk / name)
    assert raised.value.hint is not None and "room" in raised.value.hint
    assert sorted(path.name for path in small_disk.iterdir()) == [name, f"{name}.json"]
    assert verify(small_disk / name)[0] == good
    assert problems(small_disk / name) == {}


def test_a_directory_that_is_not_there_is_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="missing"):
        store.backup(tmp_path / "missing" / "b.db")


def test_a_replica_that_cannot_be_read_makes_none(
    ensemble: MemoryEnsemble, store: Store, tmp_path: Path
) -> None:
    store.close()
    with pytest.raises(StoreError):
        store.backup(tmp_path / "b.db")
    assert list(tmp_path.iterdir()) == []
