"""A package registry on the loopback interface."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aurora_store.libmesos.download import FILE_NAME


class Registry:
    """A package registry on the loopback that offers one file, and counts its downloads."""

    def __init__(self, content: bytes, digest: str | None) -> None:
        self.content = content
        self.digest = digest
        self.downloads = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        self.url = f"http://127.0.0.1:{self._server.server_port}/simple"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, registry: Registry, *args: object) -> None:
        self._registry = registry
        super().__init__(*args)  # type: ignore[arg-type]  # socketserver's three

    def do_GET(self) -> None:
        if self.path == "/simple/mesos-scheduler/":
            digest = self._registry.digest
            link = f"/files/{FILE_NAME}" + (f"#sha256={digest}" if digest else "")
            self._answer(f'<a href="{link}">{FILE_NAME}</a>'.encode(), "text/html")
        elif self.path == f"/files/{FILE_NAME}":
            self._registry.downloads += 1
            self._answer(self._registry.content, "application/octet-stream")
        else:
            self.send_error(404)

    def _answer(self, body: bytes, content_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_args: object) -> None:
        pass


ServeRegistry = Callable[[bytes, str | None], Registry]
"""Starts a registry with this file and this sha256, and points pip's configuration at it."""
