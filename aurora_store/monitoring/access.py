"""Who may ask: an address that only this machine reaches, or a token."""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import socket
import stat
from pathlib import Path

from aurora_store.log.members import Address

_TOKEN = re.compile(r"[!-~]{16,512}")


class Token:
    """A shared secret. Shows itself nowhere.

    Raises:
        ValueError: it is not 16 to 512 visible ASCII characters.
    """

    def __init__(self, text: str) -> None:
        if not _TOKEN.fullmatch(text):
            raise ValueError(
                "a token is 16 to 512 visible ASCII characters without spaces:"
                " python3 -c 'import secrets; print(secrets.token_urlsafe())'"
            )
        self._header = f"Bearer {text}"

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Token:
        """The token in a file that nobody but its owner may read or write.

        Raises:
            OSError: the file cannot be read.
            ValueError: others may read it, or it holds no token.
        """
        # A pipe in its place must not hold us up.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if not stat.S_ISREG(mode):
                raise ValueError(f"the token file {path} is not a regular file")
            if mode & 0o077:
                raise ValueError(
                    f"the token file {path} has mode {stat.S_IMODE(mode):04o}, so others of this"
                    f" machine may use it: chmod 600 {path}"
                )
            text = file.read(1024).decode("ascii", "replace").strip()
        try:
            return cls(text)
        except ValueError as exc:
            raise ValueError(f"{path}: {exc}") from None

    @property
    def header(self) -> str:
        """What ``Authorization`` must be."""
        return self._header

    def permits(self, header: str | None) -> bool:
        """Whether that ``Authorization`` has this token. Takes as long for every wrong one."""
        given = (header or "").encode("latin-1", "replace")
        return hmac.compare_digest(given, self._header.encode())

    def __repr__(self) -> str:
        return "Token(...)"


def listening_address(text: str, token: Token | None) -> tuple[socket.AddressFamily, str, int]:
    """Where to listen: family, numeric host and port. Other machines need a token.

    Raises:
        ValueError: it is not an address, or others can reach it and there is no token.
    """
    address = Address.parse(text)
    host = address.host.removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM)
    except OSError as exc:
        raise ValueError(f"{text!r} is no address of this machine: {exc.strerror}") from exc
    family, _, _, _, (numeric, port, *_) = found[0]
    # What is judged is what is listened on: a name may mean something else a moment later.
    if token is None and not ipaddress.ip_address(str(numeric)).is_loopback:
        raise ValueError(
            f"{text} can be reached from other machines, and no token is set: give the monitoring"
            " server a token or a token_file, or listen on 127.0.0.1"
        )
    return family, str(numeric), int(port)


def token_of(token: str | None, token_file: str | os.PathLike[str] | None) -> Token | None:
    """The token that was given as text or as a file, if any.

    Raises:
        OSError, ValueError: as `Token` and `Token.read`; or both were given.
    """
    if token is not None and token_file is not None:
        raise ValueError("give a token or a token_file, not both")
    if token_file is not None:
        return Token.read(Path(token_file))
    return None if token is None else Token(token)
