"""Chess players and their games from the public API of chess.com, loaded month by month.

    python examples/chess_pipeline.py

Profiles are fetched in parallel and replaced, games of the months asked for are merged by their ``uuid``. The API's
address comes from the configuration (``SOURCES__CHESS_PIPELINE__CHESS__CHESS_URL``), so that the test can put a server
of its own in its place.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import requests

import headrace as dlt

PLAYERS = ["magnuscarlsen", "vincentkeymer", "dommarajugukesh", "rpragchess"]


def get(address: str) -> Any:
    """A document of the API; an HTTP error is raised."""
    answer = requests.get(address, headers={"User-Agent": "headrace example"}, timeout=30)
    answer.raise_for_status()
    return answer.json()


@dlt.source(name="chess")
def chess(
    players: Sequence[str] = tuple(PLAYERS),
    start_month: str | None = None,
    end_month: str | None = None,
    chess_url: str = dlt.config.value,
) -> Any:
    """Profiles and games of some players.

    Args:
        players: Names of players.
        start_month: The first month of games, as YYYY/MM; None starts with the first game.
        end_month: The last month of games, as YYYY/MM; None ends with the newest.
        chess_url: Where the API is, with a slash at the end.
    """

    @dlt.resource(write_disposition="replace", selected=False)
    def player_names() -> Iterator[str]:
        yield from players

    @dlt.transformer(data_from=player_names, write_disposition="replace")
    @dlt.defer
    def players_profiles(name: str) -> Any:
        return get(f"{chess_url}player/{name}")

    @dlt.transformer(data_from=player_names, selected=False)
    @dlt.defer
    def players_archives(name: str) -> Any:
        return get(f"{chess_url}player/{name}/games/archives").get("archives", [])

    @dlt.transformer(data_from=players_archives, primary_key="uuid", write_disposition="merge")
    def players_games(archives: Sequence[str]) -> Iterator[Any]:
        done = dlt.current.resource_state().setdefault("archives", [])
        for address in archives:
            month = address[-7:]
            if (start_month and month < start_month) or (end_month and month > end_month):
                continue
            if address in done:
                continue
            # the newest month may still grow: only months that are over are fetched once and for all
            if address != archives[-1]:
                done.append(address)
            yield get(address).get("games", [])

    return player_names, players_profiles, players_archives, players_games


def load(pipeline: dlt.Pipeline, **arguments: Any) -> Any:
    """Load games of some months; the information about the load is loaded too, as a table."""
    info = pipeline.run(chess(**arguments))
    print(info)
    pipeline.run([info], table_name="_load_info")
    return info


if __name__ == "__main__":
    import os

    os.environ.setdefault("SOURCES__CHESS_PIPELINE__CHESS__CHESS_URL", "https://api.chess.com/pub/")
    chess_games = dlt.pipeline("chess_pipeline", destination="duckdb", dataset_name="chess_players_games_data")
    load(chess_games, start_month="2022/11", end_month="2022/12")
    print(chess_games.last_trace)
