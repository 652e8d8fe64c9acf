"""The chess example against a server on this machine that answers as the public API of chess.com does."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import headrace as dlt
from tests.e2e.project import project as project
from tests.e2e.project import rows

ROOT = Path(__file__).parents[2]
PLAYERS = ["ada", "bob"]
MONTHS = ["2022/10", "2022/11", "2022/12"]


class Chess:
    """Profiles and games of two players over a few months; remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.months = list(MONTHS)
        self.url = ""

    def answer(self, path: str) -> Any:
        """The document at a path; None when there is none."""
        self.asked.append(path)
        match path.strip("/").split("/"):
            case ["player", name]:
                return self.profile(name)
            case ["player", name, "games", "archives"]:
                return {"archives": [f"{self.url}player/{name}/games/{month}" for month in self.months]}
            case ["player", name, "games", year, month]:
                return {"games": [self.game(name, f"{year}/{month}", n) for n in range(3)]}
        return None

    def profile(self, name: str) -> dict[str, Any]:
        return {
            "@id": f"{self.url}player/{name}",
            "player_id": PLAYERS.index(name) + 1,
            "username": name,
            "followers": 10,
            "joined": 1356998400,
            "is_streamer": False,
            "streaming_platforms": [{"type": "twitch", "channel_url": f"https://twitch.example/{name}"}],
        }

    def game(self, name: str, month: str, n: int) -> dict[str, Any]:
        return {
            "uuid": f"{name}-{month}-{n}",
            "url": f"https://chess.example/game/{name}/{month}/{n}",
            "pgn": '[Event "Live Chess"]\n1. e4 e5',
            "time_control": "600",
            "end_time": 1667260800 + n,
            "rated": True,
            "accuracies": {"white": 90.5, "black": 71.25},
            "tags": ["blitz", "rated"],
            "white": {"rating": 2800 + n, "result": "win", "username": name},
            "black": {"rating": 2700, "result": "resigned", "username": "guest"},
        }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Chess]:
    chess = Chess()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = chess.answer(self.path)
            body = json.dumps(found if found is not None else {"code": 0, "message": "not found"}).encode()
            self.send_response(200 if found is not None else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """No log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        chess.url = f"http://127.0.0.1:{listening.server_address[1]}/"
        monkeypatch.setenv("SOURCES__CHESS_PIPELINE__CHESS__CHESS_URL", chess.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield chess
        listening.shutdown()
        thread.join()


@pytest.fixture
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("chess_pipeline", ROOT / "examples" / "chess_pipeline.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def make_pipeline(folder: Path) -> Any:
    return dlt.pipeline(
        "chess_pipeline",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(folder / "chess.duckdb")),
        dataset_name="chess_players_games_data",
    )


def games_asked(server: Chess) -> list[str]:
    """Months that were fetched since the last look."""
    found = sorted(path for path in server.asked if path[-7:] in server.months)
    server.asked.clear()
    return found


def test_players_and_their_games_of_some_months(project: Path, server: Chess, example: ModuleType) -> None:
    """Months inside the range are loaded, with nested data as tables; the load itself is loaded as a table too."""
    pipeline = make_pipeline(project)
    example.load(pipeline, players=PLAYERS, start_month="2022/11", end_month="2022/12")
    assert rows(pipeline, "players_profiles", "username, player_id") == [("ada", 1), ("bob", 2)]
    assert rows(pipeline, "players_profiles__streaming_platforms", "type") == [("twitch",), ("twitch",)]
    assert rows(pipeline, "players_games", "count(*), count(DISTINCT uuid), min(accuracies__white)") == [(12, 12, 90.5)]
    tags = rows(pipeline, "(SELECT value, count(*) AS n FROM players_games__tags GROUP BY value)")
    assert tags == [("blitz", 12), ("rated", 12)]
    assert rows(pipeline, "players_games", "DISTINCT white__result, black__result") == [("win", "resigned")]
    assert rows(pipeline, "_load_info", "count(*)") == [(1,)]
    assert games_asked(server) == [f"/player/{n}/games/{m}" for n in PLAYERS for m in MONTHS[1:]]


def test_again_fetches_the_newest_month_only(project: Path, server: Chess, example: ModuleType) -> None:
    """Months that are over are not asked for again; games that come again replace themselves."""
    pipeline = make_pipeline(project)
    example.load(pipeline, players=PLAYERS)
    assert len(games_asked(server)) == 6
    server.months.append("2023/01")
    example.load(make_pipeline(project), players=PLAYERS)
    # December was the newest month of the last run, and may have got games since
    assert games_asked(server) == [f"/player/{n}/games/{m}" for n in PLAYERS for m in ("2022/12", "2023/01")]
    example.load(make_pipeline(project), players=PLAYERS)
    assert games_asked(server) == [f"/player/{n}/games/2023/01" for n in PLAYERS]
    assert rows(pipeline, "players_games", "count(*), count(DISTINCT uuid)") == [(24, 24)]


def test_an_answer_that_is_an_error_fails_the_run_and_keeps_nothing(
    project: Path, server: Chess, example: ModuleType
) -> None:
    pipeline = make_pipeline(project)
    with pytest.raises(Exception, match="players_"):
        example.load(pipeline, players=["ada", "nobody"])
    assert not pipeline.has_pending_data
    assert "sources" not in pipeline.state or not pipeline.state["sources"]
