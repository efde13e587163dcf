"""Judging a library from its ELF file alone: nothing of it is run or loaded.

Symbols are looked up through the ELF hash table. A scan of libmesos's 166,000 symbols would take
seconds, a lookup takes microseconds.
"""

from __future__ import annotations

import mmap
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile

from aurora_store.libmesos.symbols import compaction_symbols, needed_symbols

_LOG_DESTRUCTOR = "_ZN5mesos3log3LogD1Ev"
_APPEND_OLD_STRING = "_ZN5mesos3log3Log6Writer6appendERKSs"

_SONAME_VERSION = re.compile(r"libmesos-(\d+\.\d+\.\d+)\.so")
_TEXT_VERSION = re.compile(rb"\0mesos-(\d+\.\d+\.\d+)\0")


class Unusable(Exception):
    """The file is not a libmesos that aurora-store can use; the message is the reason."""


class _SymbolLookup(Protocol):
    def get_symbol(self, name: str, /) -> object | None: ...


@dataclass(frozen=True)
class Inspection:
    """What the ELF file of a usable libmesos says about it."""

    version: str | None
    """The Mesos version, or ``None`` where the file does not tell."""

    abi: str
    """The C++ ABI of its strings and lists: always ``cxx11``, the only one that is usable."""

    tls: bool
    """Whether libprocess of this build can speak TLS."""

    compacts: bool
    """Whether a log can give the space of truncated entries back while it runs."""


def inspect(path: Path) -> Inspection:
    """Judge the library at `path`.

    Raises:
        Unusable: it cannot be read, is no shared library for this machine, is not libmesos, has the
            old C++ ABI or lacks symbols.
    """
    try:
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as data:
            if data[:4] != b"\x7fELF":
                raise Unusable("it is not a shared library (no ELF file)")
            return _inspect(data)
    except Unusable:
        raise
    except FileNotFoundError as exc:
        raise Unusable("there is no such file") from exc
    except OSError as exc:
        raise Unusable(f"it cannot be read ({exc.strerror})") from exc
    except Exception as exc:
        # A damaged file can make the parser fail anywhere, with whatever it met first (an empty one
        # fails to map): all of it means the same to the caller.
        raise Unusable(f"it is damaged ({exc or type(exc).__name__})") from exc


def _inspect(data: mmap.mmap) -> Inspection:
    elf = ELFFile(data)  # type: ignore[arg-type]  # a map reads and seeks like a file
    machine = elf["e_machine"]
    if machine != "EM_X86_64":
        raise Unusable(
            f"it is built for another machine ({machine.removeprefix('EM_')}, not x86-64)"
        )
    dynamic = elf.get_section_by_name(".dynamic")
    if elf["e_type"] != "ET_DYN" or not isinstance(dynamic, DynamicSection):
        raise Unusable("it is not a shared library")
    symbols = _symbol_lookup(elf)
    if symbols.get_symbol(_LOG_DESTRUCTOR) is None:
        raise Unusable("it is not libmesos (it does not export mesos::log::Log)")
    if symbols.get_symbol(_APPEND_OLD_STRING) is not None:
        raise Unusable("it is built with the old C++ ABI (GCC before 5), only cxx11 is usable")
    missing = [name for name in needed_symbols().values() if symbols.get_symbol(name) is None]
    if missing:
        raise Unusable(
            f"it lacks {len(missing)} of {len(needed_symbols())} needed symbols,"
            f" the first is {missing[0]} (Mesos 1.5.3 or newer is needed)"
        )
    libraries = _texts(dynamic, "DT_NEEDED", "needed")
    return Inspection(
        version=_version(elf, dynamic, data),
        abi="cxx11",
        tls=any(library.startswith("libssl.") for library in libraries),
        compacts=all(
            symbols.get_symbol(name) is not None for name in compaction_symbols().values()
        ),
    )


def _symbol_lookup(elf: ELFFile) -> _SymbolLookup:
    for name in (".gnu.hash", ".hash"):
        table = elf.get_section_by_name(name)
        if table is not None:
            return table  # type: ignore[return-value]  # both hash sections have get_symbol
    raise Unusable("it has no table of its symbols")


def _texts(dynamic: DynamicSection, tag: str, attribute: str) -> list[str]:
    # The parser gives a tag an attribute named after its kind.
    return [getattr(entry, attribute) for entry in dynamic.iter_tags(tag)]


def _version(elf: ELFFile, dynamic: DynamicSection, data: mmap.mmap) -> str | None:
    for soname in _texts(dynamic, "DT_SONAME", "soname"):
        if match := _SONAME_VERSION.fullmatch(soname):
            return match[1]
    # The official build has no SONAME, but the text "mesos-<version>" among its constants.
    constants = elf.get_section_by_name(".rodata")
    if constants is None:
        return None
    start = constants["sh_offset"]
    text = _TEXT_VERSION.search(data, start, start + constants["sh_size"])
    return text[1].decode("ascii") if text else None
