"""The path of sections under which values are looked up, and the context that carries it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Final

SOURCES: Final = "sources"
DESTINATION: Final = "destination"
DESTINATIONS: Final = "destinations"
PIPELINES: Final = "pipelines"
DATASETS: Final = "datasets"
LOAD: Final = "load"
NORMALIZE: Final = "normalize"
EXTRACT: Final = "extract"
SCHEMA: Final = "schema"
PROVIDERS: Final = "providers"
DATA_WRITER: Final = "data_writer"
DBT_PACKAGE_RUNNER: Final = "dbt_package_runner"
DBT_CLOUD: Final = "dbt_cloud"
DASHBOARD: Final = "dashboard"
WORKSPACE: Final = "workspace"

Path = tuple[str, ...]


class ConfigSectionContext:
    """The surroundings of lookups.

    Args:
        pipeline_name: Name to look under first; None takes the active pipeline's.
        sections: The path, as ``("sources", <section>, <name>)``.
        merge_style: How this context is joined with the one around it; `prefer_incoming` when None.
        source_state_key: Key of the source's state.
    """

    __slots__ = ("merge_style", "pipeline_name", "sections", "source_state_key")

    def __init__(
        self,
        pipeline_name: str | None = None,
        sections: Sequence[str] = (),
        merge_style: Callable[[ConfigSectionContext, ConfigSectionContext], None] | None = None,
        source_state_key: str | None = None,
    ) -> None:
        self.pipeline_name = pipeline_name
        self.sections: Path = tuple(sections)
        self.merge_style = merge_style
        self.source_state_key = source_state_key

    def merge(self, existing: ConfigSectionContext) -> None:
        """Take over from the context around this one what this one lacks, by its merge style."""
        (self.merge_style or ConfigSectionContext.prefer_incoming)(self, existing)

    def source_name(self) -> str:
        """Name of the source.

        Raises:
            ValueError: The path is not a source's.
        """
        return self._of_source(2)

    def source_section(self) -> str:
        """Section of the source.

        Raises:
            ValueError: The path is not a source's.
        """
        return self._of_source(1)

    def _of_source(self, index: int) -> str:
        if self.sections[:1] != (SOURCES,) or len(self.sections) < 2:
            raise ValueError(f"{self.sections} is not the path of a source")
        return self.sections[min(index, len(self.sections) - 1)]

    @staticmethod
    def prefer_incoming(incoming: ConfigSectionContext, existing: ConfigSectionContext) -> None:
        """Keep the inner context's own values; fill the missing ones."""
        incoming.sections = incoming.sections or existing.sections
        _fill(incoming, existing)

    @staticmethod
    def prefer_existing(incoming: ConfigSectionContext, existing: ConfigSectionContext) -> None:
        """Keep the outer context's path if it has one."""
        incoming.sections = existing.sections or incoming.sections
        _fill(incoming, existing)

    @staticmethod
    def resource_merge_style(incoming: ConfigSectionContext, existing: ConfigSectionContext) -> None:
        """Inside a source a resource is looked up in the source's section, under the resource's own name."""
        inner, outer = incoming.sections, existing.sections
        if len(inner) == 3 and len(outer) == 3 and inner[0] == outer[0]:
            incoming.sections = (outer[0], outer[1], inner[2])
        else:
            incoming.sections = inner or outer
        _fill(incoming, existing)

    def __repr__(self) -> str:
        return f"ConfigSectionContext(pipeline_name={self.pipeline_name!r}, sections={self.sections!r})"


def _fill(incoming: ConfigSectionContext, existing: ConfigSectionContext) -> None:
    incoming.pipeline_name = incoming.pipeline_name or existing.pipeline_name
    incoming.source_state_key = incoming.source_state_key or existing.source_state_key


_NOWHERE = ConfigSectionContext()
_context: ContextVar[ConfigSectionContext] = ContextVar("headrace_config_sections", default=_NOWHERE)


def current_sections() -> ConfigSectionContext:
    """The context around the caller; an empty one when there is none. Not to be changed."""
    return _context.get()


@contextmanager
def inject_section(
    section_context: ConfigSectionContext, merge_existing: bool = True, lock_context: bool = False
) -> Iterator[ConfigSectionContext]:
    """Put a context around a block.

    Args:
        section_context: The context; it is changed when merged.
        merge_existing: Join it with the context around, by its merge style.
        lock_context: Without meaning here, contexts of threads are apart; kept for callers of dlt's function.
    """
    if merge_existing:
        section_context.merge(_context.get())
    token = _context.set(section_context)
    try:
        yield section_context
    finally:
        _context.reset(token)


@contextmanager
def config_section_context(
    *sections: str,
    pipeline_name: str | None = None,
    merge_style: Callable[[ConfigSectionContext, ConfigSectionContext], None] | None = None,
    source_state_key: str | None = None,
) -> Iterator[ConfigSectionContext]:
    """Look up values under a path of sections within a block: ``with config_section_context("sources", "shop"):``."""
    context = ConfigSectionContext(pipeline_name, sections, merge_style, source_state_key)
    with inject_section(context) as injected:
        yield injected


@lru_cache(maxsize=4096)
def section_paths(walked: Path, kept: str | None = None, base: int | None = None) -> tuple[Path, ...]:
    """The paths at which a value is looked up, in order.

    Args:
        walked: Sections that are dropped one by one from the right.
        kept: The section that stays last: a configuration's own.
        base: How many of the walked sections say who asks; the rest is the path of nested configurations. None for all.

    Returns:
        The whole path first, the shortest last. A source's path whose section and name differ also has its compact
        form, without the section, in third place.
    """
    bases = [walked[:n] for n in range(len(walked), -1, -1)]
    base = len(walked) if base is None else base
    if base >= 3 and walked[0] == SOURCES and walked[1] != walked[2]:
        bases.insert(2, (SOURCES, walked[2], *walked[base:]))
    return tuple((*path, kept) for path in bases) if kept else tuple(bases)
