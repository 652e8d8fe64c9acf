"""``python -m headrace``: the command line."""

from __future__ import annotations

from headrace.cli.app import main

if __name__ == "__main__":
    main("python -m headrace")
