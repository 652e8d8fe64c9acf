"""`Plan`: what a run would do, as a value, and the folder that keeps what it would load.

A plan's packages lie apart from those of the pipeline, so that no other run loads them::

    <working_dir>/plans/<id>/
      plan.json        the plan; written last: a folder without it is what a killed process left
      packages/<load_id>/
      adopted          load ids; written when the plan is run: from then on the packages are the pipeline's
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.base import failpoints, json
from headrace.base import files as fs
from headrace.base.time import now
from headrace.errors.masking import without_known
from headrace.errors.plan import PlanNotFound
from headrace.model.planned import Destructive, Disposition, PlannedStep, PlannedTable, StateChange

if TYPE_CHECKING:
    from headrace.model.infos import LoadInfo
    from headrace.pipeline.core import PipelineCore

PLAN = "plan.json"
ADOPTED = "adopted"
KEEP = 20
"""Plans that are kept; older ones go when a new one is made."""
_OURS = ("id", "load_ids", "pending_load_ids", "base", "pipeline_name", "made_at", "has_changes")


class PlanBase(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan was made on; when any of it is not so any more, the plan is outdated.

    Attributes:
        destination: Type, name and hash of the place of the destination, and the dataset.
        state: Hash of the pipeline's state.
        schemas: Hash of each schema.
        pending: Packages that waited.
        newest: The newest load id there was.
        stored: Hashes of the newest state and schemas at the destination.
    """

    destination: list[str | None]
    state: str
    schemas: dict[str, str]
    pending: list[str]
    newest: str
    stored: dict[str, str | None]


