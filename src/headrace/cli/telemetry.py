"""``headrace telemetry``."""

from __future__ import annotations

import click

from headrace.cli.base import Command, current_output


@click.command(cls=Command)
def telemetry() -> None:
    """Say what headrace sends home: nothing.

    There is no telemetry. `--disable-telemetry` and `--enable-telemetry`, and the settings of dlt that switch its own
    off, are accepted and do nothing.
    """
    out = current_output()
    out.result({"telemetry": False}, lambda: out.text("There is no telemetry: headrace sends nothing to anybody."))
