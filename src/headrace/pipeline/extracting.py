"""The step extract: data becomes sealed packages, together with the cursors that say how far it was read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from headrace.base.time import now
from headrace.model.events import PackageMoved, SourceEnded, SourceStarted
from headrace.model.infos import ExtractDataInfo, ExtractInfo
from headrace.model.judging import columns_of
from headrace.pipeline.checkpoints import Checkpoints
from headrace.pipeline.current import package_scope
from headrace.pipeline.extractinfo import data_info, work_metrics
from headrace.pipeline.maintain import note_schema
from headrace.pipeline.recovery import LAST_SEALED
from headrace.pipeline.refreshing import check_mode, join_orders, package_info, prepare_refresh
from headrace.pipeline.step import StepRun, step
from headrace.pipeline.work import Work, new_sink, put_state_row, seal_work

if TYPE_CHECKING:
    from headrace.extract.settings import ExtractSettings
    from headrace.extract.source import DltSource
    from headrace.extract.stage import SourceExtractResult
    from headrace.model.schema import Schema
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")


class ExtractArgs(NamedTuple):
    """What a call of extract asks for.

    Attributes:
        hints: Of the data, by the names of `wrap_data`.
        max_parallel_items: Instead of the configured number.
        workers: Instead of the configured number.
        refresh: What to drop first.
    """

    hints: dict[str, Any]
    max_parallel_items: int | None = None
    workers: int | None = None
    refresh: str | None = None


def extract(p: Pipeline, data: Any, args: ExtractArgs) -> ExtractInfo:
    """See `Pipeline.extract`."""
    with step(p, "extract") as run:
        check_mode(args.refresh)
        works: dict[str, Work] = {}
        checkpoints = _checkpoints(p, args)
        try:
            described = _read_all(p, run, works, data, args, checkpoints)
            loads = seal_all(p, works, checkpoints)
        except BaseException:
            # before the packages go: the error says how far it came
            run.info = _info(p, [*checkpoints.sealed, *works.values()], data_info(data))
            give_up(p, works)
            checkpoints.catch_up()
            raise
        run.info = info = _info(p, loads, described)
        return info


# ---- reading -----------------------------------------------------------------------------------------------------


def _checkpoints(p: Pipeline, args: ExtractArgs) -> Checkpoints:
    """With refresh there are none: a run that is repeated with it would drop what they hold."""
    found = p._settings.extract()
    if args.refresh:
        return Checkpoints(p, None, None)
    return Checkpoints(p, found.checkpoint_rows, found.checkpoint_seconds)


def _read_all(
    p: Pipeline, run: StepRun, works: dict[str, Work], data: Any, args: ExtractArgs, checkpoints: Checkpoints
) -> list[ExtractDataInfo]:
    from headrace.extract.state import state_scope
    from headrace.extract.wrap import wrap_data

    settings = _settings(p, args)
    with state_scope(p._state.document):
        sources = wrap_data(
            data,
            default_schema_name=p.default_schema_name or p._destinations.default_schema_name(),
            section=p.pipeline_name,
            **args.hints,
        )
        for source in sources:
            work = _work_for(p, works, source)
            run.load_id = work.package.load_id
            with package_scope(work.package):
                _read(p, work, source, args, settings, checkpoints)
    return data_info(data)


def _work_for(p: Pipeline, works: dict[str, Work], source: DltSource[Any]) -> Work:
    """The package for a source's schema."""
    name = source.schema.name
    known = columns_of(p._schemas.find(name)) if name not in works else {}
    schema = adopt_schema(p, source.schema)
    if name not in works:
        package = p._store.create(name, pipeline_name=p.pipeline_name)
        works[name] = Work(package, schema, new_sink(p, package, schema, known))
        works[name].known_columns = known
    return works[name]


def adopt_schema(p: Pipeline, given: Schema) -> Schema:
    """The pipeline's schema for a source: what is known already, with what the source declares put in."""
    live = p._schemas.find(given.name)
    if live is given:
        return live
    if live is None:
        live = p._schemas.add(given.clone())
    else:
        p._schemas.renew(live)
        _bring_in(live, given)
    note_schema(p, live.name)
    return live


