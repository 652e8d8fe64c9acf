"""Which jobs bring a package to a destination: a pure function of its files, its schema and the destination's facts.

Nothing is found out while loading. The plan is known before the first job runs, it is recorded, and planning the same
package again gives the same jobs under the same ids: that is what makes a job's key mean something after a crash.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence

import msgspec

from headrace.errors.destination import DestinationCapabilitiesException, LoadClientUnsupportedFileFormats
from headrace.model.capabilities import Capabilities
from headrace.model.jobs import Copy, LoadFile, Merge, PlannedJob, Replace, Truncate, Upload
from headrace.model.schema import Schema
from headrace.model.tables import PIPELINE_STATE_TABLE_NAME, has_seen_data

_logger = logging.getLogger("headrace")

# one transaction for many tiny tables, but not so large that a retry hurts
BUNDLE_BYTES = 32 * 1024 * 1024
BUNDLE_FILES = 64

TRUNCATE = "truncate-and-insert"
ATOMIC = "insert-from-staging"


def plan_jobs(
    files: Sequence[LoadFile],
    schema: Schema,
    capabilities: Capabilities,
    replaced_tables: Collection[str] = (),
    *,
    replace_strategy: str | None = None,
    state_table: str = PIPELINE_STATE_TABLE_NAME,
    staged_formats: Collection[str] = (),
    apart: bool = False,
) -> list[PlannedJob]:
    """Plan a package.

    Args:
        files: All loader files, in the order in which normalize wrote them.
        schema: The schema they follow.
        capabilities: Of the destination.
        replaced_tables: Root tables whose resource took part: those with disposition ``replace`` are emptied even if
            they have no files. Other names in it do no harm.
        replace_strategy: From ``destination.<name>.replace_strategy``; a table's own hint wins.
        state_table: Name of the pipeline state's table, which is written after all data.
        staged_formats: Files of these formats go through the staging place; others to the destination directly.
        apart: Each table chain has jobs of its own, so that one that fails takes no other table with it.

    Returns:
        The jobs; a job comes after those it waits for.

    Raises:
        DestinationCapabilitiesException: A table asks for a replace or merge strategy the destination has not.
        LoadClientUnsupportedFileFormats: A file has a format the destination does not load.
    """
    for file in files:
        supported = capabilities.for_format(_table_format(schema, file.table)).supported_loader_file_formats
        if file.format not in supported and file.format not in staged_formats:
            raise LoadClientUnsupportedFileFormats(file.format, supported, file.path)
    state = [f for f in files if f.table == state_table]
    planner = _Planner(schema, capabilities, replace_strategy, apart)
    planner.add([f for f in files if f.table != state_table], replaced_tables)
    planner.add_state(state)
    if staged_formats:
        planner.stage(staged_formats)
    return _in_order(planner.jobs, capabilities)


class _Planner:
    def __init__(
        self, schema: Schema, capabilities: Capabilities, replace_strategy: str | None, apart: bool = False
    ) -> None:
        self._apart = apart
        self.schema = schema
        self.capabilities = capabilities
        self.replace_strategy = replace_strategy
        self._most_files = min(BUNDLE_FILES, capabilities.max_files_per_job)
        self._most_bytes = min(BUNDLE_BYTES, capabilities.recommended_file_size or BUNDLE_BYTES)
        self.jobs: list[PlannedJob] = []

    def add(self, files: Sequence[LoadFile], replaced_tables: Collection[str]) -> None:
        """Plan the data: chains in the order of their first file, then replaced tables without one."""
        chains: dict[str, list[LoadFile]] = {}
        for file in files:
            chains.setdefault(_root(self.schema, file.table), []).append(file)
        for name in sorted(replaced_tables):
            if name in self.schema.tables and _disposition(self.schema, name) == "replace":
                chains.setdefault(_root(self.schema, name), [])
        copied: list[tuple[list[str], list[LoadFile]]] = []  # tables to empty, files to append
        for root, own in chains.items():
            match self._act(root):
                case "skip":
                    continue
                case "merge":
                    self._merge(root, own)
                case "replace":
                    self._replace(root, own)
                case "truncate":
                    copied.append((self._chain(root, own), self._by_chain(root, own)))
                case _:
                    copied.append(([], self._by_chain(root, own)))
        if not self._apart:
            copied = [([t for tables, _ in copied for t in tables], [f for _, found in copied for f in found])]
        for tables, found in copied:
            self._copy(found, self._truncate(tables))

    def add_state(self, files: Sequence[LoadFile]) -> None:
        """Plan the state: in the only job if that is a copy with room, else in one after all others."""
        if not files:
            return
        if len(self.jobs) == 1 and not self._apart and isinstance(only := self.jobs[0], Copy):
            together = [*only.files, *files]
            if len(together) <= self._most_files and sum(f.size for f in together) <= self._most_bytes:
                self.jobs = [msgspec.structs.replace(only, tables=_tables_of(together), files=together)]
                return
        self.jobs.append(
            Copy(id=self._id("copy"), tables=_tables_of(files), after=[j.id for j in self.jobs], files=list(files))
        )

    def stage(self, formats: Collection[str]) -> None:
        """Put uploads before all jobs that read files of the formats."""
        jobs, self.jobs = self.jobs, []
        for job in jobs:
            bundles = self._bundles(f for f in job.files if f.format in formats)
            uploads = [Upload(id=f"upload-{job.id}-{at}", files=files) for at, files in enumerate(bundles)]
            self.jobs += uploads
            self.jobs.append(msgspec.structs.replace(job, after=[*job.after, *(u.id for u in uploads)]))

    def _id(self, kind: str) -> str:
        return f"{kind}-{len(self.jobs)}"

    def _chain(self, root: str, files: Sequence[LoadFile]) -> list[str]:
        """Names of the chain's tables that exist or are about to."""
        filled = {file.table for file in files}
        tables = self.schema.get_nested_tables(root)
        return [t["name"] for t in tables if has_seen_data(t) or t["name"] in filled]

    def _by_chain(self, root: str, files: Sequence[LoadFile]) -> list[LoadFile]:
        """Parents before children; within a table as they were written."""
        rank = {t["name"]: at for at, t in enumerate(self.schema.get_nested_tables(root))}
        return sorted(files, key=lambda f: rank.get(f.table, len(rank)))

    def _of(self, root: str) -> Capabilities:
        """What the destination can do with a table."""
        return self.capabilities.for_format(_table_format(self.schema, root))

    def _act(self, root: str) -> str:
        """What is done with a chain: skip, append, merge, replace or truncate."""
        disposition = _disposition(self.schema, root)
        if disposition == "replace":
            return "truncate" if self._replace_strategy(root) == TRUNCATE else "replace"
        if disposition == "merge" and not self._of(root).supported_merge_strategies:
            _logger.warning("table `%s` is appended to: the destination has no way to merge", root)
            return "append"
        return disposition

    def _replace_strategy(self, root: str) -> str:
        supported = self.capabilities.supported_replace_strategies
        asked = self.schema.tables[root].get("x-replace-strategy") or self.replace_strategy
        if asked is None:
            return ATOMIC if ATOMIC in supported else (supported[0] if supported else TRUNCATE)
        # without a list nothing can be said, and all destinations can empty a table
        if asked not in (supported or (TRUNCATE,)):
            raise _unsupported(root, "replace", asked, supported)
        return asked

    def _merge(self, root: str, files: list[LoadFile]) -> None:
        if not files:
            return
        supported = self._of(root).supported_merge_strategies
        strategy = self.schema.merge_strategy(root) or supported[0]
        if strategy not in supported:
            raise _unsupported(root, "merge", strategy, supported)
        chain = self._chain(root, files)
        self.jobs.append(
            Merge(id=self._id("merge"), tables=chain, files=self._by_chain(root, files), strategy=strategy)
        )

    def _replace(self, root: str, files: list[LoadFile]) -> None:
        chain = self._chain(root, files)
        if not chain:
            return  # never had rows and has none now: there is no table to empty
        strategy = self._replace_strategy(root)
        self.jobs.append(
            Replace(id=self._id("replace"), tables=chain, files=self._by_chain(root, files), strategy=strategy)
        )

    def _truncate(self, tables: list[str]) -> list[str]:
        if not tables:
            return []
        job = Truncate(id=self._id("truncate"), tables=tables)
        self.jobs.append(job)
        return [job.id]

    def _copy(self, files: Iterable[LoadFile], after: list[str]) -> None:
        for bundle in self._bundles(files):
            self._add_copy(bundle, after)

    def _bundles(self, files: Iterable[LoadFile]) -> Iterator[list[LoadFile]]:
        """Files for one job each, in their order."""
        bundle: list[LoadFile] = []
        size = 0
        for file in files:
            if bundle and (size + file.size > self._most_bytes or len(bundle) == self._most_files):
                yield bundle
                bundle, size = [], 0
            bundle.append(file)
            size += file.size
        if bundle:
            yield bundle

    def _add_copy(self, files: list[LoadFile], after: list[str]) -> None:
        self.jobs.append(Copy(id=self._id("copy"), tables=_tables_of(files), after=list(after), files=files))


