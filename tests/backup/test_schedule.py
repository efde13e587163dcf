"""A schedule of backups: when one is due, what is kept, and what a failure leaves behind."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from aurora_store import Store
from aurora_store.backup import Backup, BackupSchedule, list_backups, sidecar_of, verify
from aurora_store.errors import BackupFailed, Corrupt

NOW = datetime.now(timezone.utc)


def complete(directory: Path) -> list[str]:
    return [path.name for path, found in list_backups(directory) if isinstance(found, Backup)]


def put_back(path: Path, days: int) -> None:
    """Renames a backup as if it were made so long ago."""
    older = f"backup-{NOW - timedelta(days=days):%Y%m%dT%H%M%SZ}-{path.name.split('-', 2)[2]}"
    sidecar_of(path).rename(sidecar_of(path.with_name(older)))
    path.rename(path.with_name(older))


def test_names_sort_by_time_and_carry_the_position(store: Store, tmp_path: Path) -> None:
    backup = BackupSchedule(tmp_path).run(store)
    assert backup.path.parent == tmp_path
    assert backup.path.name.endswith(f"-p{backup.position:010d}.db.zst")
    assert backup.path.name.startswith(f"backup-{datetime.now(timezone.utc):%Y%m%dT%H}")
    plain = BackupSchedule(tmp_path, compress=False).run(store)
    assert plain.path.name.endswith(".db")


def test_the_first_is_due_at_once_and_the_next_after_the_interval(
    store: Store, tmp_path: Path
) -> None:
    schedule = BackupSchedule(tmp_path, every=timedelta(hours=1))
    assert schedule.due()
    schedule.run(store)
    assert not schedule.due()
    assert schedule.due(datetime.now(timezone.utc) + timedelta(hours=1, seconds=1))
    # Another process, another replica on the same directory: it looks at what is there.
    assert not BackupSchedule(tmp_path, every=timedelta(hours=1)).due()


def test_only_so_many_are_kept_and_the_newest_ones(store: Store, tmp_path: Path) -> None:
    schedule = BackupSchedule(tmp_path, keep=2)
    for days in (4, 3, 2):
        put_back(schedule.run(store).path, days)
    newest = schedule.run(store)
    kept = complete(tmp_path)
    assert len(kept) == 2 and kept[-1] == newest.path.name
    assert f"{NOW - timedelta(days=2):%Y%m%d}" in kept[0]
    assert len(list(tmp_path.iterdir())) == 4


def test_files_of_others_and_incomplete_ones_are_never_deleted(
    store: Store, tmp_path: Path
) -> None:
    strangers = [
        tmp_path / "backup-20200101T000000Z-p0000000001.db",  # without a sidecar
        tmp_path / "backup-of-mine.db",
        tmp_path / "notes.txt",
        tmp_path / ".backup-20200101T000000Z-p0000000001.db.x.part",  # young: may be under way
    ]
    for path in strangers:
        path.write_text("precious")
    schedule = BackupSchedule(tmp_path, keep=1)
    put_back(schedule.run(store).path, 1)
    schedule.run(store)
    assert len(complete(tmp_path)) == 1
    assert all(path.read_text() == "precious" for path in strangers)
    found = dict(list_backups(tmp_path))[strangers[0]]
    assert isinstance(found, Corrupt)


def test_a_list_has_backups_of_any_name_in_the_order_of_the_log(
    store: Store, tmp_path: Path
) -> None:
    made = []
    for name in ("z.db", "before-upgrade.db", "a.db.zst"):
        with store.begin() as connection:
            connection.exec_driver_sql("DELETE FROM t WHERE id = (SELECT max(id) FROM t)")
        made.append(store.backup(tmp_path / name))
    made.append(BackupSchedule(tmp_path).run(store))
    (tmp_path / "notes.txt").write_text("no backup")
    for text in ("[]", "{", '{"format": 9}'):
        (tmp_path / "settings").write_text("no backup")
        (tmp_path / "settings.json").write_text(text)
        assert list_backups(tmp_path) == [(backup.path, backup) for backup in made]


def test_a_sidecar_whose_file_is_gone_is_listed_as_such(store: Store, tmp_path: Path) -> None:
    store.backup(tmp_path / "b.db").path.unlink()
    ((path, found),) = list_backups(tmp_path)
    assert path == tmp_path / "b.db"
    assert isinstance(found, BackupFailed) and "No such file" in found.message


def test_a_schedule_neither_counts_nor_deletes_backups_of_another_name(
    store: Store, tmp_path: Path
) -> None:
    mine = store.backup(tmp_path / "before-upgrade.db")
    schedule = BackupSchedule(tmp_path, keep=1)
    assert schedule.due()
    put_back(schedule.run(store).path, 1)
    newest = schedule.run(store)
    assert sorted(complete(tmp_path)) == sorted([newest.path.name, mine.path.name])
    assert not [check for check in verify(mine.path)[1] if check.problem]


def test_what_a_killed_process_left_is_cleaned_up_after_a_day(store: Store, tmp_path: Path) -> None:
    left = tmp_path / ".backup-20200101T000000Z-p0000000001.db.zst.abc.part"
    left.write_text("half")
    os.utime(left, (0, 0))
    BackupSchedule(tmp_path).run(store)
    assert not left.exists()


def test_a_failure_is_told_deletes_nothing_and_is_tried_again_later(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    directory = tmp_path / "backups"
    directory.mkdir()
    schedule = BackupSchedule(directory, keep=1)
    good = schedule.run(store)
    put_back(good.path, 1)
    directory.rename(tmp_path / "elsewhere")
    directory.write_text("a file where the directory was")
    for failures in (1, 2):
        with pytest.raises(BackupFailed, match="backups"):
            schedule.run(store)
        assert schedule.state.failures == failures
    assert schedule.state.problem and schedule.state.last == good
    assert "no backup was made" in caplog.text
    assert not schedule.due()
    assert schedule.due(datetime.now(timezone.utc) + timedelta(minutes=6))
    directory.unlink()
    (tmp_path / "elsewhere").rename(directory)
    assert len(complete(directory)) == 1
    schedule.run(store)
    assert (schedule.state.failures, schedule.state.problem) == (0, "")


def test_a_directory_that_is_not_there_is_not_made(store: Store, tmp_path: Path) -> None:
    directory = tmp_path / "disk" / "backups"
    schedule = BackupSchedule(directory)
    assert schedule.due()
    with pytest.raises(BackupFailed, match="is not there") as raised:
        schedule.run(store)
    assert raised.value.hint is not None and "mounted" in raised.value.hint
    assert schedule.state.failures == 1 and "is not there" in schedule.state.problem
    assert list(tmp_path.iterdir()) == []
    directory.mkdir(parents=True)  # as if it were mounted by now
    schedule.run(store)
    assert len(complete(directory)) == 1


def test_a_truncated_newest_does_not_count_as_one_that_is_kept(
    store: Store, tmp_path: Path
) -> None:
    schedule = BackupSchedule(tmp_path, keep=1)
    good = schedule.run(store)
    put_back(good.path, 1)
    bad = schedule.run(store)
    os.truncate(bad.path, 10)
    assert complete(tmp_path) == [], "keep=1 left only the newest, which is damaged now"
    assert schedule.due()
    again = schedule.run(store)
    assert complete(tmp_path) == [again.path.name]
    assert not [check for check in verify(again.path)[1] if check.problem]


@pytest.mark.parametrize(
    "options", [{"keep": 0}, {"every": timedelta(0)}, {"every": timedelta(seconds=-1)}]
)
def test_a_schedule_that_makes_no_sense_is_refused(
    tmp_path: Path, options: dict[str, object]
) -> None:
    with pytest.raises(ValueError):
        BackupSchedule(tmp_path, **options)  # type: ignore[arg-type]
