"""Getting the official build out of the Python package registry, by project and file name.

The Apache Mesos project published libmesos there as part of its Python 2 scheduler driver. Which
registry is asked is the user's choice, as for pip: ``PIP_INDEX_URL``, then pip's configuration,
then the registry client's own default. Whatever it answers, the file must have the pinned checksum.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from aurora_store.errors import LibmesosNotFound

if TYPE_CHECKING:
    import requests
    from pypi_simple import DistributionPackage, PyPISimple

PROJECT = "mesos.scheduler"
FILE_NAME = "mesos.scheduler-1.11.0-py2.7-linux-x86_64.egg"
SHA256 = "4940ebb70894ee004cf8a12b7b66b52a351be1070ec2a4e6f7dae4ec04f8cb61"
SIZE_BYTES = 27_659_633

_TIMEOUT_S = (10.0, 60.0)  # to connect, between two pieces
_OTHER_WAYS = (
    "check the network and pip's index-url (PIP_INDEX_URL), or name a libmesos of your own with"
    " AURORA_STORE_LIBMESOS"
)
_PIP_SETTING = re.compile(r"^(?:global|install)\.(index-url|cert)=(.+)$", re.MULTILINE)
_CREDENTIALS = re.compile(r"//[^/@\s]+@")


def download(target: Path, progress: Callable[[int, int], None]) -> None:
    """Bring the official build's package file to `target` and check it.

    Args:
        progress: called with the bytes done and the bytes in all.

    Raises:
        LibmesosNotFound: the registry cannot be reached, does not have the file, or has another one
            under its name. `target` does not exist then.
        OSError: `target` cannot be written.
    """
    # Importing the registry client takes half a second, which only this function is worth.
    import requests
    from pypi_simple import (
        DigestMismatchError,
        NoSuchProjectError,
        UnsupportedContentTypeError,
        UnsupportedRepoVersionError,
    )

    with _registry() as registry:
        try:
            package = _find_package(registry)
            registry.download_package(
                package,
                target,
                # A registry may know no digest; the pinned one below is checked in any case.
                verify=bool(package.digests),
                progress=lambda _size: _Tracker(progress),
                timeout=_TIMEOUT_S,
            )
        except DigestMismatchError as exc:
            found = f"{exc.algorithm} {exc.actual_digest}, not the announced {exc.expected_digest}"
            raise _mismatch(found) from exc
        except requests.HTTPError as exc:
            raise _unreachable(registry, str(exc)) from exc
        except requests.RequestException as exc:
            raise _unreachable(registry, _innermost(exc)) from exc
        except (
            NoSuchProjectError,
            UnsupportedContentTypeError,
            UnsupportedRepoVersionError,
        ) as exc:
            raise _unreachable(registry, str(exc)) from exc
    check(target)


def check(package: Path) -> None:
    """Compare the package file with the pinned checksum.

    Raises:
        LibmesosNotFound: it differs. The file is deleted.
    """
    sha256 = hashlib.sha256()
    with package.open("rb") as stream:
        while piece := stream.read(1 << 20):
            sha256.update(piece)
    digest = sha256.hexdigest()
    if digest != SHA256:
        package.unlink()
        raise _mismatch(f"sha256 {digest}, not {SHA256}")


def _registry() -> PyPISimple:
    import pypi_simple

    settings = _pip_settings()
    registry = pypi_simple.PyPISimple(settings.get("index-url", pypi_simple.PYPI_SIMPLE_ENDPOINT))
    certificates = settings.get("cert")
    if certificates:
        registry.s.verify = certificates
    return registry


def _pip_settings() -> dict[str, str]:
    """What pip is configured with; the environment wins, as it does for pip."""
    listing = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    settings: dict[str, str] = {}
    for key, value in _PIP_SETTING.findall(listing.stdout):
        settings[key] = str(ast.literal_eval(value))
    for key, variable in (("index-url", "PIP_INDEX_URL"), ("cert", "PIP_CERT")):
        if os.environ.get(variable):
            settings[key] = os.environ[variable]
    return settings


def _find_package(registry: PyPISimple) -> DistributionPackage:
    page = registry.get_project_page(PROJECT, timeout=_TIMEOUT_S)
    for package in page.packages:
        if package.filename == FILE_NAME:
            announced = package.digests.get("sha256", SHA256)
            if announced != SHA256:
                raise _mismatch(f"sha256 {announced}, not {SHA256}")
            return package
    raise LibmesosNotFound(
        f"the package registry {_shown(registry)} has no file {FILE_NAME} of project {PROJECT}",
        hint=_OTHER_WAYS,
    )


def _mismatch(found: str) -> LibmesosNotFound:
    return LibmesosNotFound(
        f"checksum mismatch: the package registry's {FILE_NAME} has {found}; it was not used",
        hint="fetch again; if it stays so, use another registry (PIP_INDEX_URL)",
    )


def _unreachable(registry: PyPISimple, reason: str) -> LibmesosNotFound:
    return LibmesosNotFound(
        f"cannot download {FILE_NAME} from the package registry {_shown(registry)}:"
        f" {_CREDENTIALS.sub('//', reason)}",
        hint=_OTHER_WAYS,
    )


def _shown(registry: PyPISimple) -> str:
    return _CREDENTIALS.sub("//", registry.endpoint)


def _innermost(exc: requests.RequestException) -> str:
    # The outer messages of requests and urllib3 are a screenful; the innermost one is the reason.
    cause: BaseException = exc
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
    return str(cause) or type(cause).__name__


class _Tracker(AbstractContextManager["_Tracker"]):
    """Turns the registry client's increments into totals."""

    def __init__(self, progress: Callable[[int, int], None]) -> None:
        self._progress = progress
        self._done = 0

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def update(self, increment: int) -> None:
        self._done += increment
        self._progress(self._done, SIZE_BYTES)
