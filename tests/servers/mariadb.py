"""A real MariaDB: the system's, or unpacked from Debian's packages."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence

from tests.servers import debs
from tests.servers.process import Server

PACKAGES = ("mariadb-server-core", "libaio1", "libnuma1", "liburing2", "mariadb-common")
"""``mariadb-server-core`` has the server and its system tables; the others are its libraries."""


class MariaDb(Server):
    """MariaDB with user ``root`` and no password asked; databases are made by `database`."""

    name = "mariadb"
    user = "nobody"

    def __init__(self) -> None:
        super().__init__()
        self.program = debs.program("mariadbd", PACKAGES)
        self._databases = 0

    def environment(self) -> dict[str, str]:
        return debs.libraries(self.program)

    def _options(self) -> list[str]:
        base = self.program.parents[1]
        return [
            "--no-defaults",
            f"--basedir={base}",
            f"--lc-messages-dir={base}/share/mysql",
            f"--datadir={self.folder}/data",
            "--innodb-flush-log-at-trx-commit=0",
            "--skip-innodb-doublewrite",
            "--innodb-log-file-size=32M",
            "--character-set-server=utf8mb4",
        ]

    def prepare(self) -> None:
        root = os.getuid() == 0
        data = self.folder / "data"
        (data / "mysql").mkdir(parents=True)
        if root:
            self.folder.chmod(0o755)
            for path in (data, data / "mysql"):
                shutil.chown(path, self.user)
        share = self.program.parents[1] / "share/mysql"
        files = ("mysql_system_tables.sql", "mysql_performance_tables.sql", "mysql_system_tables_data.sql")
        # what mariadb-install-db does, without its wish for the programs of the client package
        script = "use mysql;\nset @auth_root_socket=NULL;\n" + "".join((share / file).read_text() for file in files)
        script = "create database if not exists mysql;\nset @current_hostname='localhost';\n" + script
        made = subprocess.run(
            [self.program, *self._options(), "--bootstrap", "--silent-startup", "--skip-networking"],
            input=script.encode(),
            capture_output=True,
            env={**os.environ, **self.environment()},
            user=self.user if root else None,
            cwd="/",
        )
        if made.returncode != 0:
            raise RuntimeError(f"MariaDB's system tables could not be made: {made.stderr.decode()[-2000:]}")

    def command(self) -> Sequence[str]:
        return [
            str(self.program),
            *self._options(),
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            f"--socket={self.folder}/data/socket",
            f"--pid-file={self.folder}/data/pid",
            "--local-infile=1",
            "--skip-grant-tables=0",
            "--max-allowed-packet=256M",
        ]

    def ready(self) -> bool:
        import pymysql

        try:
            pymysql.connect(host="127.0.0.1", port=self.port, user="root").close()
        except pymysql.Error:
            return False
        return True

    def url(self, database: str = "") -> str:
        """The connection string of a database."""
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/{database}?local_infile=1"

    def database(self) -> str:
        """Make an empty database and give its connection string."""
        import pymysql

        self._databases += 1
        name = f"test_{os.getpid()}_{self._databases}"
        connection = pymysql.connect(host="127.0.0.1", port=self.port, user="root")
        try:
            connection.cursor().execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        finally:
            connection.close()
        return self.url(name)