class Plan(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What `Pipeline.run` would do with some data. Nothing of it is done until it is run, and then exactly that.

    Attributes:
        id: Its name.
        pipeline_name: The pipeline.
        made_at: When it was made, ISO 8601.
        destination: Kind and place of the destination, without secrets.
        dataset_name: The dataset.
        load_ids: Its packages; they become load ids when it is run.
        pending_load_ids: Packages of earlier runs, which are loaded first.
        tables: Tables that are made, changed, dropped or written.
        statements: Statements that make, change, empty or drop tables, as they will run; not those that move rows or
            write headrace's own records. Empty where the destination has no such statements: see ``changes``.
        changes: The same as data, each with its ``load_id``.
        jobs: What moves the rows.
        dispositions: By root table, what becomes of rows.
        row_counts: Rows to load by table.
        rejected: What contracts let go.
        destructive: Steps after which something is gone.
        state_change: Cursors and other values of the state, before and after.
        notes: What a plan cannot tell here.
        base: What it was made on.
        file_format: The loader file format that was asked for.
        pipeline: The live pipeline; not part of what is kept.
    """

    id: str
    pipeline_name: str
    made_at: str
    destination: str
    dataset_name: str | None
    base: PlanBase
    load_ids: list[str] = []
    pending_load_ids: list[str] = []
    tables: list[PlannedTable] = []
    statements: list[str] = []
    changes: list[dict[str, Any]] = []
    jobs: list[PlannedStep] = []
    dispositions: dict[str, Disposition] = {}
    row_counts: dict[str, int] = {}
    rejected: list[dict[str, Any]] = []
    destructive: list[Destructive] = []
    state_change: list[StateChange] = []
    notes: list[str] = []
    file_format: str | None = None
    pipeline: Any = None

    @property
    def has_changes(self) -> bool:
        """Whether running it would change tables or rows."""
        return bool(self.changes or self.jobs or self.destructive)

    @property
    def is_empty(self) -> bool:
        """Whether running it would change no table and no row."""
        return not self.has_changes

    def apply(self, *, allow_destructive: bool | None = None) -> LoadInfo | None:
        """Run it: the same as ``pipeline.run(plan)``; see there."""
        found: LoadInfo | None = self._live().run(self, allow_destructive=allow_destructive)
        return found

    def discard(self) -> None:
        """Delete it with the data it keeps; quiet when it is gone."""
        from headrace.pipeline.planning import discard

        discard(self._live(), self.id)

    def _live(self) -> Any:
        if self.pipeline is None:
            raise PlanNotFound(self.pipeline_name, self.id)
        return self.pipeline

    def asdict(self) -> dict[str, Any]:
        """All of it in values that JSON knows, with ``has_changes``."""
        facts = {name: getattr(self, name) for name in self.__struct_fields__ if name != "pipeline"}
        found: dict[str, Any] = msgspec.to_builtins({**facts, "has_changes": self.has_changes})
        return found

    def asstr(self, verbosity: int = 1) -> str:
        """For people: 0 says it in a few lines, 1 names tables, columns and statements, 2 also jobs and all hints."""
        from headrace.pipeline.plantext import plan_text

        return plan_text(self, verbosity)

    def __str__(self) -> str:
        return self.asstr()

    def __repr__(self) -> str:
        return f"<headrace.Plan(id={self.id!r}, pipeline_name={self.pipeline_name!r}, has_changes={self.has_changes})>"


# ---- the folder ----------------------------------------------------------------------------------------------------


def begin(p: PipelineCore) -> tuple[str, Path]:
    """Make the folder of a new plan; returns its id and path."""
    plan_id = f"{now():%Y%m%d-%H%M%S-%f}"
    folder = p._folder.plans / plan_id
    folder.mkdir(parents=True)
    return plan_id, folder


def save(p: PipelineCore, plan: Plan) -> Plan:
    """Write a plan down: from now on there is one. Secrets that the configuration knows are hidden in it."""
    folder = p._folder.plans / plan.id
    facts = plan.asdict()
    data = json.dumpb({key: value if key in _OURS else hidden(value) for key, value in facts.items()})
    made = _parse(p, data)
    fs.write_atomic(folder / PLAN, data)
    fs.sync_group([folder / PLAN], [folder, folder.parent])
    failpoints.hit("plan.written")
    for old in sorted(_names(p))[:-KEEP]:
        fs.remove_tree(p._folder.plans / old)
    return made


def hidden(value: Any) -> Any:
    """Plain values without the secrets that the configuration knows."""
    if isinstance(value, str):
        return without_known(value)
    if isinstance(value, dict):
        return {without_known(key): hidden(one) for key, one in value.items()}
    return [hidden(one) for one in value] if isinstance(value, list) else value


def _parse(p: PipelineCore, data: bytes) -> Plan:
    found = json.loads(data)
    found.pop("has_changes", None)
    return msgspec.structs.replace(msgspec.convert(found, Plan), pipeline=p)


def read(p: PipelineCore, plan_id: str) -> Plan:
    """The plan of an id.

    Raises:
        PlanNotFound: There is none.
    """
    try:
        if plan_id != Path(plan_id).name or (p._folder.plans / plan_id / ADOPTED).exists():
            raise FileNotFoundError(plan_id)
        return _parse(p, (p._folder.plans / plan_id / PLAN).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PlanNotFound(p.pipeline_name, plan_id, listed(p)) from error


def listed(p: PipelineCore) -> list[str]:
    """Ids of plans, oldest first."""
    return [name for name in sorted(_names(p)) if (p._folder.plans / name / PLAN).is_file()]


def _names(p: PipelineCore) -> list[str]:
    try:
        return os.listdir(p._folder.plans)  # noqa: PTH208 - names are all that is needed
    except (FileNotFoundError, NotADirectoryError):
        return []


# ---- adoption ------------------------------------------------------------------------------------------------------


def adopt(p: PipelineCore, plan: Plan) -> None:
    """Make the packages of a plan the pipeline's; killed in between, the next run finishes it."""
    folder = p._folder.plans / plan.id
    fs.write_atomic(folder / ADOPTED, json.dumpb(plan.load_ids))
    fs.sync_group([folder / ADOPTED], [folder])
    failpoints.hit("plan.adopted")
    _finish(p, folder)


def _finish(p: PipelineCore, folder: Path) -> None:
    from headrace.pipeline.schemas import parse_schema

    load_ids: list[str] = json.loads((folder / ADOPTED).read_bytes())
    p._folder.packages.mkdir(parents=True, exist_ok=True)
    for load_id in load_ids:
        source = folder / "packages" / load_id
        if source.is_dir():
            source.rename(p._folder.packages / load_id)
            failpoints.hit("plan.moved")
    fs.sync_group([], [p._folder.packages])
    for load_id in load_ids:
        # the plan was made on the schema as it is: its own takes that one's place, with what a refresh has dropped
        p._schemas.put(parse_schema(p._store.get(load_id).load_schema()))
    fs.remove_tree(folder)


def tidy(p: PipelineCore) -> None:
    """Finish plans that a killed process was about to run, and delete those that it did not finish making."""
    for name in _names(p):
        folder = p._folder.plans / name
        if (folder / ADOPTED).is_file():
            _finish(p, folder)
        elif not (folder / PLAN).is_file():
            fs.remove_tree(folder)