def _root(schema: Schema, table: str) -> str:
    name = schema.get_root_table(table).get("name")
    return name or table


def _table_format(schema: Schema, table: str) -> str | None:
    own = schema.tables.get(table, {}).get("table_format")
    return own or schema.get_root_table(table).get("table_format")


def _disposition(schema: Schema, table: str) -> str:
    return schema.write_disposition(table) or "append"


def _tables_of(files: Iterable[LoadFile]) -> list[str]:
    return list(dict.fromkeys(f.table for f in files))


def _unsupported(
    table: str, disposition: str, strategy: str, supported: Sequence[str]
) -> DestinationCapabilitiesException:
    return DestinationCapabilitiesException(
        f"Table `{table}` asks for the {disposition} strategy `{strategy}`, which the destination does not have.",
        fix=f"use one of: {', '.join(supported)}" if supported else f"use another write disposition than {disposition}",
    )


def _in_order(jobs: list[PlannedJob], capabilities: Capabilities) -> list[PlannedJob]:
    """Let jobs wait for one another where the destination wants that."""
    how = capabilities.loader_parallelism_strategy
    if how == "parallel":
        return jobs
    ordered: list[PlannedJob] = []
    last: dict[str, str] = {}
    for job in jobs:
        before = [ordered[-1].id] if how == "sequential" and ordered else []
        before += [last[t] for t in job.tables if how == "table-sequential" and t in last]
        after = list(dict.fromkeys([*job.after, *before]))
        job = msgspec.structs.replace(job, after=after)
        ordered.append(job)
        last.update(dict.fromkeys(job.tables, job.id))
    return ordered