def _bring_in(live: Schema, given: Schema) -> None:
    """Put in what a source declares; what it leaves at its default does not undo what the pipeline has learned."""
    plain = type(given)(given.name, given.normalizers).settings
    own = {key: value for key, value in given.settings.items() if value != plain.get(key)}
    # most sources declare nothing, and merging takes time
    if own or given.data_table_names(include_incomplete=True):
        declared = given.clone()
        declared.settings.clear()
        declared.settings.update(own)
        live.update_schema(declared)


def _read(
    p: Pipeline,
    work: Work,
    source: DltSource[Any],
    args: ExtractArgs,
    settings: ExtractSettings,
    checkpoints: Checkpoints,
) -> None:
    from headrace.extract.stage import extract_source

    if args.refresh:
        _refresh(p, work, source, args.refresh)
    started = now()

    def keep(result: SourceExtractResult) -> None:
        work.sources.append((result, started, now()))

    plan = checkpoints.plan(work)
    with _reading(p, work, source):
        keep(extract_source(source, work.schema, work.sink, settings, p._publish, plan, keep))


@contextmanager
def _reading(p: Pipeline, work: Work, source: DltSource[Any]) -> Iterator[None]:
    """Tell observers which source is read, and let them look at it."""
    about: Any = {"run_id": p._tracer.run_id, "load_id": work.package.load_id, "source": source.name}
    p.bus.run.extras["source"] = source
    begun = len(work.sources)
    try:
        p._publish(SourceStarted(schema_name=work.schema.name, resources=list(source.resources.selected), **about))
        yield
    finally:
        try:
            rows = work.sources[-1][0].resource_rows if len(work.sources) > begun else {}
            p._publish(SourceEnded(rows=rows, **about))
        finally:
            del p.bus.run.extras["source"]


def _refresh(p: Pipeline, work: Work, source: DltSource[Any], mode: str) -> None:
    """Forget what the mode says; sources that share a schema are dropped once, with the first of them."""
    if mode == "drop_sources" and work.sources:
        return
    before, external = list(work.schema.tables), p._schemas.external
    imported = external.has(work.schema.name)
    order = prepare_refresh(mode, work.schema, source.name, _resources(source), p._state.document, imported)
    external.bring_back(work.schema, [name for name in reversed(before) if name not in work.schema.tables])
    if order is None:
        return
    work.refresh = join_orders(work.refresh, order)
    if mode == "drop_sources":
        # a schema without history, as the source declares it; nothing was written by the old one yet
        work.schema = p._schemas.add(source.schema.clone())
        work.sink = new_sink(p, work.package, work.schema, {})


def _resources(source: DltSource[Any]) -> list[str]:
    """Selected resources and those they take data from."""
    chosen: list[str] = list(source.resources.selected)
    for resource in source.resources.selected.values():
        pipe = resource._pipe.parent
        while pipe is not None:
            chosen.append(pipe.name)
            pipe = pipe.parent
    return chosen


def _settings(p: Pipeline, args: ExtractArgs) -> ExtractSettings:
    from headrace.extract.settings import ExtractSettings

    found = p._settings.extract()
    return ExtractSettings(
        max_parallel_items=args.max_parallel_items or found.max_parallel_items,
        workers=args.workers or found.workers,
        next_item_mode=found.next_item_mode,
        futures_poll_interval=found.futures_poll_interval,
        copy_on_fork=found.copy_on_fork,
    )


# ---- sealing -----------------------------------------------------------------------------------------------------


