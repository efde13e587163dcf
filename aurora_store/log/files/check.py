"""Whether a database has what its manifest names: what LevelDB does not ask when it is opened."""

from __future__ import annotations

from pathlib import Path

from aurora_store.log.files.coding import Malformed
from aurora_store.log.files.damage import Damage
from aurora_store.log.files.manifest import read_manifest
from aurora_store.log.files.table import check_table


def first_damage(manifest: Path) -> Damage | None:
    """The first thing wrong with a manifest, or with the tables that it names, in its directory.

    Of each table only footer and index are read: well below a millisecond. Where the manifest or a
    log ends within a record nothing is wrong; see `Journal`.

    Raises:
        OSError: a file cannot be read.
    """
    found: list[Damage] = []
    try:
        read = read_manifest(manifest.name, manifest.read_bytes(), found.append)
    except Malformed as exc:
        return Damage(manifest.name, None, str(exc))
    if found:
        return found[0]
    for number in sorted(read.tables):
        path = manifest.with_name(f"{number:06d}.ldb")
        if not path.exists():
            path = path.with_suffix(".sst")  # of older releases
        try:
            check_table(path, read.tables[number].size)
        except FileNotFoundError:
            return Damage(f"{number:06d}.ldb", None, "the table is missing")
        except Malformed as exc:
            return Damage(path.name, None, f"the table is damaged: {exc}")
    return None
