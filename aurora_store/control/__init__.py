"""Asking a running store, from another process of the same machine, to do something.

A store listens on the Unix socket ``control.sock`` in its log directory (`ControlServer`); the
command line speaks to it (`ask`). What can be asked for is in `operations`: the work itself is done
by methods of the store.

One line of JSON each: a request ``{"operation": ..., "arguments": {...}}``, and as answer any
number of ``progress`` and ``alive`` lines and then one ``result`` or ``error``. The socket is its
owner's alone (0600), and the kernel says who calls.
"""

from aurora_store.control.client import ask
from aurora_store.control.server import ControlServer

__all__ = ["ControlServer", "ask"]
