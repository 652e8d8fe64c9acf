"""The run book, walked: every failure is real, every text is compared, every command is typed as it stands there."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb
import pytest

from tests.crash import forks
from tests.runbook import quick
from tests.runbook.walk import PAGE, Walk, sections

RUN = "headrace run shop.py"


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the command that shells find."""
    folder = tmp_path_factory.mktemp("bin")
    server = forks.start(quick.serve, folder / "s")
    quick.client(folder, folder / "s")
    end = time.monotonic() + 60
    while not (folder / "s").exists():
        assert server.is_alive() and time.monotonic() < end
        time.sleep(0.01)
    yield folder
    server.kill()


@pytest.fixture
def walk(tmp_path: Path, commands: Path) -> Callable[[str], Walk]:
    """Begins a walk through a section."""
    return lambda title: Walk(title, tmp_path, commands)


def rows(folder: Path, sql: str = "SELECT id FROM raw.orders ORDER BY ALL") -> list[Any]:
    with duckdb.connect(str(folder / "shop.duckdb"), read_only=True) as connection:
        return [row[0] if len(row) == 1 else row for row in connection.execute(sql).fetchall()]


def by_hand(folder: Path, sql: str) -> None:
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute(sql)


def test_a_credential_is_missing(walk: Any, tmp_path: Path) -> None:
    w = walk("A credential is missing")
    w.script("credential")
    w.seen(w.shell(RUN, 1))
    w.end()
    assert len(rows(tmp_path)) == 50


def test_a_setting_has_the_wrong_type(walk: Any, tmp_path: Path) -> None:
    w = walk("A setting has the wrong type")
    w.script("credential")
    w.variables = {"SOURCES__SHOP__API_KEY": "key-4711", "SOURCES__SHOP__PAGE_SIZE": "fifty"}
    w.seen(w.shell(RUN, 1))
    w.end()
    assert len(rows(tmp_path)) == 20


def test_a_contract_is_violated(walk: Any, tmp_path: Path) -> None:
    w = walk("The data violate a contract")
    w.script("contract")
    w.shell(RUN)
    w.variables = {"COUPONS": "true"}
    w.seen(w.shell(RUN, 1))
    assert rows(tmp_path) == [1]
    w.end()
    assert rows(tmp_path, "SELECT id, coupon FROM raw.orders ORDER BY ALL") == [(1, None), (2, "SPRING")]


@pytest.mark.destination("postgres")
def test_the_destination_is_down(walk: Any, tmp_path: Path, postgres_server: Any) -> None:
    import psycopg

    w = walk("The destination is down")
    url = postgres_server.database()
    w.variables = {"DESTINATION__POSTGRES__CREDENTIALS": url, "LOAD__RAISE_ON_MAX_RETRIES": "1"}
    w.script("down")
    w.shell(RUN)
    w.variables["OUT_OF_LUCK"] = "1"
    running = subprocess.Popen(
        ["headrace", "run", "shop.py"],
        cwd=tmp_path,
        env=w.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for(tmp_path / "is-normalized")
        postgres_server.kill()
        (tmp_path / "server-is-down").touch()
        printed, _ = running.communicate(timeout=120)
        assert running.returncode == 1 and "secret-of-postgres" not in printed
        w.seen(printed)
        w.variables.pop("OUT_OF_LUCK")
        w.seen(w.shell(RUN, 1))
        w.typed(1)
    finally:
        running.kill()
        postgres_server.start()
    w.end()
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*), count(DISTINCT id) FROM raw.orders").fetchone() == (9, 9)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_job_failed_for_good(walk: Any, tmp_path: Path) -> None:
    w = walk("A job failed for good")
    w.script("orders", destination="duckdb")
    w.shell(RUN)
    by_hand(tmp_path, "CREATE UNIQUE INDEX one_note ON raw.orders (note)")
    w.seen(w.shell(RUN, 1))
    assert rows(tmp_path) == [1, 2, 3]
    w.end()
    assert rows(tmp_path) == list(range(1, 10)), "each row once: those of the failed job, and those of the run after it"


def test_the_process_is_killed(walk: Any, tmp_path: Path) -> None:
    w = walk("The process was killed half-way")
    w.script("killed")
    w.shell(RUN)
    w.variables = {"OUT_OF_LUCK": "1"}
    # the shell that waits says what became of it
    w.seen(w.shell(f"{RUN}\nexit 1", 1))
    w.variables = {}
    w.end()
    assert rows(tmp_path) == list(range(1, 10))


