"""Fetching: the result is complete and loadable, or nothing is left and the reason is clear."""

from __future__ import annotations

import hashlib
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from loopback_registry import Registry, ServeRegistry

from aurora_store.errors import LibmesosNotFound
from aurora_store.libmesos import fetch, provision
from aurora_store.libmesos.cache import cache_root, fetched_directory, fetched_library
from aurora_store.libmesos.download import FILE_NAME, SHA256
from aurora_store.libmesos.stubs import REPLACED, STUB_NAME


def entries(directory: Path) -> set[str]:
    """What is in a cache, apart from the lock, which stays."""
    return {path.name for path in directory.rglob("*") if not path.name.endswith(".lock")}


def test_fetch_makes_one_directory_with_the_library_and_its_stubs(
    empty_cache: Path, official_registry: Registry
) -> None:
    library = fetch()
    assert library == empty_cache / "libmesos" / "1.11.0" / "libmesos.so"
    assert entries(empty_cache) == {"libmesos", "1.11.0", "libmesos.so", STUB_NAME}
    assert library.parent.stat().st_mode & 0o777 == 0o755


def test_second_fetch_asks_no_registry(empty_cache: Path, official_registry: Registry) -> None:
    assert fetch() == fetch()
    assert official_registry.downloads == 1


def test_forced_fetch_replaces_what_is_there(
    empty_cache: Path, official_registry: Registry
) -> None:
    before = fetch().stat().st_ino
    assert fetch(force=True).stat().st_ino != before
    assert entries(empty_cache) == {"libmesos", "1.11.0", "libmesos.so", STUB_NAME}


def test_fetch_mends_a_damaged_library_and_removes_what_a_killed_fetch_left(
    empty_cache: Path, official_registry: Registry
) -> None:
    fetched_directory().mkdir(parents=True)
    fetched_library().write_text("half a library")
    (fetched_directory().parent / ".1.11.0-killed").mkdir()
    fetch()
    assert fetched_library().stat().st_size > 100_000_000
    assert ".1.11.0-killed" not in entries(empty_cache)


def test_progress_reports_every_step_up_to_its_end(
    empty_cache: Path, official_registry: Registry
) -> None:
    last: dict[str, tuple[int, int]] = {}
    fetch(progress=lambda step, done, total: last.update({step: (done, total)}))
    assert list(last) == ["download", "unpack", "link", "check"]
    assert all(done == total for done, total in last.values())


def test_two_fetches_at_once_do_the_work_once(
    empty_cache: Path, official_registry: Registry
) -> None:
    command = [sys.executable, "-m", "aurora_store.cli", "libmesos", "fetch"]
    fetches = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [running.communicate(timeout=120)[0] for running in fetches]
    assert [running.returncode for running in fetches] == [0, 0]
    assert answers == [f"{fetched_library()}\n"] * 2
    assert official_registry.downloads == 1


PROGRAM_THAT_LOADS = """
import ctypes, os, ssl, sys
library = ctypes.CDLL(sys.argv[1], mode=os.RTLD_NOW | os.RTLD_LOCAL)
assert library._ZN5mesos3log3LogD1Ev
with open("/proc/self/maps") as maps:
    print(maps.read())
ssl.create_default_context()
"""


def test_plain_dlopen_loads_the_library_beside_ssl(libmesos_path: Path) -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", PROGRAM_THAT_LOADS, str(libmesos_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert STUB_NAME in loaded.stdout
    # No warning of the dynamic linker about a version that is not there.
    assert loaded.stderr == ""


def test_library_names_none_of_the_replaced_libraries(libmesos_path: Path) -> None:
    with libmesos_path.open("rb") as stream:
        dynamic = ELFFile(stream).get_section_by_name(".dynamic")
        assert isinstance(dynamic, DynamicSection)
        needed = {getattr(tag, "needed") for tag in dynamic.iter_tags("DT_NEEDED")}  # noqa: B009
    assert STUB_NAME in needed
    assert not needed & REPLACED.keys()


def test_stub_that_is_called_says_which_function_and_aborts(libmesos_path: Path) -> None:
    program = "import ctypes, sys; ctypes.CDLL(sys.argv[1]).SSL_new()"
    called = subprocess.run(
        [sys.executable, "-c", program, str(libmesos_path.with_name(STUB_NAME))],
        capture_output=True,
        text=True,
        check=False,
    )
    assert called.returncode == -signal.SIGABRT
    assert "libmesos called SSL_new of OpenSSL 1.0" in called.stderr


