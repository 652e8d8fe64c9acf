"""Making plans and running them. A plan is what the real steps do on a twin of the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.base import failpoints
from headrace.base import files as fs
from headrace.base.time import now
from headrace.errors.base import HeadraceException
from headrace.errors.pipeline import PipelineStepFailed
from headrace.errors.plan import PlanNotAllowed, PlanNotFound, PlanOutdated
from headrace.model import planned
from headrace.model.migrate import AnyChange
from headrace.model.state import state_hash
from headrace.pipeline import plans
from headrace.pipeline.extracting import ExtractArgs, extract
from headrace.pipeline.foretelling import Told, plain, tell
from headrace.pipeline.loading import load, merge_infos
from headrace.pipeline.normalizing import normalize, usable_format
from headrace.pipeline.plans import Plan, PlanBase
from headrace.pipeline.recovery import recover
from headrace.pipeline.refreshing import check_mode
from headrace.pipeline.retrying import Retries
from headrace.pipeline.run import finish_pending
from headrace.pipeline.state import to_plain
from headrace.pipeline.step import step
from headrace.pipeline.sync import sync_if_needed
from headrace.pipeline.twin import copy_pending, drop_copies, twin_of

if TYPE_CHECKING:
    from headrace.model.infos import LoadInfo
    from headrace.pipeline.pipeline import Pipeline


# ---- making --------------------------------------------------------------------------------------------------------


_WHERE = ("destination", "staging", "dataset_name", "credentials")
_HINTS = ("table_name", "write_disposition", "columns", "primary_key", "schema", "loader_file_format", "table_format")
_KNOWN = (*_WHERE, *_HINTS, "schema_contract", "refresh")


def plan(p: Pipeline, data: Any, hints: dict[str, Any]) -> Plan:
    """See `Pipeline.plan`."""
    if strange := [name for name in hints if name not in _KNOWN]:
        raise TypeError(f"plan() got unexpected arguments {', '.join(strange)}; it takes: data, {', '.join(_KNOWN)}")
    where = [hints.pop(name, None) for name in _WHERE]
    p._destinations.set(where[0], where[1], where[2], where[3])
    file_format = hints.pop("loader_file_format", None)
    refresh = hints.pop("refresh", None) or p.refresh
    p._need_destination("plan")
    usable_format(p, file_format)
    check_mode(refresh)
    with _held(p):
        plan_id, folder = plans.begin(p)
        try:
            with _errors_of(p), twin_of(p, folder) as twin:
                facts = _draft(p, twin, data, ExtractArgs({**hints, "file_format": file_format}, refresh=refresh))
            about: Any = {"id": plan_id, "pipeline_name": p.pipeline_name, "dataset_name": p.dataset_name}
            made_at = now().isoformat(timespec="seconds")
            return plans.save(
                p, Plan(made_at=made_at, destination=_place(p), file_format=file_format, **about, **facts)
            )
        except BaseException:
            fs.remove_tree(folder)
            raise


def _draft(p: Pipeline, twin: Pipeline, data: Any, args: ExtractArgs) -> dict[str, Any]:
    """Let the twin run, up to where the destination would be changed; what of it a plan keeps."""
    file_format = args.hints["file_format"]
    copy_pending(p, twin)
    sync_if_needed(twin)
    waiting = twin._store.list("extracted", "normalized")
    base, before = _base(twin, waiting), to_plain(twin._state.document.get("sources", {}))
    normalize(twin, None, file_format, park=True)
    if data is not None:
        extract(twin, data, args)
        failpoints.hit("plan.extracted")
        normalize(twin, None, file_format)
    told, after = tell(twin), to_plain(twin._state.document.get("sources", {}))
    aside = [load_id for load_id in waiting if twin._store.get(load_id).phase == "aborted"]
    if aside:
        told.note(f"pending packages that can never be loaded are set aside first: {', '.join(aside)}")
    drop_copies(twin, waiting)
    return {
        **told.facts(),
        "base": base,
        "load_ids": twin._store.list("normalized"),
        "pending_load_ids": [load_id for load_id in waiting if load_id not in aside],
        "state_change": planned.state_changes(before, after),
    }


@contextmanager
def _held(p: Pipeline) -> Iterator[None]:
    """Hold the working folder without a run: no events, no trace."""
    with p._folder.hold(p._settings.pipeline.lock_timeout) as outermost:
        if not outermost:
            raise HeadraceException(
                f"Pipeline `{p.pipeline_name}` cannot plan while it runs.", fix="call `plan` before or after the run"
            )
        p._state.refresh()
        p._schemas.refresh()
        recover(p)
        yield


@contextmanager
def _errors_of(p: Pipeline) -> Iterator[None]:
    """Errors are those that a run would raise, but of the pipeline itself, and with no package left to keep."""
    try:
        yield
    except PipelineStepFailed as error:
        error.pipeline, error.has_pending_data = p, p.has_pending_data
        error.fix = "nothing was loaded and nothing has changed: mend the cause and plan again"
        raise


def _place(p: Pipeline) -> str:
    destination = p._need_destination("plan")
    name, place = destination.destination_name, destination.describe_location()
    return name if place == name else f"{name} ({place})"


def _base(twin: Pipeline, waiting: list[str]) -> PlanBase:
    destination = twin._need_destination("plan")
    schemas = {name: twin._schemas[name] for name in twin._schemas}
    state: Any = {**twin._state.document}
    twin._destinations.to_state(state)
    stored: dict[str, str | None] = {}
    for schema in schemas.values() or [twin._destinations.blank_schema()]:
        dataset = twin._destinations.dataset_for(schema)
        with twin._session.use(destination, dataset, schema, twin._destinations.facts()) as client:
            stored[schema.name] = client.newest_schema_hash(schema.name)
            if not stored.get("state of the pipeline"):
                found = client.read_state(twin.pipeline_name)
                stored["state of the pipeline"] = found.version_hash if found else None
    kind, name = destination.destination_type, destination.destination_name
    return PlanBase(
        destination=[kind, name, destination.fingerprint(), twin.dataset_name],
        state=state_hash(state),
        schemas={name: str(schema.version_hash) for name, schema in schemas.items()},
        pending=waiting,
        newest=twin._folder.behind,
        stored=stored,
    )


# ---- running -------------------------------------------------------------------------------------------------------


def run_plan(p: Pipeline, plan: Plan, allow_destructive: bool | None) -> LoadInfo | None:
    """Load what a plan holds, exactly as it says; see `Pipeline.run`."""
    try:
        with step(p, "run") as bracket:
            plan = _checked(p, plan, allow_destructive)
            sync_if_needed(p)
            _verify(p, plan)
            bracket.info = info = _do(p, plan)
            return info
    except PipelineStepFailed as error:
        if error.step == "run" and isinstance(error.exception, (PlanOutdated, PlanNotAllowed, PlanNotFound)):
            raise error.exception from None
        raise


def _checked(p: Pipeline, plan: Plan, allow_destructive: bool | None) -> Plan:
    """The plan as it is kept, if it may be run."""
    if plan.pipeline_name != p.pipeline_name:
        raise PlanOutdated(p.pipeline_name, plan.id, [f"it is a plan of pipeline `{plan.pipeline_name}`"])
    if plan.load_ids and set(plan.load_ids) <= set(p._store.list()):
        raise PlanOutdated(p.pipeline_name, plan.id, ["it was run already"])
    plan = plans.read(p, plan.id)
    wanted = p._settings.pipeline.confirm_destructive
    if plan.destructive and (allow_destructive is False or (wanted and not allow_destructive)):
        steps = [f"{one.table}: {one.why}" for one in plan.destructive]
        raise PlanNotAllowed(p.pipeline_name, plan.id, steps)
    return plan


def _verify(p: Pipeline, plan: Plan) -> None:
    """Plan the same packages once more; refuse when anything comes out differently."""
    newest = max(p._store.list(), default="")
    changed = []
    if newest > plan.base.newest:
        changed.append(f"the pipeline has run since: package {newest}")
    with _errors_of(p), twin_of(p, p._folder.plans / plan.id) as twin:
        waiting = copy_pending(p, twin)
        try:
            base = _base(twin, waiting)
            changed += _differences(plan.base, base)
            if not changed:
                normalize(twin, None, plan.file_format, park=True)
                changed += _told_otherwise(plan, tell(twin))
        finally:
            drop_copies(twin, waiting)
    if changed:
        raise PlanOutdated(p.pipeline_name, plan.id, changed)


def _differences(was: PlanBase, now_is: PlanBase) -> list[str]:
    found = []
    if was.destination != now_is.destination:
        found.append("it was made for another destination or dataset")
    if was.pending != now_is.pending:
        found.append(f"packages that wait are {', '.join(now_is.pending) or 'none'} now")
    if was.state != now_is.state:
        found.append("the state of the pipeline is another")
    names = {name for name in {*was.schemas, *now_is.schemas} if was.schemas.get(name) != now_is.schemas.get(name)}
    found += [f"schema `{name}` is another" for name in sorted(names)]
    names = {name for name in {*was.stored, *now_is.stored} if was.stored.get(name) != now_is.stored.get(name)}
    found += [f"the {_what(name)} at the destination is another" for name in sorted(names)]
    return found


def _what(name: str) -> str:
    return name if name == "state of the pipeline" else f"schema `{name}`"


def _told_otherwise(plan: Plan, told: Told) -> list[str]:
    """What of the changes is not as planned, in sentences."""
    was, will = plan.asdict(), plans.hidden(msgspec.to_builtins(told.facts()))
    before, after = [_gist(c) for c in was["changes"]], [_gist(c) for c in will["changes"]]
    found = [f"no longer to be done: {_said(gone)}" for gone in before if gone not in after]
    found += [f"now also to be done: {_said(new)}" for new in after if new not in before]
    for part in ("statements", "jobs", "destructive"):
        if not found and was[part] != will[part]:
            found.append(f"{part} are others than planned")
    return found


def _gist(change: dict[str, Any]) -> tuple[Any, ...]:
    columns = change.get("schema", {}).get("columns") or change.get("columns") or {}
    column = change.get("column") or {}
    return (change["change"], change["table"], *sorted(columns), *filter(None, [column.get("name")]))


def _said(gist: tuple[Any, ...]) -> str:
    kind, table, *columns = gist
    return f"{kind} `{table}`" + (f" ({', '.join(columns)})" if columns else "")


def _promise(p: Pipeline, plan: Plan, load_id: str) -> Callable[[list[AnyChange]], None]:
    wanted = [_gist(c) for c in plan.changes if c["load_id"] == load_id and c["change"] != "DropTable"]
    tries = 0

    def keep(changes: list[AnyChange]) -> None:
        """Asked when nobody else can change tables any more; at another try part of it may be done."""
        nonlocal tries
        tries += 1
        found = [_gist(plain(change)) for change in changes]
        if found != wanted and (tries == 1 or not _atoms(found) <= _atoms(wanted)):
            others = [_said(gist) for gist in found if gist not in wanted] or ["less than was planned"]
            raise PlanOutdated(
                p.pipeline_name, plan.id, [f"the changes of tables would be others: {', '.join(others)}"]
            )

    return keep


def _atoms(gists: list[tuple[Any, ...]]) -> set[tuple[Any, ...]]:
    return {(kind, table, column) for kind, table, *columns in gists for column in columns or [None]}


def _do(p: Pipeline, plan: Plan) -> LoadInfo | None:
    again = Retries(p)
    info = finish_pending(p, plan.file_format, announce=False, again=again)
    left = [load_id for load_id in plan.pending_load_ids if p._store.get(load_id).phase != "loaded"]
    if left:
        raise PlanOutdated(p.pipeline_name, plan.id, [f"packages before it could not be loaded: {', '.join(left)}"])
    if plan.load_ids:
        p._promised.update({load_id: _promise(p, plan, load_id) for load_id in plan.load_ids})
        plans.adopt(p, plan)
        recover(p)
        try:
            loaded = again.load(lambda: load(p))
        finally:
            p._promised.clear()
        info = merge_infos(info, loaded) if loaded is not None else info
    fs.remove_tree(p._folder.plans / plan.id)
    return info


def discard(p: Pipeline, plan_id: str) -> None:
    """See `Plan.discard`."""
    with p._folder.hold(p._settings.pipeline.lock_timeout):
        folder: Path = p._folder.plans / plan_id
        if plan_id == folder.name and not (folder / plans.ADOPTED).exists():
            fs.remove_tree(folder)
