"""What a library's ELF file and a trial load tell, and the list of symbols they are judged by."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aurora_store.errors import LibmesosNotFound
from aurora_store.libmesos import verify_loads
from aurora_store.libmesos.elf import Inspection, inspect
from aurora_store.libmesos.stubs import STUB_NAME, Stub, source, version_script
from aurora_store.libmesos.symbols import needed_symbols


def test_official_library_is_cxx11_without_tls_and_tells_its_version(libmesos_path: Path) -> None:
    assert inspect(libmesos_path) == Inspection(
        version="1.11.0", abi="cxx11", tls=False, compacts=True
    )


def test_inspection_does_not_scan_all_symbols(libmesos_path: Path) -> None:
    start = time.monotonic()
    inspect(libmesos_path)
    assert time.monotonic() - start < 1.0


def test_every_symbol_of_the_native_list_is_read() -> None:
    native_list = Path(__file__).parents[2] / "native" / "mesos" / "symbols.txt"
    uncommented = re.sub(r"/\*.*?\*/", "", native_list.read_text(), flags=re.DOTALL)
    assert len(needed_symbols()) == len(uncommented.split()) // 2
    assert len(set(needed_symbols().values())) == len(needed_symbols())


def test_trial_load_of_the_official_library_succeeds_and_stays_out_of_this_process(
    libmesos_path: Path,
) -> None:
    program = (
        "import sys; from pathlib import Path; from aurora_store.libmesos import loading;"
        " loading.verify_loads(Path(sys.argv[1]));"
        " sys.exit(sys.argv[1] in Path('/proc/self/maps').read_text())"
    )
    # In a process of its own: another test may have loaded it into this one.
    subprocess.run([sys.executable, "-c", program, str(libmesos_path)], check=True)


def test_trial_load_gives_the_linkers_reason(copy_of_library: Path) -> None:
    with pytest.raises(LibmesosNotFound, match=r"cannot be loaded: libaurora-mesos-stubs\.so"):
        verify_loads(copy_of_library)


def test_stubs_define_every_kind_of_symbol_under_its_version() -> None:
    stubs = [
        Stub("SSL_new", "OPENSSL_1.0.0", "OpenSSL 1.0"),
        Stub("sasl_server_init", "SASL2", "Cyrus SASL"),
        Stub("PyExc_TypeError", None, "Python 2"),
    ]
    assert 'void SSL_new(void) { refuse("SSL_new", "OpenSSL 1.0"); }' in source(stubs)
    assert "int sasl_server_init(void) { return 0; }" in source(stubs)
    assert "void *PyExc_TypeError[8];" in source(stubs)
    assert version_script(stubs) == (
        "OPENSSL_1.0.0 { global: SSL_new; };\nSASL2 { global: sasl_server_init; };\n"
    )


def test_stub_library_resolves_what_libmesos_wants_of_it(libmesos_path: Path) -> None:
    stubs = ctypes.CDLL(str(libmesos_path.with_name(STUB_NAME)))
    for name in ("SSL_new", "curl_global_init", "svn_txdelta2", "apr_initialize", "PyInt_FromLong"):
        assert getattr(stubs, name)
