"""Classes of commands: options that all share, and groups that load their commands when they are asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, cast

import click

from headrace.cli.output import Output

ENTRY_POINTS = "headrace.cli"
F = TypeVar("F", bound=Callable[..., Any])


class Entry(NamedTuple):
    """Where a command is, and what the list of commands says of it; its module is loaded when it is called."""

    where: str
    help: str


def current_output() -> Output:
    """How the running command talks."""
    return click.get_current_context().ensure_object(Output)


class Command(click.Command):
    """A command with the options that all have: ``--json``, ``--no-color``, ``--debug``."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params.extend(common_options())


class Group(click.Group):
    """A group whose commands are loaded when they are called, besides those that plugins add.

    Args:
        entries: The commands by name.
        entry_points: The entry point group of further commands; None for no such thing.
    """

    command_class = Command

    def __init__(
        self, *args: Any, entries: Mapping[str, Entry] | None = None, entry_points: str | None = None, **settings: Any
    ) -> None:
        super().__init__(*args, **settings)
        self.entries: dict[str, Entry] = dict(entries or {})
        self.entry_points = entry_points
        self.params.extend(common_options())

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names of the commands: ours in their order, then those of plugins."""
        own = [*self.entries, *super().list_commands(ctx)]
        return [*own, *sorted(name for name in self._plugins() if name not in own)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        entry = self.entries.get(cmd_name)
        if entry is not None:
            module, _, name = entry.where.partition(":")
            return cast(click.Command, getattr(importlib.import_module(module), name))
        return super().get_command(ctx, cmd_name) or self._plugin(cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, of which none is loaded for it."""
        plugins = self._plugins()
        rows = [(name, entry.help) for name, entry in self.entries.items()]
        rows += [(n, f"(from {p.dist.name})" if p.dist else "") for n, p in plugins.items() if n not in self.entries]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _plugins(self) -> dict[str, Any]:
        if self.entry_points is None:
            return {}
        from importlib.metadata import entry_points

        return {point.name: point for point in entry_points(group=self.entry_points)}

    def _plugin(self, name: str) -> click.Command | None:
        point = self._plugins().get(name)
        if point is None:
            return None
        from headrace.cli.failures import CliError

        try:
            found = point.load()
        except Exception as error:
            raise CliError(
                f"The command `{name}` comes with the package {point.dist.name if point.dist else point.value}, which "
                "cannot be loaded.",
                why=f"{type(error).__name__}: {error}",
                fix="install the package again, or remove it",
            ) from error
        if not isinstance(found, click.Command):
            raise CliError(f"The entry point `{name}` of `{ENTRY_POINTS}` is {found!r} and no click command.")
        return found


def common_options() -> list[click.Option]:
    """Options that each command has; they may stand before it or behind it."""
    return [
        _flag(["--json"], "One JSON document instead of text.", _set("json")),
        _flag(["--no-color"], "No colours (also: NO_COLOR=1).", _no_color),
        _flag(["--debug"], "Show the traceback of an error.", _set("debug")),
    ]


def _flag(names: list[str], text: str, callback: Callable[..., Any]) -> click.Option:
    return click.Option(names, is_flag=True, expose_value=False, help=text, callback=callback)


def _set(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value:
            setattr(ctx.ensure_object(Output), name, value)

    return callback


def _no_color(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        while ctx is not None:  # also for what is printed when this command is over
            ctx.color = False
            ctx = cast(Any, ctx.parent)


def verbose_option(function: F) -> F:
    """Option ``-v``, up to twice."""
    return click.option(
        "-v", "--verbose", count=True, expose_value=False, help="Say more; -vv says all.", callback=_set("verbose")
    )(function)


def yes_option(function: F) -> F:
    """Option ``--yes`` of what asks before it acts."""
    return click.option("-y", "--yes", is_flag=True, expose_value=False, help="Do not ask.", callback=_set("yes"))(
        function
    )
