"""Builds aurora_store._native and names the extras; all else is in pyproject.toml.

CMake compiles native/ to a static library in build/native, incrementally, and shares it with the
unit tests of `make native-test`. cffi writes the Python side of native/aurora_native.h, and both
are linked to one extension module for the stable ABI of Python 3.10.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from cffi import FFI
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

NATIVE = Path("native")
BUILD = Path("build/native")
ARCHIVE = BUILD / "libaurora_native.a"
WRAPPER = BUILD / "_native.c"
HEADER = NATIVE / "aurora_native.h"
EXPORTS = NATIVE / "exports.map"
HTTP_PARSER = Path(__file__).resolve().parent / "compat" / "http-parser"

# pymesos requires http-parser, whose releases do not build on Python 3.11 and newer: the one in
# compat/ takes its place. An extra in pyproject.toml could not say where that is.
MESOS = ["pymesos==0.3.15", f"http-parser @ {HTTP_PARSER.as_uri()}"]
PLOT = ["matplotlib"]
SNAPPY = ["cramjam"]  # for logs of a libmesos that was built with snappy
BENCH = [*PLOT, "psycopg[binary]"]
TEST = [*PLOT, *SNAPPY, "hypothesis", "mypy", "pytest", "pytest-xdist", "ruff"]


def declarations() -> str:
    """What cffi reads of the header: the text between its two marker comments."""
    text = HEADER.read_text(encoding="utf-8")
    _, begin, rest = text.partition("/* CFFI-BEGIN */")
    body, end, _ = rest.partition("/* CFFI-END */")
    if not begin or not end:
        raise SystemExit(f"{HEADER}: the comments CFFI-BEGIN and CFFI-END are missing")
    return body


def write_wrapper() -> None:
    """Writes the C source of the Python module; one that is up to date keeps its time stamp."""
    ffi = FFI()
    ffi.cdef(declarations())
    ffi.set_source("aurora_store._native", '#include "aurora_native.h"')
    ffi.emit_c_code(str(WRAPPER))


class BuildNative(build_ext):
    """Compiles native/ with CMake before the module that contains it is linked."""

    def build_extension(self, ext: Extension) -> None:
        """Builds the static library and the wrapper, then hands over to setuptools."""
        subprocess.run(["cmake", "-S", str(NATIVE), "-B", str(BUILD)], check=True)
        subprocess.run(
            ["cmake", "--build", str(BUILD), "--target", "aurora_native", "--parallel", "2"],
            check=True,
        )
        write_wrapper()
        ext.sources = [str(WRAPPER)]
        super().build_extension(ext)


setup(
    ext_modules=[
        Extension(
            "aurora_store._native",
            sources=[],  # written by BuildNative
            depends=[str(ARCHIVE), str(HEADER), str(EXPORTS)],
            include_dirs=[str(NATIVE)],
            define_macros=[("Py_LIMITED_API", "0x030A0000")],
            py_limited_api=True,
            # Whole: nothing in the wrapper refers to sqlite3_extension_init. The libraries come
            # after what needs them, because some linkers drop those that nothing needs yet.
            extra_link_args=[
                "-Wl,--whole-archive",
                str(ARCHIVE),
                "-Wl,--no-whole-archive",
                f"-Wl,--version-script={EXPORTS}",
                "-lzstd",
                "-lstdc++",
                "-lpthread",
                "-ldl",
            ],
        )
    ],
    extras_require={
        "bench": BENCH,
        "mesos": MESOS,
        "plot": PLOT,
        "snappy": SNAPPY,
        "test": [*MESOS, *TEST],
    },
    cmdclass={"build_ext": BuildNative},
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
