"""Stands-in for the libraries that the official build needs and today's systems do not have.

The build was linked against OpenSSL 1.0, an old libcurl, libsvn, libapr, libsasl2 and the C API of
Python 2. The replicated log calls none of them (TLS between replicas, which would, is off), but the
dynamic linker wants every symbol. So one small library is generated that defines them all, each
function with the symbol version it is asked for under. A function that is called after all says so
and ends the process.

The stubs have a file name of their own, and libmesos is told to look for that name: a process that
loads the real libcurl or OpenSSL, before or after, gets the real ones.

Of the Python symbols the running interpreter's own win where it exports the name (``PyErr_Print``,
``PyExc_Exception``, ``_Py_NoneStruct``), because the program comes before a library's dependencies
in lookup. That is harmless: only Mesos's Python 2 module reads them, and nothing starts it.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection, GNUVerSymSection
from elftools.elf.hash import GNUHashSection
from elftools.elf.sections import SymbolTableSection

from aurora_store.errors import LibmesosNotFound

STUB_NAME = "libaurora-mesos-stubs.so"

REPLACED = {
    "libssl.so.1.0.0": "OpenSSL 1.0",
    "libcrypto.so.1.0.0": "OpenSSL 1.0",
    "libcurl.so.4": "libcurl",
    "libsasl2.so.2": "Cyrus SASL",
    "libsvn_delta-1.so.1": "Subversion",
    "libsvn_subr-1.so.1": "Subversion",
    "libapr-1.so.0": "the Apache runtime",
}
"""The libraries that the stubs stand in for, with the name a report gives them."""

# What has no symbol version is told apart by its prefix.
_UNVERSIONED = {
    re.compile(r"svn_"): "Subversion",
    re.compile(r"apr_"): "the Apache runtime",
    re.compile(r"_?Py"): "Python 2",
}
_DATA = re.compile(r"PyExc_\w+|_Py_\w+Struct")
# A Mesos master in this process sets SASL up even if it authenticates nobody; 0 is its "done".
_ANSWERED_WITH_ZERO = frozenset({"sasl_server_init", "sasl_auxprop_add_plugin"})

_HEAD = f"""\
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char *text) {{
  if (write(STDERR_FILENO, text, strlen(text)) < 0) abort();
}}

static void refuse(const char *function, const char *library) {{
  say("{STUB_NAME}: libmesos called ");
  say(function);
  say(" of ");
  say(library);
  say(", which the fetched build of libmesos comes without."
      " Use a distribution's libmesos for TLS or SASL.\\n");
  abort();
}}

"""


@dataclass(frozen=True)
class Stub:
    """One symbol that the stub library must define."""

    name: str
    version: str | None
    library: str


def needed_stubs(library: Path) -> list[Stub]:
    """The symbols that `library` expects from the libraries in `REPLACED` and from Python 2."""
    with library.open("rb") as stream:
        elf = ELFFile(stream)
        symbols, hash_table, versions, needs = (
            elf.get_section_by_name(name)
            for name in (".dynsym", ".gnu.hash", ".gnu.version", ".gnu.version_r")
        )
        assert isinstance(symbols, SymbolTableSection)
        assert isinstance(hash_table, GNUHashSection)
        assert isinstance(versions, GNUVerSymSection)
        assert isinstance(needs, GNUVerNeedSection)
        origin = {
            version["vna_other"]: (version.name, need.name)
            for need, required in needs.iter_versions()
            for version in required
        }
        stubs = []
        # The hash table starts after the undefined symbols: the other 166,000 need no look.
        for index in range(1, hash_table.params["symoffset"]):
            symbol = symbols.get_symbol(index)
            if symbol["st_info"]["bind"] == "STB_WEAK":
                continue
            version, file = origin.get(versions.get_symbol(index)["ndx"], (None, None))
            known = REPLACED.get(file) if file else _by_prefix(symbol.name)
            if known:
                stubs.append(Stub(symbol.name, version, known))
        return stubs


def _by_prefix(name: str) -> str | None:
    return next((known for prefix, known in _UNVERSIONED.items() if prefix.match(name)), None)


def source(stubs: Iterable[Stub]) -> str:
    """The stub library's C source."""
    lines = [_HEAD]
    for stub in stubs:
        if _DATA.fullmatch(stub.name):
            lines.append(f"void *{stub.name}[8];\n")
        elif stub.name in _ANSWERED_WITH_ZERO:
            lines.append(f"int {stub.name}(void) {{ return 0; }}\n")
        else:
            lines.append(f'void {stub.name}(void) {{ refuse("{stub.name}", "{stub.library}"); }}\n')
    return "".join(lines)


def version_script(stubs: Iterable[Stub]) -> str:
    """The linker's version script: which symbol is defined under which version."""
    nodes: defaultdict[str, list[str]] = defaultdict(list)
    for stub in stubs:
        if stub.version:
            nodes[stub.version].append(f"{stub.name};")
    return "".join(f"{node} {{ global: {' '.join(names)} }};\n" for node, names in nodes.items())


def build_stubs(library: Path, directory: Path, compiler: Sequence[str]) -> None:
    """Generate and compile the stub library for `library` into `directory`.

    Raises:
        LibmesosNotFound: the compiler fails.
        OSError: `directory` cannot be written.
    """
    stubs = needed_stubs(library)
    source_file, script_file = directory / "stubs.c", directory / "stubs.map"
    source_file.write_text(source(stubs), encoding="ascii")
    script_file.write_text(version_script(stubs), encoding="ascii")
    command = [
        *compiler,
        *("-shared", "-fPIC", "-O1", "-o", str(directory / STUB_NAME), str(source_file)),
        f"-Wl,-soname,{STUB_NAME}",
        f"-Wl,--version-script={script_file}",
    ]
    result = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines() or ["it says nothing"]
        raise LibmesosNotFound(
            f"the C compiler {shlex.join(compiler)} cannot build the stub library: {lines[-1]}",
            hint="install a working C compiler (Debian: gcc and libc6-dev) or name one with CC",
        )
    source_file.unlink()
    script_file.unlink()


def find_compiler() -> list[str]:
    """The command of the C compiler: ``CC`` if set, else the first of the usual names.

    Raises:
        LibmesosNotFound: there is none.
    """
    named = shlex.split(os.environ.get("CC", ""))
    for candidate in [named] if named else [["cc"], ["gcc"], ["clang"]]:
        if shutil.which(candidate[0]):
            return candidate
    looked_for = f"CC names {named[0]}, which does not exist" if named else "tried cc, gcc, clang"
    raise LibmesosNotFound(
        f"no C compiler to build the stub library with ({looked_for})",
        hint="install one (Debian: gcc and libc6-dev), name one with CC, or name a libmesos of your"
        " own with AURORA_STORE_LIBMESOS",
    )
