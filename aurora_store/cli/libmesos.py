"""``aurora-store libmesos``: which libmesos is used, and fetching one."""

from __future__ import annotations

from pathlib import Path

import click

from aurora_store.cli.output import json_option, print_json, print_table, show_progress

_STEPS = {
    "wait": "Waiting for another fetch",
    "download": "Downloading the official libmesos",
    "unpack": "Unpacking",
    "link": "Making it loadable here",
    "check": "Loading it for a trial",
}


@click.group()
def libmesos() -> None:
    """Find, judge and fetch libmesos, the engine of the log."""


@libmesos.command()
@click.option("--force", is_flag=True, help="Fetch again even if it is there.")
@json_option
def fetch(force: bool, as_json: bool) -> None:
    """Fetch the official libmesos into the cache and print its path.

    It comes from the Python package registry that pip is configured for, 28 MB, and is checked
    against a pinned checksum. It needs no root, no Mesos and no OpenSSL 1.0, but a C compiler; it
    has no TLS. AURORA_STORE_CACHE names another cache directory. Exit code 10: it could not be
    fetched.

    \b
    Example:
      aurora-store libmesos fetch
    """
    from aurora_store.libmesos import fetch as fetch_libmesos
    from aurora_store.libmesos.cache import VERSION

    with show_progress(_STEPS) as progress:
        library = fetch_libmesos(force=force, progress=progress)
    if as_json:
        print_json({"path": str(library), "version": VERSION})
    else:
        click.echo(library)


@libmesos.command()
@click.option(
    "--libmesos",
    "explicit",
    type=click.Path(path_type=Path),
    help="Judge this library instead of searching for one.",
)
@json_option
def info(explicit: Path | None, as_json: bool) -> None:
    """Say which libmesos would be used, why, and what it can do.

    It is loaded for a trial in a process of its own. Exit code 10: there is none, or it cannot be
    used.

    \b
    Examples:
      aurora-store libmesos info
      aurora-store libmesos info --libmesos /usr/local/lib/libmesos.so --json
    """
    from aurora_store.libmesos import find, verify_loads
    from aurora_store.libmesos.symbols import needed_symbols

    found = find(explicit)
    verify_loads(found.path)
    if as_json:
        print_json(
            {
                "path": str(found.path),
                "rule": found.rule,
                "version": found.version,
                "abi": found.abi,
                "symbols": len(needed_symbols()),
                "tls": found.tls,
                "compacts": found.compacts,
                "passed_over": list(found.passed_over),
            }
        )
        return
    rows = [
        ("path", str(found.path)),
        ("found by", _RULES.get(found.rule, f"environment variable {found.rule}")),
        ("version", found.version or "unknown"),
        ("C++ ABI", found.abi),
        ("symbols", f"all {len(needed_symbols())} needed ones"),
        ("TLS", "available" if found.tls else "not available"),
        ("compaction", "while running" if found.compacts else "only when a replica restarts"),
    ]
    rows += [("passed over", reason) for reason in found.passed_over]
    print_table(("property", "value"), rows)


_RULES = {
    "argument": "the --libmesos option",
    "system": "the system's library path",
    "fetched": "aurora-store libmesos fetch",
}
