"""Writes what this release leaves behind into tests/golden/releases/, for all later ones to read.

Run by hand when a release is made; never again for the same one: see README.md beside this.
"""

from __future__ import annotations

import json
import lzma
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

import golden_schema
import golden_worker

from aurora_store import __version__
from aurora_store.libmesos import fetch

RELEASES = Path(__file__).with_name("releases")


def write_release(version: str, releases: Path = RELEASES) -> Path:
    """Makes the directory of a release; returns it.

    Raises:
        FileExistsError: it is there: what was released does not change.
    """
    if (releases / version).exists():
        raise FileExistsError(f"{releases / version} is there: what was released does not change")
    with tempfile.TemporaryDirectory() as temporary:
        log, release = Path(temporary) / "log", Path(temporary) / "release"
        contents = golden_worker.write(str(log))
        release.mkdir()
        with tarfile.open(release / "log.tar.xz", "w:xz", preset=9 | lzma.PRESET_EXTREME) as tar:
            for path in sorted(log.iterdir()):
                if path.is_file() and path.name != "LOCK":
                    tar.add(path, f"log/{path.name}", filter=_anonymous)
        text = json.dumps(contents, indent=1, ensure_ascii=False, sort_keys=True)
        (release / "contents.json").write_text(text + "\n", "utf-8")
        schema = golden_schema.text_of(golden_schema.current())
        (release / "schema.sql").write_text(schema, "utf-8")
        return Path(shutil.copytree(release, releases / version))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    fetch()
    try:
        print(write_release(__version__))
    except FileExistsError as exc:
        sys.exit(str(exc))
