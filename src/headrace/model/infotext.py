"""The texts of infos for people. Each function takes an info by its shape and gives lines of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from headrace.errors.masking import without_secrets
from headrace.model.changes import add_changes
from headrace.model.metrics import EMPTY_METRICS, DataWriterMetrics
from headrace.model.packages import schema_changes
from headrace.model.wording import (
    aligned,
    count,
    human_bytes,
    indented,
    span,
)

if TYPE_CHECKING:
    from headrace.model.infos import ExtractInfo, LoadInfo, NormalizeInfo
    from headrace.model.packages import LoadPackageInfo

_OWN = "_dlt_"


def extract_text(info: ExtractInfo, verbosity: int) -> str:
    """Rows and bytes of each resource."""
    if info.is_empty:
        return f"Pipeline {info.pipeline.pipeline_name}: extract found no new data."
    written = _summed((m for ms in info.metrics.values() for m in ms), "resource_metrics")
    lines = [_headline(info, "extract", written), *_metric_lines(info, written, verbosity), *_rejected_lines(info)]
    return "\n".join(lines + _package_lines(info.load_packages, verbosity))


def normalize_text(info: NormalizeInfo, verbosity: int) -> str:
    """Rows and bytes of each table."""
    if info.is_empty:
        return f"Pipeline {info.pipeline.pipeline_name}: there was nothing to normalize."
    written = _summed((m for ms in info.metrics.values() for m in ms), "table_metrics")
    lines = [_headline(info, "normalize", written), *_metric_lines(info, written, verbosity), *_rejected_lines(info)]
    return "\n".join([*lines, *_new_in_schema(info, verbosity), *_package_lines(info.load_packages, verbosity)])


def _new_in_schema(info: NormalizeInfo, verbosity: int) -> list[str]:
    """Tables and columns that the load will create, unless the destination has them."""
    if verbosity == 0:
        return []
    schemas = {package.load_id: package.schema for package in info.load_packages}
    told = ((m.get("schema_update", {}), schemas.get(i)) for i, ms in info.metrics.items() for m in ms)
    return [line for update, schema in told for line in schema_changes(update, schema, "  ")]


def load_text(info: LoadInfo, verbosity: int) -> str:
    """Destination, dataset, and for each package its state, tables and failures."""
    lines = [_load_headline(info), f"Destination: {_place(info)}"]
    if info.staging_name:
        staging = without_secrets(info.staging_displayable_credentials or info.staging_type or "")
        lines.append(f"Staged through: {info.staging_name} ({staging})")
    for package in info.load_packages:
        headline, *rest = indented(package.asstr(min(verbosity, 1)), "")
        left = ", left by an earlier run" if package.load_id in info.pending_loads_ids else ""
        lines += [headline + left, *rest]
        lines += _table_lines(info, package, verbosity)
        if verbosity > 1:
            lines += [line for job in _jobs(package) for line in indented(job.asstr(verbosity - 1), "    ")]
        elif verbosity == 0:
            lines += [line for job in package.failed_jobs for line in indented(_short_failure(job), "  ")]
    if info.pending_loads_ids and set(info.loads_ids) <= set(info.pending_loads_ids):
        lines.append("This run itself had no new data.")
    return "\n".join(lines + _rejected_lines(info))


def _rejected_lines(info: Any) -> list[str]:
    """One line for each table and rule by which a contract or a gate let something go."""
    counts: dict[tuple[str, str], int] = {}
    for one in (r for ms in info.metrics.values() for m in ms for r in m.get("rejected", ())):
        counts[one["table"], one["rule"]] = counts.get((one["table"], one["rule"]), 0) + one["count"]
    who = {rule: "a gate" if rule.startswith("gate:") else "the contract" for _, rule in counts}
    return aligned(((table, f"{n} let go by {who[rule]}", rule) for (table, rule), n in counts.items()), "  ")


def _headline(info: Any, step: str, written: Mapping[str, DataWriterMetrics]) -> str:
    rows = sum(m.items_count for name, m in written.items() if not name.startswith(_OWN))
    size = sum(m.file_size for m in written.values())
    took = span(info.started_at, info.finished_at)
    amount = f"{count(rows, 'row')}, {human_bytes(size)}"
    packages = f"{count(len(info.loads_ids), 'package')} ({', '.join(info.loads_ids)})"
    return f"Pipeline {info.pipeline.pipeline_name}: {step} took {took}, {amount}, {packages}"


def _load_headline(info: LoadInfo) -> str:
    name = f"Pipeline {info.pipeline.pipeline_name}"
    if info.is_empty:
        return f"{name}: there was nothing to load."
    loaded = sum(package.state == "loaded" for package in info.load_packages)
    outcome = f"{loaded} of {count(len(info.load_packages), 'package')} loaded"
    failed = sum(len(package.failed_jobs) for package in info.load_packages)
    if failed:
        outcome += f", {count(failed, 'job')} FAILED"
    took = span(info.started_at, info.finished_at)
    return f"{name}: {outcome} in {took}." if took else f"{name}: {outcome}."


def _place(info: LoadInfo) -> str:
    text = info.destination_name
    if info.destination_displayable_credentials:
        text += f" at {without_secrets(str(info.destination_displayable_credentials))}"
    if info.environment:
        text += f", environment {info.environment}"
    return f"{text}, dataset {info.dataset_name}" if info.dataset_name else text


def _table_lines(info: LoadInfo, package: LoadPackageInfo, verbosity: int) -> list[str]:
    """One line for each table: rows, bytes and seconds of its jobs."""
    metrics = list(info.metrics.get(package.load_id, ()))
    rows = _summed(metrics, "table_metrics")
    sizes: dict[str, int] = {}
    for job in _jobs(package):
        table = job.job_file_info.table_name
        sizes[table] = sizes.get(table, 0) + job.file_size
    spans = _table_spans(metrics)
    changes = add_changes(one.get("row_changes", {}) for one in metrics)
    lines = []
    for table in sorted({*sizes, *rows, *changes}, key=lambda name: (name.startswith(_OWN), name)):
        if verbosity == 0 and table.startswith(_OWN):
            continue
        # rows of a query are only counted by what was done to the table
        known = table in rows and (rows[table].items_count or table not in changes)
        counted = count(rows[table].items_count, "row") if known else ""
        size = sizes.get(table) or (rows[table].file_size if table in rows else 0)
        said = str(changes[table]) if table in changes else ""
        lines.append((table, counted, human_bytes(size) if size else "", said, spans.get(table, "")))
    return aligned(lines, "  ")


def _table_spans(metrics: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    starts: dict[str, Any] = {}
    ends: dict[str, Any] = {}
    for job in (job for one in metrics for job in one["job_metrics"].values()):
        if job.started_at and job.finished_at:
            starts[job.table_name] = min(starts.get(job.table_name, job.started_at), job.started_at)
            ends[job.table_name] = max(ends.get(job.table_name, job.finished_at), job.finished_at)
    return {table: span(starts[table], ends[table]) for table in starts}


def _short_failure(job: Any) -> str:
    first = (job.failed_message or "no message").strip().splitlines()
    return f"FAILED {job.job_file_info.job_id()}: {first[-1] if first[0].startswith('Traceback') else first[0]}"


def _metric_lines(info: Any, written: Mapping[str, DataWriterMetrics], verbosity: int) -> list[str]:
    later = {name for ms in info.metrics.values() for m in ms for name in m.get("counted_later", ())}
    names = sorted(
        (n for n in written if verbosity > 0 or not n.startswith(_OWN)), key=lambda n: (n.startswith(_OWN), n)
    )
    counted = {n: "a query" if n in later else count(written[n].items_count, "row") for n in names}
    return aligned(((n, counted[n], human_bytes(written[n].file_size)) for n in names), "  ")


def _package_lines(packages: Iterable[LoadPackageInfo], verbosity: int) -> list[str]:
    if verbosity == 0:
        return []
    return [line for package in packages for line in package.asstr(verbosity).splitlines()]


def _jobs(package: LoadPackageInfo) -> list[Any]:
    return [job for jobs in package.jobs.values() for job in jobs]


def _summed(metrics: Iterable[Mapping[str, Any]], kind: str) -> dict[str, DataWriterMetrics]:
    total: dict[str, DataWriterMetrics] = {}
    for one in metrics:
        for name, written in one.get(kind, {}).items():
            total[name] = total.get(name, EMPTY_METRICS) + DataWriterMetrics(*written)
    return total
