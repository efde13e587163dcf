"""Unit files: what stands in for systemd must do what they say, or refuse."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from vagrant.namespaces.settings import VAGRANT, read_settings
from vagrant.namespaces.units import Unit, UnitError, expand, read_environment_file, read_unit

UNITS = sorted((VAGRANT / "systemd").glob("*.service"))


def unit(tmp_path: Path, *texts: str) -> Unit:
    """A unit of a file and its drop-ins."""
    paths = [tmp_path / f"{number}.service" for number in range(len(texts))]
    for path, content in zip(paths, texts, strict=True):
        path.write_text(content)
    return read_unit("example", paths)


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_units_of_the_cluster_restart_and_run_without_privileges(path: Path) -> None:
    found = read_unit(path.stem, [path])
    assert found.restart
    assert found.user != "root"
    assert found.umask == 0o077
    assert found.state_directory_mode == 0o700
    assert found.no_new_privileges and found.no_capabilities and found.read_only_system


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_finds_nothing_wrong_with_the_units(path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing: install systemd")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(path)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    complaints = [
        line
        for line in done.stderr.splitlines()
        # It is not installed where the tests run.
        if line and "/opt/aurora-store/venv/bin/python is not executable" not in line
    ]
    assert complaints == []


def test_everything_is_read(tmp_path: Path) -> None:
    found = unit(
        tmp_path,
        "# a comment\n[Unit]\nDescription=x\n[Service]\nUser=a\nExecStart=/bin/x --a ${A} \\\n  $B"
        "\n"
        "Environment=A=1 'B=2 3'\nEnvironmentFile=/e\nRestart=always\nRestartSec=2\nUMask=0077\n"
        "StateDirectory=s\nStateDirectoryMode=0700\nRuntimeDirectory=r\nTimeoutStopSec=7\n"
        "CapabilityBoundingSet=\nProtectSystem=strict\nPrivateTmp=yes\nNoNewPrivileges=yes\n",
    )
    assert found == Unit(
        name="example",
        command=("/bin/x", "--a", "${A}", "$B"),
        user="a",
        group="a",
        environment={"A": "1", "B": "2 3"},
        environment_files=(Path("/e"),),
        state_directories=(Path("/var/lib/s"),),
        state_directory_mode=0o700,
        runtime_directories=(Path("/run/r"),),
        umask=0o077,
        restart=True,
        restart_after=2.0,
        stop_limit=7.0,
        no_new_privileges=True,
        no_capabilities=True,
        read_only_system=True,
        private_tmp=True,
    )


def test_drop_in_adds_and_takes_back(tmp_path: Path) -> None:
    found = unit(
        tmp_path,
        "[Service]\nExecStart=/bin/a\nEnvironment=A=1\nRestart=always\n",
        "[Service]\nExecStart=\nExecStart=/bin/b\nEnvironment=B=2\n",
    )
    assert found.command == ("/bin/b",)
    assert found.environment == {"A": "1", "B": "2"}
    assert found.restart


def test_variables_are_put_in_as_systemd_does() -> None:
    values = {"A": "x y", "B": ""}
    words = ["${A}", "$A", "--a=${A}:1", "$B", "${B}", "plain", "$UNKNOWN"]
    assert expand(words, values) == ["x y", "x", "y", "--a=x y:1", "", "plain"]


def test_environment_file(tmp_path: Path) -> None:
    path = tmp_path / "env"
    path.write_text("# a comment\nA=1\n\nB=x=y\n")
    assert read_environment_file(path) == {"A": "1", "B": "x=y"}


@pytest.mark.parametrize(
    "text",
    [
        "[Service]\nExecStart=/bin/a\nMemoryMax=1G\n",
        "[Service]\nExecStart=/bin/a\nExecStartPre=/bin/b\n",
        "[Service]\nExecStart=/bin/a %i\n",
        "[Service]\nExecStart=/bin/a\nRestart=on-failure\n",
        "[Service]\nExecStart=/bin/a\nCapabilityBoundingSet=CAP_NET_ADMIN\n",
        "[Unit]\nOnFailure=x\n[Service]\nExecStart=/bin/a\n",
        "[Socket]\nListenStream=1\n",
        "[Service]\nExecStart=a\n",
        "[Service]\nUser=x\n",
        "[Service]\nnonsense\n",
    ],
)
def test_what_is_not_done_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UnitError):
        unit(tmp_path, text)


def test_settings_are_three_machines_of_which_one_runs_mesos() -> None:
    settings = read_settings()
    assert len(settings.addresses) == 3
    assert settings.mesos_machine in settings.addresses


def test_provisioning_scripts_can_be_parsed() -> None:
    scripts = sorted((VAGRANT / "provision").glob("*.sh"))
    assert len(scripts) > 5
    for script in scripts:
        done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "set -euo pipefail" in script.read_text() or "/lib.sh" in script.read_text()


def test_vagrantfile_is_valid(tmp_path: Path) -> None:
    if shutil.which("vagrant") is None:
        pytest.skip("vagrant is missing: `make vagrant-validate` installs it")
    done = subprocess.run(
        ["vagrant", "validate", "--ignore-provider"],  # a hypervisor takes no part in it
        cwd=VAGRANT,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "VAGRANT_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "validated successfully" in done.stdout
