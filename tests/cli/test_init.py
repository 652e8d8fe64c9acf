"""`headrace init`: what it writes runs, and it overwrites nothing."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import headrace
from headrace.cli.scaffold import TEMPLATES
from headrace.config.registry import reset
from headrace.destinations import FACTORIES
from tests.cli.conftest import Cli

FILES = [".dlt/config.toml", ".dlt/secrets.toml", ".gitignore", "requirements.txt"]


@pytest.fixture
def api() -> Iterator[str]:
    """Two pages of issues for those who know the token."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == "Bearer t0ken-of-mine"
            second = "page=2" in self.path
            body = json.dumps([{"id": 2 if second else 1, "updated_at": "2026-02-01T00:00:00Z"}]).encode()
            self.send_response(200 if known else 401)
            if known and not second:
                self.send_header("Link", f'<http://{self.headers["Host"]}/issues?page=2>; rel="next"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def fill(cli: Cli, name: str, before: str, after: str) -> None:
    path = cli.folder / name
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    reset()


def rows(name: str) -> dict[str, int]:
    return {row[0]: row[1] for row in headrace.attach(name).dataset().row_counts().fetchall()}


def test_a_project_of_the_default_template_runs_at_once(cli: Cli) -> None:
    told = cli("init", "shop").out
    assert "python shop_pipeline.py" in told and "fill in" not in told
    assert sorted(os.listdir(cli.folder)) == sorted([".dlt", ".gitignore", "requirements.txt", "shop_pipeline.py"])
    cli("run", "shop_pipeline.py")
    assert rows("shop") == {"customers": 2, "orders": 2, "orders__items": 3}
    cli("run", "shop_pipeline.py")
    assert rows("shop") == {"customers": 2, "orders": 2, "orders__items": 3}


def test_the_template_of_an_api(cli: Cli, api: str) -> None:
    told = cli("init", "api").out
    assert "fill in .dlt/secrets.toml: sources.api_pipeline.api.api_key" in told
    fill(cli, ".dlt/config.toml", "https://api.example.com", api)
    fill(cli, ".dlt/secrets.toml", "<configure me>", "t0ken-of-mine")
    cli("run", "api_pipeline.py")
    assert rows("api") == {"issues": 2}


def test_the_template_of_files(cli: Cli) -> None:
    cli("init", "my files", "--template", "files")
    cli.write("data/towns.csv", "id,name\n1,Bonn\n2,Köln\n")
    cli("run", "my_files_pipeline.py")
    assert rows("my_files") == {"towns": 2}


def test_the_template_of_a_database(cli: Cli) -> None:
    with sqlite3.connect(cli.folder / "source.db") as database:
        database.execute("CREATE TABLE orders (id INTEGER, what TEXT)")
        database.execute("INSERT INTO orders VALUES (1, 'pen'), (2, 'ink')")
    database.close()
    assert "add to requirements.txt" not in cli("init", "sql").out
    assert "sqlalchemy" in (cli.folder / "requirements.txt").read_text()
    fill(cli, ".dlt/secrets.toml", "<configure me>", f"sqlite:///{cli.folder}/source.db")
    cli("run", "sql_pipeline.py")
    assert rows("sql") == {"orders": 2}


def test_settings_that_a_destination_misses_are_asked_for(cli: Cli) -> None:
    found = cli.json("init", "shop", "postgres")
    assert found["created"] == ["shop_pipeline.py", *FILES]
    keys = [
        f".dlt/secrets.toml: destination.postgres.credentials.{k}" for k in ("database", "username", "host", "password")
    ]
    assert found["fill_in"] == keys
    assert 'destination="postgres"' in (cli.folder / "shop_pipeline.py").read_text()
    assert "still to be filled in" in cli("doctor").out
    assert stat.S_IMODE((cli.folder / ".dlt/secrets.toml").stat().st_mode) == 0o600
    assert "secrets.toml" in (cli.folder / ".gitignore").read_text().splitlines()


def test_files_that_are_there_are_added_to(cli: Cli) -> None:
    cli.write(".dlt/config.toml", "# mine\n[load]\nworkers = 3 # few\n")
    cli.write(".gitignore", "*.log")
    cli.write("requirements.txt", "pandas\n")
    found = cli.json("init", "shop", "filesystem")
    assert found["changed"] == [".dlt/config.toml", ".gitignore"] and found["kept"] == ["requirements.txt"]
    assert found["add"][0].startswith("headrace")
    text = (cli.folder / ".dlt/config.toml").read_text()
    assert text.startswith("# mine\n[load]\nworkers = 3 # few\n") and "bucket_url" in text
    assert (cli.folder / ".gitignore").read_text().startswith("*.log\nsecrets.toml\n")
    assert (cli.folder / "requirements.txt").read_text() == "pandas\n"
    again = cli.json("init", "other", "filesystem")
    assert again["created"] == ["other_pipeline.py"] and not again["changed"]


def test_scripts_are_not_overwritten(cli: Cli) -> None:
    cli.write("shop_pipeline.py", "mine")
    assert "give --yes" in cli("init", "shop", code=2).err
    assert (cli.folder / "shop_pipeline.py").read_text() == "mine" and os.listdir(cli.folder) == ["shop_pipeline.py"]
    cli("init", "shop", "--yes")
    assert "@headrace.source" in (cli.folder / "shop_pipeline.py").read_text()


def test_lists(cli: Cli) -> None:
    assert set(cli.json("init", "--list-sources")["sources"]) == set(TEMPLATES)
    assert set(cli.json("init", "--list-destinations")["destinations"]) == set(FACTORIES)
    assert "postgres" in cli("init", "--list-destinations").out and "api" in cli("init", "-l").out


def test_what_cannot_be_is_refused(cli: Cli) -> None:
    assert "Missing argument 'SOURCE'" in cli("init", code=2).err
    assert "no destination `nope`" in cli("init", "shop", "nope", code=1).err
    assert "cannot be the name of a source" in cli("init", "42", code=1).err
    assert "nope" in cli("init", "x", "--template", "nope", code=2).err
    assert os.listdir(cli.folder) == []