def test_the_disk_is_full(walk: Any, tmp_path: Path) -> None:
    w = walk("The disk is full")
    disk = tmp_path / "small"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs (root)")
    try:
        w.variables = {"HEADRACE_DATA_DIR": str(disk / "data")}
        w.script("orders", destination="duckdb")
        w.shell(RUN)
        with (disk / "old-files").open("wb") as stream:
            os.posix_fallocate(stream.fileno(), 0, shutil.disk_usage(disk).free)
        w.seen(w.shell(RUN, 1))
        w.end()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
    assert rows(tmp_path) == list(range(1, 7))


def test_the_schema_was_changed(walk: Any, tmp_path: Path) -> None:
    w = walk("Somebody changed a table")
    w.script("orders", destination="duckdb")
    w.shell(RUN)
    by_hand(tmp_path, "ALTER TABLE raw.orders ALTER note TYPE INTEGER USING NULL")
    w.seen(w.shell(RUN, 1))
    w.end()
    assert rows(tmp_path) == list(range(1, 7))


def test_two_runs_at_once(walk: Any, tmp_path: Path) -> None:
    w = walk("Two runs at once")
    w.script("slow")
    first = subprocess.Popen(
        ["headrace", "run", "shop.py"],
        cwd=tmp_path,
        env={**w.environment(), "SECONDS_TO_WAIT": "3"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(tmp_path / "is-running")
        w.seen(w.shell(RUN, 1))
        w.end()
    finally:
        assert first.wait(120) == 0
    assert rows(tmp_path) == [1, 1], "one row of each run"


@pytest.fixture
def shop_server() -> Iterator[Any]:
    """A shop of two pages; while `bad` is set, the second is one of the proxy in front of it."""

    class Shop(BaseHTTPRequestHandler):
        bad = True

        def do_GET(self) -> None:
            page = parse_qs(urlsplit(self.path).query)["page"][0]
            document = (
                b'{"orders": [{"id": 1}], "next": 2}' if page == "1" else b'{"orders": [{"id": 2}], "next": null}'
            )
            bad = page == "2" and type(self).bad
            self.send_response(502 if bad else 200)
            self.end_headers()
            self.wfile.write(b"<html>Bad Gateway</html>" if bad else document)

        def log_message(self, *args: Any) -> None:
            pass

    web = HTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=web.serve_forever, daemon=True)
    thread.start()
    yield web
    web.shutdown()
    web.server_close()
    thread.join()


def test_a_bad_page(walk: Any, tmp_path: Path, shop_server: Any) -> None:
    w = walk("An API gave a bad page")
    w.script("page", url=f"http://127.0.0.1:{shop_server.server_port}")
    printed = w.shell(RUN, 1)
    assert "k-4711" not in printed
    w.seen(printed)
    shop_server.RequestHandlerClass.bad = False
    w.end()
    assert rows(tmp_path) == [1, 2]


def test_rows_were_rejected(walk: Any, tmp_path: Path) -> None:
    w = walk("Rows were rejected")
    w.variables = {"NORMALIZE__KEEP_REJECTED": "true"}
    w.script("rejected")
    w.shell(RUN)
    w.variables["COUPONS"] = "true"
    w.seen(w.shell(RUN))
    w.end()
    assert rows(tmp_path, "SELECT DISTINCT id, coupon FROM raw.orders ORDER BY ALL") == [
        (1, None),
        (2, "SPRING"),
        (3, None),
    ]


def test_a_bad_load_is_undone(walk: Any, tmp_path: Path) -> None:
    w = walk("A bad load has to be undone")
    w.variables = {"LOAD__KEEP_UNDO": "3"}
    w.script("undo")
    w.shell(RUN)
    w.variables["IN_CENTS"] = "true"
    w.shell(RUN)
    assert rows(tmp_path, "SELECT DISTINCT total FROM raw.orders") == [2000]
    w.variables["IN_CENTS"] = ""
    w.end()
    assert rows(tmp_path, "SELECT id, day, total FROM raw.orders ORDER BY ALL") == [(n, 2, 20) for n in (1, 2, 3)]


def test_every_section_is_walked_and_has_its_four_parts() -> None:
    import inspect

    source = inspect.getsource(inspect.getmodule(test_every_section_is_walked_and_has_its_four_parts))  # type: ignore[arg-type]
    assert len(sections()) == 12
    text = PAGE.read_text()
    for title in sections():
        assert f'walk("{title}")' in source, title
        part = text.partition(f". {title}\n")[2].partition("\n## ")[0]
        for word in ("**Seen.**", "**Means.**", "**Type.**", "**Nothing is lost.**"):
            assert word in part, f"{title} has no {word}"