def seal_all(p: Pipeline, works: dict[str, Work], checkpoints: Checkpoints) -> list[Work]:
    """Seal the packages that have something in them; returns all that this extract has sealed."""
    before = checkpoints.sources()
    moved = _last(works, _put_state_row(p, works))
    for work in works.values():
        work.finish()
    # also a package of nothing but rows that a contract let go: somebody should hear of them
    kept = [work for work in works.values() if work.files or work.refresh or work.rejected()]
    for work in works.values():
        old = work.package.load_id
        if (checkpoints.sealed or work is moved) and work in kept:
            # packages are loaded and recovered in the order of their ids
            work.move_to(p._store.create(work.schema.name, pipeline_name=p.pipeline_name))
            p._publish(PackageMoved(run_id=p._tracer.run_id, load_id=work.package.load_id, was=old))
        if old != work.package.load_id or work not in kept:
            p._store.drop(old)
    later = {work.schema.name for work in kept}
    for work in kept:
        later.discard(work.schema.name)
        seal_work(p, work, _state_of(p, before, later), before)
    # copies of what the packages hold, for the next start
    for work in works.values():
        p._schemas.save(work.schema)
    sealed = [*checkpoints.sealed, *kept]
    if sealed:
        p._state.local[LAST_SEALED] = sealed[-1].package.load_id
    p._state.save()
    return sealed


def _put_state_row(p: Pipeline, works: dict[str, Work]) -> Work | None:
    """Bring the state's version up to date, and let it travel with the data if it changed; returns where it is."""
    p._destinations.to_state(p._state.document)
    content = p._state.bump()
    if not works:
        return None
    work = works.get(p.default_schema_name or "") or list(works.values())[-1]
    put_state_row(p, work, p._state.document, content)
    return work if work.known_states is not None else None


def _last(works: dict[str, Work], bearer: Work | None) -> Work | None:
    """Put the package with the state's row behind the others; returns it if it was before them.

    Were it loaded first and the machine lost then, another one would read cursors that are ahead of the data.
    """
    if bearer is None or bearer is list(works.values())[-1]:
        return None
    name = next(name for name, work in works.items() if work is bearer)
    works[name] = works.pop(name)
    return bearer


def _state_of(p: Pipeline, before: dict[str, Any], later: set[str]) -> dict[str, Any]:
    """The state for a package.

    Sources whose packages are sealed after it keep their old state in it: should the process die in between, their data
    is extracted again.
    """
    state = p._state.document
    if not later:
        return state
    sources = {k: v for k, v in state.get("sources", {}).items() if k not in later}
    sources.update({k: before[k] for k in later if k in before})
    return {**state, "sources": sources}


def give_up(p: Pipeline, works: dict[str, Work]) -> None:
    """After an error: packages that are not sealed go; those that are stay, with their cursors."""
    for work in works.values():
        if work.package.phase == "new":
            for sink in work.sinks:
                sink.abandon()
            p._store.drop(work.package.load_id)


def _info(p: Pipeline, kept: list[Work], described: list[ExtractDataInfo]) -> ExtractInfo:
    metrics = {w.package.load_id: work_metrics(w) for w in kept}
    # packages that are not sealed have no order yet, and must not be asked for one
    packages = [w.package.info() if w.package.phase == "new" else package_info(p, w.package) for w in kept]
    return ExtractInfo(p, metrics, described, list(metrics), packages, p.first_run)


def extract_state_alone(p: Pipeline, schema: Schema | None = None, refresh: dict[str, Any] | None = None) -> str | None:
    """Put the state into a package without data, if it changed since it was extracted last.

    Args:
        p: The pipeline.
        schema: The schema of the package; the default one when None.
        refresh: What the load of the package has to drop; then there is a package in any case.

    Returns:
        The package's load id; None when there was nothing to put into one.
    """
    schema = schema or p._schemas.find(p.default_schema_name)
    if schema is None:
        return None
    package = p._store.create(schema.name, pipeline_name=p.pipeline_name)
    work = Work(package, schema, new_sink(p, package, schema))
    work.refresh = refresh
    works = {schema.name: work}
    try:
        kept = seal_all(p, works, Checkpoints(p, None, None))
    except BaseException:
        give_up(p, works)
        raise
    return kept[0].package.load_id if kept else None
