"""Which library `find` chooses, and how it refuses those that cannot be used."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from aurora_store.errors import LibmesosNotFound
from aurora_store.libmesos import find, search

pytestmark = pytest.mark.usefixtures("no_library_named")


@pytest.fixture(autouse=True)
def system_without_libmesos(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine that runs the tests may have a libmesos of its own."""
    monkeypatch.setattr(search, "_USUAL_DIRECTORIES", ())
    monkeypatch.setattr(search, "_linker_cache", lambda: "")


def test_fetched_library_is_found_when_nothing_else_is_named(libmesos_path: Path) -> None:
    found = find()
    assert (found.path, found.rule) == (libmesos_path.resolve(), "fetched")
    assert (found.version, found.abi, found.tls) == ("1.11.0", "cxx11", False)


def test_explicit_library_wins_over_the_environment(
    libmesos_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AURORA_STORE_LIBMESOS", "/nonexistent/libmesos.so")
    assert find(libmesos_path).rule == "argument"
    assert find(str(libmesos_path)).path == libmesos_path.resolve()


def test_own_variable_wins_over_those_of_mesos(
    libmesos_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("AURORA_STORE_LIBMESOS", "MESOS_NATIVE_LIBRARY", "MESOS_NATIVE_JAVA_LIBRARY")
    for name in names:
        monkeypatch.setenv(name, str(libmesos_path))
    for name in names:
        assert find().rule == name
        monkeypatch.delenv(name)


def test_empty_variable_names_nothing(libmesos_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AURORA_STORE_LIBMESOS", "")
    assert find().rule == "fetched"


def test_library_of_the_system_wins_over_the_fetched_one(
    libmesos_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "libmesos.so").symlink_to(libmesos_path)
    monkeypatch.setenv("LD_LIBRARY_PATH", f":{tmp_path}")
    found = find()
    assert found.rule == "system"
    # A link is followed: the fetched library finds its stubs beside the real file only.
    assert found.path == libmesos_path.resolve()


def test_library_in_the_linker_cache_is_found(
    libmesos_path: Path, empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = (
        "2 libs found in cache\n"
        "\tlibmesos_extra.so (libc6,x86-64) => /usr/lib/libmesos_extra.so\n"
        f"\tlibmesos-1.11.0.so (libc6,x86-64) => {libmesos_path}\n"
    )
    monkeypatch.setattr(search, "_linker_cache", lambda: listing)
    assert find().rule == "system"


def test_unusable_library_of_the_system_is_passed_over_with_its_reason(
    libmesos_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "libmesos.so").write_text("not a library")
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    found = find()
    assert found.rule == "fetched"
    assert found.passed_over == (
        f"{tmp_path}/libmesos.so: it is not a shared library (no ELF file)",
    )


def test_library_of_the_system_that_does_not_load_is_passed_over(
    libmesos_path: Path, copy_of_library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without its stubs beside it the copy is like a libmesos whose dependencies are not installed.
    monkeypatch.setenv("LD_LIBRARY_PATH", str(copy_of_library.parent))
    found = find()
    assert found.rule == "fetched"
    assert "libaurora-mesos-stubs.so: cannot open shared object file" in found.passed_over[0]


def test_no_library_at_all_says_how_to_fetch_one(empty_cache: Path) -> None:
    with pytest.raises(LibmesosNotFound, match="no libmesos: none is named") as caught:
        find()
    assert caught.value.hint == "aurora-store libmesos fetch"
    assert str(empty_cache) in caught.value.message


@pytest.mark.parametrize(
    "variable", ["AURORA_STORE_LIBMESOS", "MESOS_NATIVE_LIBRARY", "MESOS_NATIVE_JAVA_LIBRARY"]
)
def test_variable_that_names_a_missing_file_is_an_error_and_no_fall_through(
    libmesos_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "/nonexistent/libmesos.so")
    with pytest.raises(LibmesosNotFound, match=f"named by {variable}.*no such file") as caught:
        find()
    assert caught.value.hint == f"unset {variable} && aurora-store libmesos fetch"


def test_explicit_missing_file_is_an_error_and_no_fall_through(
    libmesos_path: Path, tmp_path: Path
) -> None:
    with pytest.raises(LibmesosNotFound, match=r"named explicitly.*no such file"):
        find(tmp_path / "libmesos.so")


def test_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LibmesosNotFound, match=r"cannot be read \(Is a directory\)"):
        find(tmp_path)


def test_text_file_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "libmesos.so"
    text.write_text("this is not a library")
    with pytest.raises(LibmesosNotFound, match="not a shared library"):
        find(text)


def test_empty_file_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "libmesos.so"
    empty.touch()
    with pytest.raises(LibmesosNotFound, match="it is damaged"):
        find(empty)


def test_program_is_refused() -> None:
    with pytest.raises(LibmesosNotFound, match=r"not a shared library|not libmesos"):
        find(sys.executable)


def test_another_shared_library_is_refused(another_shared_library: Path) -> None:
    with pytest.raises(LibmesosNotFound, match="it is not libmesos"):
        find(another_shared_library)


def test_library_of_another_machine_is_refused(
    another_shared_library: Path, tmp_path: Path
) -> None:
    foreign = bytearray(another_shared_library.read_bytes())
    struct.pack_into("<H", foreign, 18, 183)  # e_machine: AArch64
    path = tmp_path / "libmesos.so"
    path.write_bytes(foreign)
    with pytest.raises(LibmesosNotFound, match=r"another machine \(AARCH64, not x86-64\)"):
        find(path)


def test_truncated_library_is_refused(copy_of_library: Path) -> None:
    with copy_of_library.open("r+b") as stream:
        stream.truncate(1_000_000)
    with pytest.raises(LibmesosNotFound, match=r"damaged|no table of its symbols"):
        find(copy_of_library)


def compile_library(path: Path, *symbols: str) -> Path:
    """A shared library that exports functions of these names."""
    source = "".join(f"void {symbol}(void) {{}}\n" for symbol in symbols)
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-x", "c", "-o", str(path), "-"],
        input=source.encode(),
        check=True,
    )
    return path


def test_libmesos_without_catchup_is_refused_as_too_old(tmp_path: Path) -> None:
    library = compile_library(tmp_path / "libmesos.so", "_ZN5mesos3log3LogD1Ev")
    with pytest.raises(
        LibmesosNotFound, match=r"lacks \d+ of \d+ needed symbols.*1\.5\.3 or newer"
    ):
        find(library)


def test_libmesos_with_the_old_string_abi_is_refused(tmp_path: Path) -> None:
    library = compile_library(
        tmp_path / "libmesos.so",
        "_ZN5mesos3log3LogD1Ev",
        "_ZN5mesos3log3Log6Writer6appendERKSs",
    )
    with pytest.raises(LibmesosNotFound, match=r"old C\+\+ ABI"):
        find(library)


def test_importing_the_package_needs_and_loads_no_libmesos(empty_cache: Path) -> None:
    program = (
        "import aurora_store.libmesos\nassert 'libmesos' not in open('/proc/self/maps').read()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
