"""An SFTP server that takes a password or a key."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.servers import Missing
from tests.servers.process import Server, package_folder

_PROGRAM = """
import asyncio, sys
import asyncssh

port, root, key = int(sys.argv[1]), sys.argv[2], sys.argv[3]

class Access(asyncssh.SSHServer):
    def begin_auth(self, username):
        return True
    def password_auth_supported(self):
        return True
    def validate_password(self, username, password):
        return (username, password) == ("loader", "secret-of-sftp")
    def public_key_auth_supported(self):
        return True
    def validate_public_key(self, username, offered):
        return username == "loader" and offered == asyncssh.read_public_key(key + ".pub")

async def main():
    await asyncssh.create_server(
        Access, "127.0.0.1", port, server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=root), allow_scp=False)
    await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""


class Sftp(Server):
    """asyncssh's SFTP server: user ``loader``, a password and a key of its own."""

    name = "sftp"
    username, password = "loader", "secret-of-sftp"

    def __init__(self) -> None:
        super().__init__()
        if package_folder("asyncssh") is None:
            raise Missing("asyncssh", "pip install asyncssh")
        self.root = self.folder / "root"
        self.key = self.folder / "id_ed25519"

    def prepare(self) -> None:
        import asyncssh

        self.root.mkdir()
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(str(self.key))
        key.write_public_key(f"{self.key}.pub")

    def command(self) -> Sequence[str]:
        return [sys.executable, "-c", _PROGRAM, str(self.port), str(self.root), str(self.key)]

    def url(self, folder: str = "data") -> str:
        """The url of a folder on it."""
        return f"sftp://127.0.0.1:{self.port}/{folder}"
