"""An ensemble is started from a rewritten log: the same directory for every replica."""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from harness import Worker, free_ports, spawn

from aurora_store.cli.commands import main
from aurora_store.libmesos import fetch

_WORKER = Path(__file__).parents[1] / "store_worker.py"


def _spawn(stack: ExitStack, directories: list[Path], **options: Any) -> list[Worker]:
    """A replica for each directory, in a process of its own."""
    peers = [f"127.0.0.1:{port}" for port in free_ports(len(directories))]
    workers = []
    for directory, address in zip(directories, peers, strict=True):
        worker = stack.enter_context(spawn(_WORKER, {"AURORA_STORE_LIBMESOS": str(fetch())}))
        worker.call("open_store", directory=str(directory), address=address, peers=peers, **options)
        workers.append(worker)
    for pending in [worker.start("catch_up") for worker in workers]:
        pending.result()
    return workers


def _run(*arguments: str | Path | int) -> Any:
    ran = CliRunner().invoke(main, [*map(str, arguments), "--json"])
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def test_three_replicas_start_from_a_rewritten_log_without_the_bad_transaction(
    tmp_path: Path,
) -> None:
    old = [tmp_path / f"old{number}" for number in range(3)]
    new = [tmp_path / f"new{number}" for number in range(3)]
    with ExitStack() as stack:
        workers = _spawn(stack, old, auto_initialize=True)
        leader = workers[0]
        leader.call("lead")
        leader.call("script", statements=["CREATE TABLE t (a)", "INSERT INTO t VALUES (1)"])
        bad = leader.call("script", statements=["UPDATE t SET a = 666"])
        last = leader.call("script", statements=["INSERT INTO t VALUES (2)"])
        for worker in workers:
            worker.call("wait_for", position=last)
            worker.kill()
    # The directory of a replica that was killed tells of everything as well.
    for directory in old:
        assert _run("sql", directory, "--at", bad, "SELECT a FROM t")["rows"] == [[666]]
    assert _run("log", "show", old[1], bad)["rows"][0]["before"] == {"a": 1}

    told = _run("log", "rewrite", old[0], tmp_path / "new", "--to", last, "--without", bad)
    assert told["left_out"]["rows"] == {"t": 1}
    for directory in new:
        shutil.copytree(tmp_path / "new", directory)
    with ExitStack() as stack:
        workers = _spawn(stack, new)
        workers[2].call("lead")
        position = workers[2].call("script", statements=["INSERT INTO t VALUES (3)"])
        for worker in workers:
            worker.call("wait_for", position=position)
            assert worker.call("query", statement="SELECT a FROM t ORDER BY a") == [[1], [2], [3]]
            assert len(set(worker.call("checksums"))) == 1
