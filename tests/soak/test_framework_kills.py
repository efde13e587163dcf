"""A hundred leaders of the example framework are killed, active ones and such that take over.

KILLS says how many (100). A run prints its seed, which SEED repeats. The times go into
``build/framework-kills.json``.
"""

from __future__ import annotations

import json
import os
import random
import statistics
from pathlib import Path

from mesos_cluster import clean_environment

from aurora_store.demo.framework import Options, run
from aurora_store.libmesos import fetch

_RESULT = Path(__file__).parents[2] / "build" / "framework-kills.json"


def test_framework_survives_its_leaders() -> None:
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"seed {seed}")
    options = Options(
        kills=int(os.environ.get("KILLS", "100")),
        early=0.3,
        pause_s=(0.2, 3.0),
        session_timeout=1.0,
        seed=seed,
    )
    with clean_environment({"AURORA_STORE_LIBMESOS": str(fetch())}):
        result = run(options, lambda *_: None)
    _RESULT.parent.mkdir(exist_ok=True)
    _RESULT.write_text(json.dumps(result, indent=1) + "\n")
    takeovers = result["takeovers"]
    print(f"\n{result['tasks']} tasks, {len(takeovers)} takeovers of {options.kills} kills, in ms:")
    for step in takeovers[0]["ms"]:
        values = [each["ms"][step] for each in takeovers]
        median = statistics.median(values)
        print(f"{step:>14} {min(values):9.1f} {median:9.1f} {max(values):9.1f}")
    assert result["differences"] == []
    assert {each["framework_id"] for each in takeovers} == {result["framework_id"]}
    # A run in which tasks do not come and go would prove little.
    assert result["tasks_started"] > options.kills
