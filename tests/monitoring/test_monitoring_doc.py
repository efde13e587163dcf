"""``docs/monitoring.md``: its example runs, its rules can be loaded and fire when they should."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from harness import free_ports

from aurora_store import errors
from aurora_store.libmesos import fetch
from aurora_store.monitoring.access import Token

_DOC = Path(__file__).parents[2] / "docs" / "monitoring.md"
_TEXT = _DOC.read_text()


def rules() -> str:
    """The alerts."""
    found = re.search(r"```yaml\n(.*?)```", _TEXT, re.DOTALL)
    assert found is not None
    return found[1]


def promtool() -> str:
    """Its path; without it the test is skipped."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    return found


def test_the_example_runs_and_prints_what_the_page_says(tmp_path: Path) -> None:
    found = re.search(
        r"```python\n(?P<code>.*?)```.*?```text\n(?P<output>.*?)```", _TEXT, re.DOTALL
    )
    assert found is not None
    assert "/var/lib/scheduler" in found["code"] and "9150" in found["code"]
    [port] = free_ports(1)
    code = found["code"].replace("/var/lib/scheduler", str(tmp_path)).replace("9150", str(port))
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
        env={
            **os.environ,
            "AURORA_STORE_LIBMESOS": str(fetch()),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
    )
    assert ran.stderr == ""
    assert ran.stdout == found["output"].replace("9150", str(port))


def test_the_command_for_a_token_makes_one(tmp_path: Path) -> None:
    found = re.search(r"```sh\n(\(umask.*?)```", _TEXT, re.DOTALL)
    assert found is not None
    subprocess.run(["sh", "-c", found[1]], cwd=tmp_path, check=True, timeout=60.0)
    file = tmp_path / "monitoring-token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Token.read(file).permits(f"Bearer {file.read_text().strip()}")


def test_the_exit_codes_are_those_of_the_errors() -> None:
    table = _TEXT.partition("| Exit code |")[2].partition("\n\n")[0]
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", table, re.MULTILINE)}
    classes = (errors.NoLeader, errors.ReplicaDown, errors.ElectionUnavailable)
    assert codes == {0, *(each.exit_code for each in classes)}


def test_the_alerts_use_documented_metrics_alone() -> None:
    table = _TEXT.partition("## Metrics")[2].partition("\n## ")[0]
    documented = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    used = {name.removesuffix("_bucket") for name in re.findall(r"aurora_store_\w+", rules())}
    assert used
    assert used <= documented


def test_prometheus_takes_the_alerts(tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(rules())
    checked = subprocess.run(
        [promtool(), "check", "rules", str(file)],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{rules().count('- alert:')} rules found" in checked.stdout


def test_the_alerts_fire_when_they_should(tmp_path: Path) -> None:
    (tmp_path / "rules.yml").write_text(rules())
    (tmp_path / "test.yml").write_text(_SCENARIOS)
    checked = subprocess.run(
        [promtool(), "test", "rules", "test.yml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


# At minute 5 all is well; at minute 20 nothing is.
_SCENARIOS = """
rule_files: [rules.yml]
evaluation_interval: 15s
tests:
  - interval: 15s
    input_series:
      - {series: 'up{job="scheduler", instance="a"}', values: '1x39 0x60'}
      - {series: 'aurora_store_state{job="scheduler", instance="a", state="leading"}',
         values: '1x39 0x60'}
      - {series: 'aurora_store_state{job="scheduler", instance="b", state="leading"}',
         values: '0x100'}
      - {series: 'aurora_store_state{job="scheduler", instance="b", state="failed"}',
         values: '0x39 1x60'}
      - {series: 'aurora_store_lag_entries{job="scheduler", instance="b"}',
         values: '1000x39 1001x60'}
      - {series: 'aurora_store_last_entry_age_seconds{job="scheduler", instance="b"}',
         values: '0x39 15+15x60'}
      - {series: 'aurora_store_schema{job="scheduler", instance="b", standing="too new"}',
         values: '0x39 1x60'}
      - {series: 'BUCKET{job="scheduler", instance="a", le="0.5"}',
         values: '0+100x39 4000x60'}
      - {series: 'BUCKET{job="scheduler", instance="a", le="1.0"}',
         values: '0+100x100'}
      - {series: 'BUCKET{job="scheduler", instance="a", le="+Inf"}',
         values: '0+100x100'}
      - {series: 'aurora_store_oldest_reader_age_versions{job="scheduler", instance="b"}',
         values: '0x39 200000+100x60'}
    promql_expr_test:
      - {expr: 'count(ALERTS) or vector(0)', eval_time: 5m, exp_samples: [{labels: '{}', value: 0}]}
      - {expr: 'count(count by (alertname) (ALERTS{alertstate="firing"}))', eval_time: 20m,
         exp_samples: [{labels: '{}', value: COUNT}]}
"""
_SCENARIOS = _SCENARIOS.replace("COUNT", str(rules().count("- alert:")))
_SCENARIOS = _SCENARIOS.replace("BUCKET", "aurora_store_append_latency_seconds_bucket")
