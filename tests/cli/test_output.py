"""Tables and progress, on a terminal and in a pipe."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from aurora_store.cli import output

TABLE = "from aurora_store.cli.output import print_table; print_table(('a', 'b'), [('1', '2')])"
PROGRESS = """
from aurora_store.cli.output import show_progress
with show_progress({"copy": "Copying"}) as report:
    for done in range(1001):
        report("copy", done, 1000)
    report("nameless", 1, 1)
"""


def on_a_terminal(program: str) -> str:
    """What the program writes to a terminal."""
    terminal, end_of_program = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=end_of_program,
        stderr=end_of_program,
        env=environment,
    ):
        os.close(end_of_program)
        written = b""
        # Reading a terminal that nobody has open any more fails on Linux: the end.
        while True:
            try:
                written += os.read(terminal, 4096)
            except OSError:
                break
    os.close(terminal)
    return written.decode()


def in_a_pipe(program: str) -> subprocess.CompletedProcess[str]:
    """What the program writes to two pipes."""
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )


def test_table_in_a_pipe_is_tab_separated() -> None:
    assert in_a_pipe(TABLE).stdout == "a\tb\n1\t2\n"


def test_table_on_a_terminal_is_drawn() -> None:
    assert "│ 1 │ 2 │" in on_a_terminal(TABLE)


def test_numbers_are_on_the_right_of_their_column_on_a_terminal() -> None:
    drawn = on_a_terminal(
        "from aurora_store.cli.output import print_table;"
        " print_table('pnv', [('7', 'a', '1'), ('12345', 'bcd', 'x'), ('', '12', '2')])"
    )
    assert "│     7 │ a   │ 1 │" in drawn
    assert "│ 12345 │ bcd │ x │" in drawn
    assert "│       │ 12  │ 2 │" in drawn


def test_progress_in_a_pipe_is_a_plain_line() -> None:
    shown = in_a_pipe(PROGRESS)
    assert (shown.stdout, shown.stderr) == ("", "Copying\n")


def test_progress_on_a_terminal_is_a_bar() -> None:
    assert "Copying" in on_a_terminal(PROGRESS)
    assert "100%" in on_a_terminal(PROGRESS)


def test_progress_in_a_pipe_adds_a_line_every_few_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([100.0, 101.0, 106.0, 107.0, 112.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with output.show_progress({"copy": "Copying"}) as report:
        for done in (0, 20, 40, 60, 80):
            report("copy", done, 100)
    assert capsys.readouterr().err == "Copying\nCopying 40 %\nCopying 80 %\n"
