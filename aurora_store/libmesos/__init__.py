"""Where libmesos comes from: finding one, judging it, and fetching the official build.

Nothing here loads libmesos into the calling process, and importing this package needs none.

- `find` says which library a store would use, and why; `Libmesos` is its answer.
- `fetch` brings the official build from the Python package registry into the user's cache and makes
  it loadable with one plain ``dlopen`` on a machine that has neither root nor Mesos.
- `verify_loads` tries a library in a process of its own.
"""

from aurora_store.libmesos.loading import verify_loads
from aurora_store.libmesos.provision import fetch
from aurora_store.libmesos.search import Libmesos, find

__all__ = ["Libmesos", "fetch", "find", "verify_loads"]
