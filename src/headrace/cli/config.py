"""``headrace config``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from headrace.cli.attaching import complete_name
from headrace.cli.base import Command, Entry, Group, current_output
from headrace.cli.output import paint
from headrace.model.wording import count

if TYPE_CHECKING:
    from headrace.cli.output import Output
    from headrace.config.places import Explanation, Place, Spec

CONFIG_TOML = "config.toml"
COMMANDS = {"explain": Entry("headrace.cli.config:explain", "Every place of a setting, and the one that counts.")}


@click.group(cls=Group, entries=COMMANDS, invoke_without_command=True)
@click.pass_context
def config(ctx: click.Context) -> None:
    """Say where a setting comes from."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


@click.command(cls=Command)
@click.argument("key")
@click.option("--pipeline", "pipeline_name", shell_complete=complete_name, help="As runs of this pipeline see it.")
@click.option("--section", "sections", multiple=True, help="Path in front of KEY, with dots; may be repeated.")
@click.option("--all", "everything", is_flag=True, help="Also the places behind the one that counts.")
def explain(key: str, pipeline_name: str | None, sections: tuple[str, ...], everything: bool) -> None:
    """Show every place where a setting is looked for, in order, and which one counts. Secrets are not shown.

    KEY is a path with dots, for example `load.workers`, `destination.postgres.credentials.password`,
    `sources.shop.api_key`; for a setting of headrace its name will do.
    """
    from headrace.config.places import explain_setting

    out = current_output()
    path = [part for section in sections for part in section.split(".")]
    try:
        found = explain_setting(key, path, pipeline_name, destination_spec)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    out.result(found.asdict(), lambda: _tell(out, found, everything))


def destination_spec(name: str) -> Spec | None:
    """The configuration class of a destination, also of a named one; None if there is no such destination."""
    from headrace.destinations.reference import resolve_destination
    from headrace.errors.base import HeadraceException

    try:
        found: Spec | None = getattr(resolve_destination(name), "spec", None)
    except HeadraceException:
        return None
    return found


def _tell(out: Output, found: Explanation, everything: bool) -> None:
    told = [found.type or "not a setting of headrace, but maybe of a source"]
    if found.is_secret:
        told.append("secret")
    if found.default is not None:
        told.append(f"default {found.default}")
    out.text(f"{paint('.'.join((*found.sections, found.key)), 'head')}  {paint(', '.join(told), 'dim')}", "")
    if found.whole:
        out.text(f"  {found.whole} gives all of `{found.sections[-1]}` as one value: what it holds counts first.", "")
    provider = None
    for place in found.places:
        if place.provider != provider:
            provider = place.provider
            out.text(f"  {paint(provider, 'key')}")
        out.text(f"    {_line(place, bool(found.is_secret))}")
        if place.is_used and not everything:
            break
    left = 0 if found.used is None or everything else len(found.places) - found.places.index(found.used) - 1
    if left:
        out.text(paint(f"  {count(left, 'place')} behind it: --all", "dim"))
    for path in found.absent:
        out.text(paint(f"  there is no {path}", "dim"))
    out.text("", _verdict(found))
    if found.also:
        out.text(f"There are settings of the same name: {', '.join(found.also)}")


def _line(place: Place, secret: bool) -> str:
    if not place.is_set:
        return f"{place.key}  {paint('not set', 'dim')}"
    where = f"  ({place.location})" if place.location else ""
    value = f"{place.key} = {place.value}{where}"
    if place.is_used and secret and place.provider == CONFIG_TOML:
        return f"{value}  {paint('<- refused: a secret must not be here, move it to secrets.toml', 'fail')}"
    return (
        f"{value}  {paint('<- this one counts', 'ok')}"
        if place.is_used
        else f"{value}  {paint('comes too late', 'dim')}"
    )


def _verdict(found: Explanation) -> str:
    used = found.used
    if used is not None:
        return f"Value: {used.value}, from {used.location or used.provider}"
    if found.whole:
        return "Value: none of its own"
    return (
        f"Value: {found.default}, the default"
        if found.default is not None
        else paint("Value: none, it is not set", "warn")
    )