def test_registry_that_cannot_be_reached_is_named(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        monkeypatch.setenv("PIP_INDEX_URL", f"http://user:secret@{address}/simple")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        with pytest.raises(LibmesosNotFound, match="Connection refused") as caught:
            fetch()
    assert f"http://{address}/simple" in caught.value.message
    assert "secret" not in caught.value.message
    assert "PIP_INDEX_URL" in (caught.value.hint or "")
    assert entries(empty_cache) == {"libmesos"}


def test_registry_of_pips_configuration_file_is_asked(
    empty_cache: Path,
    tmp_path: Path,
    official_registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PIP_INDEX_URL")
    configuration = tmp_path / "pip.conf"
    configuration.write_text(f"[global]\nindex-url = {official_registry.url}\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    fetch()
    assert official_registry.downloads == 1


def test_registry_without_the_project_is_named(
    empty_cache: Path, serve_registry: ServeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = serve_registry(b"", None)
    monkeypatch.setenv("PIP_INDEX_URL", f"{registry.url}/elsewhere")
    with pytest.raises(LibmesosNotFound, match=f"{registry.url}/elsewhere"):
        fetch()


def test_truncated_package_is_a_checksum_mismatch(
    empty_cache: Path, serve_registry: ServeRegistry, official_package: Path
) -> None:
    serve_registry(official_package.read_bytes()[:1_000_000], SHA256)
    with pytest.raises(LibmesosNotFound, match="checksum mismatch"):
        fetch()
    assert entries(empty_cache) == {"libmesos"}


def test_another_file_is_refused_even_if_the_registry_vouches_for_it(
    empty_cache: Path, serve_registry: ServeRegistry
) -> None:
    content = b"another file under the same name"
    digest = hashlib.sha256(content).hexdigest()
    registry = serve_registry(content, digest)
    with pytest.raises(LibmesosNotFound, match=f"checksum mismatch.*{digest}"):
        fetch()
    assert registry.downloads == 0


def test_pinned_checksum_is_checked_when_the_registry_knows_none(
    empty_cache: Path, serve_registry: ServeRegistry
) -> None:
    serve_registry(b"another file under the same name", None)
    with pytest.raises(LibmesosNotFound, match="checksum mismatch"):
        fetch()


def test_cache_below_a_file_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("AURORA_STORE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(LibmesosNotFound, match=r"cannot write.*Not a directory") as caught:
        fetch()
    assert "AURORA_STORE_CACHE" in (caught.value.hint or "")


def test_too_little_space_is_told_before_the_download(
    empty_cache: Path, official_registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provision, "_NEEDED_BYTES", 1 << 62)
    with pytest.raises(LibmesosNotFound, match=r"no space.*MB are free"):
        fetch()
    assert official_registry.downloads == 0


def test_write_that_fails_midway_leaves_nothing_behind(
    empty_cache: Path, official_registry: Registry
) -> None:
    failed = subprocess.run(
        [sys.executable, "-m", "aurora_store.cli", "libmesos", "fetch"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000)),
    )
    assert failed.returncode == 10
    assert "cannot write libmesos in the cache" in failed.stderr
    assert "File too large" in failed.stderr
    assert entries(empty_cache) == {"libmesos"}


@pytest.mark.parametrize(
    ("compiler", "message"),
    [
        ("no-such-compiler", "CC names no-such-compiler, which does not exist"),
        ("false", "the C compiler false cannot build the stub library"),
    ],
)
def test_compiler_that_does_not_work_is_named(
    compiler: str,
    message: str,
    empty_cache: Path,
    official_registry: Registry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CC", compiler)
    with pytest.raises(LibmesosNotFound, match=message):
        fetch()
    assert entries(empty_cache) == {"libmesos"}


def test_missing_compiler_is_told_before_the_download(
    empty_cache: Path, official_registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(LibmesosNotFound, match=r"no C compiler.*tried cc, gcc, clang"):
        fetch()
    assert official_registry.downloads == 0


def test_library_that_does_not_load_is_not_published(
    empty_cache: Path, official_registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provision, "load_failure", lambda _library: "libz.so.1: cannot open")
    with pytest.raises(LibmesosNotFound, match=r"does not load on this machine: libz\.so\.1"):
        fetch()
    assert entries(empty_cache) == {"libmesos"}


def test_machine_without_an_official_build_is_told_so(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(LibmesosNotFound, match="Linux x86_64 only, this is Linux aarch64"):
        fetch()


def test_cache_follows_the_xdg_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AURORA_STORE_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "aurora-store"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert cache_root() == Path.home() / ".cache" / "aurora-store"


def test_package_and_cache_directory_are_of_the_same_version() -> None:
    assert f"-{fetched_directory().name}-" in FILE_NAME
