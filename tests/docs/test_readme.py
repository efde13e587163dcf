"""What README.md and docs/ say is so: the example, the commands, the make targets, the errors."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from harness import free_ports

from aurora_store import Store, errors
from aurora_store.cli.commands import main
from aurora_store.libmesos import fetch

_ROOT = Path(__file__).parents[2]
_README = _ROOT / "README.md"
_PAGES = [_README, *sorted((_ROOT / "docs").glob("*.md"))]
_TEXTS = {page.relative_to(_ROOT).as_posix(): page.read_text() for page in _PAGES}

_PYTHON_BLOCK = re.compile(r"```python\n(.*?)```", re.DOTALL)
# A block of code with the next block, where that is its output.
_SHOWN_OUTPUT = re.compile(r"```python\n([^`]*)```[^`]*```text\n([^`]*)```")


# Each replica says what it is, and stays until the test closes its standard input.
_SAY = "print(store.status().state.value, flush=True)\n__import__('sys').stdin.read()\n"
_LEAD = f"store.wait_caught_up()\nstore.lead()\n{_SAY}store.close()\n"
_FOLLOW = f"store.wait_for(1)\nstore.wait_caught_up()\n{_SAY}store.close()\n"


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "AURORA_STORE_LIBMESOS": str(fetch()),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


def _code_of(text: str) -> str:
    """Code blocks and code spans, one a line: what a reader may type."""
    blocks = re.findall(r"```(?:sh|bash|console)\n(.*?)```", text, re.DOTALL)
    spans = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return "\n".join([*blocks, *spans])


def _commands(text: str) -> list[list[str]]:
    lines = [line.strip().removeprefix("$ ") for line in _code_of(text).splitlines()]
    return [
        line.split("#")[0].split()[1:] for line in lines if re.match(r"aurora-store( |$)", line)
    ]


def _check_command(words: list[str]) -> None:
    """Walks the click commands along `words`; alternatives are written ``fetch|info``."""
    reached: list[click.Command] = [main]
    for word in words:
        if word.startswith("-"):
            option = word.split("=")[0]
            known = {name for at in reached for param in at.params for name in param.opts}
            assert option in {*known, "--help", "-h"}, f"aurora-store {' '.join(words)}: {option}"
            continue
        groups = [at for at in reached if isinstance(at, click.Group)]
        if not groups:
            continue  # an argument or an option's value
        (group,) = groups
        names = word.split("|")
        for name in names:
            assert name in group.commands, f"aurora-store {' '.join(words)}: no command {name}"
        reached = [group.commands[name] for name in names]


def _targets() -> dict[str, str]:
    """The Makefile's targets with their recipes."""
    text = (_ROOT / "Makefile").read_text()
    found = re.findall(r"^([a-z][a-z-]*):(?!=)[^\n]*\n((?:\t[^\n]*\n)*)", text, re.MULTILINE)
    return dict(found)


def _named_targets(text: str) -> set[str]:
    return set(re.findall(r"^make ([a-z-]+)", _code_of(text), re.MULTILINE))


@pytest.mark.parametrize(
    ("code", "output"), _SHOWN_OUTPUT.findall(_TEXTS["README.md"]), ids=["store", "model"]
)
def test_an_example_runs_and_prints_what_is_shown(code: str, output: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
        env=_environment(),
    )
    assert ran.stderr == ""
    assert ran.stdout == output


def test_three_replicas_with_static_peers_open_as_shown(tmp_path: Path) -> None:
    block = next(code for code in _PYTHON_BLOCK.findall(_TEXTS["README.md"]) if "peers=" in code)
    shown = [f"10.0.0.{number}:5050" for number in (1, 2, 3)]
    own = f'address="{shown[0]}"'
    assert own in block
    running = []
    ports = free_ports(3)
    for number, port in enumerate(ports):
        code = block.replace(own, f'address="127.0.0.1:{port}"')
        for peer, peer_port in zip(shown, ports, strict=True):
            code = code.replace(peer, f"127.0.0.1:{peer_port}")
        code = code.replace("/var/lib/scheduler/store", str(tmp_path / str(number)))
        code = f"from aurora_store import Store\n{code}\n{_LEAD if number == 0 else _FOLLOW}"
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=_environment(),
            )
        )
    try:
        lines = [each.stdout.readline() for each in running if each.stdout is not None]
        assert lines == ["leading\n", "standby\n", "standby\n"]
        for each in running:
            each.communicate(timeout=30.0)
            assert each.returncode == 0
    finally:
        for each in running:
            each.kill()
            each.wait()


@pytest.mark.parametrize("page", _TEXTS)
def test_python_blocks_compile_and_open_stores_as_they_can_be_opened(page: str) -> None:
    known = set(inspect.signature(Store.open).parameters)
    for block in _PYTHON_BLOCK.findall(_TEXTS[page]):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Store.open":
                assert {keyword.arg for keyword in node.keywords} <= known


@pytest.mark.parametrize("page", _TEXTS)
def test_every_command_exists(page: str) -> None:
    for words in _commands(_TEXTS[page]):
        _check_command(words)


def test_the_readme_names_commands_and_targets() -> None:
    assert _commands(_TEXTS["README.md"])
    assert {"demo", "test", "deps", "help"} <= _named_targets(_TEXTS["README.md"])


@pytest.mark.parametrize("page", _TEXTS)
def test_every_make_target_exists(page: str) -> None:
    assert _named_targets(_TEXTS[page]) <= set(_targets())


@pytest.mark.parametrize("target", sorted(set().union(*map(_named_targets, _TEXTS.values()))))
def test_what_a_named_target_runs_exists(target: str) -> None:
    recipe = _targets()[target]
    for line in re.findall(r"bin/aurora-store ([^\n]*)", recipe):
        _check_command([word for word in line.split() if not word.startswith("$")])
    for module in re.findall(r"python -m (benchmarks)", recipe):
        assert (_ROOT / module / "__main__.py").exists(), f"{module} is not there"
    for tests in re.findall(r"pytest (tests/\S+)", recipe):
        assert (_ROOT / tests).exists(), f"{tests} is not there"


def test_on_no_python_at_all_nothing_has_passed() -> None:
    ran = subprocess.run(
        ["make", "--no-print-directory", "pythons", "PYTHONS=python9.8 python9.9"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=60.0,
    )
    assert ran.stdout == "Passed: none. Failed: none. Not on this machine: python9.8 python9.9.\n"
    assert ran.returncode != 0


def test_the_errors_table_is_that_of_the_module() -> None:
    table = _TEXTS["README.md"].partition("## Errors")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \| (\d+) \|$", table, re.MULTILINE)
    classes = {
        name: value
        for name, value in vars(errors).items()
        if isinstance(value, type)
        and issubclass(value, errors.StoreError)
        and value is not errors.StoreError
    }
    assert len(rows) == len({name for name, _ in rows})
    assert {name: int(code) for name, code in rows} == {
        name: value.exit_code for name, value in classes.items()
    }


@pytest.mark.parametrize("page", _TEXTS)
def test_links_lead_somewhere(page: str) -> None:
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", _TEXTS[page]):
        assert ((_ROOT / page).parent / link).exists(), link
