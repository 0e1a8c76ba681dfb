"""A PostgreSQL server of the tests' own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

OWNER_PASSWORD = "owner-s-password"
_PATIENCE_S = 60


@dataclass(frozen=True)
class Server:
    """The server: where it listens on this machine."""

    port: int

    def connect(self, user: str = "owner", password: str = OWNER_PASSWORD) -> Any:
        """A connection of its own, past the toolkit; each statement is a transaction."""
        import psycopg

        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=user, password=password, dbname="postgres", autocommit=True
        )


@contextmanager
def run_postgres() -> Iterator[Server]:
    """A server with an empty database, until the block ends; skips the test where there is none to run."""
    initdb, server = _program("initdb"), _program("postgres")
    if initdb is None or server is None:
        pytest.skip("no PostgreSQL server on this machine (Debian: apt-get install postgresql)")
    if find_spec("psycopg") is None:
        pytest.skip("psycopg is not installed (pip install 'improvement-toolkit[postgres]')")
    folder, who = Path(tempfile.mkdtemp(prefix="pg-")), _unprivileged()
    try:
        (folder / "password").write_text(OWNER_PASSWORD)
        if who:
            for path in (folder, folder / "password"):
                shutil.chown(path, who["user"], who["group"])
        how = ["--username=owner", "--pwfile=password", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        subprocess.run([initdb, "--no-sync", "-D", "data", *how], check=True, capture_output=True, cwd=folder, **who)
        port = _free_port()
        options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "fsync": "off"}
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [server, "-D", "data", *(f"--{name}={value}" for name, value in options.items())],
                stdout=log,
                stderr=log,
                cwd=folder,
                **who,
            )
            try:
                _wait_for(process, port, folder / "log")
                yield Server(port)
            finally:
                process.send_signal(signal.SIGINT)  # "fast": whoever is connected is sent away
                process.wait(_PATIENCE_S)
    finally:
        shutil.rmtree(folder)


def _program(name: str) -> str | None:
    """A program of the server; Debian keeps them by version, out of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda file: int(file.parts[-3]))
    return str(found[-1]) if found else shutil.which(name)


def _unprivileged() -> dict[str, Any]:
    """As whom the server's programs are run: they refuse to be root."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name for entry in pwd.getpwall()}
    user = next(name for name in ("postgres", "nobody", "daemon") if name in names)
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    import psycopg

    patience = time.monotonic() + _PATIENCE_S
    while True:
        try:
            Server(port).connect().close()
        except psycopg.OperationalError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < patience, log.read_text()
            time.sleep(0.1)
        else:
            return
