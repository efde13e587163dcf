"""``python -m benchmarks`` runs and writes the document that it promises."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def test_quick_point_reads_write_a_document(tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "point-reads"]
    ended = subprocess.run(
        [*command, "--json", str(path), "--directory", str(tmp_path / "logs")],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert "cores" in ended.stdout

    document = json.loads(path.read_text())
    assert document.keys() == {"machine", "settings", "benchmarks"}
    assert {"cores", "cpu", "kernel", "date"} <= document["machine"].keys()
    assert document["settings"]["quick"] is True
    assert document["benchmarks"].keys() == {"point-reads"}
    rows = document["benchmarks"]["point-reads"]["rows"]
    assert [row["database"] for row in rows] == ["pysqlite3 :memory:", "store"] * 2
    for row in rows:
        assert row.keys() == {
            "transaction",
            "database",
            "count",
            "per_s",
            "p50_us",
            "p99_us",
            "p50_to_plain",
        }
        assert row["count"] > 0
        assert row["p50_us"] > 0
    assert not list((tmp_path / "logs").iterdir())  # the logs were removed
