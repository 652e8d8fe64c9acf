"""What gates decide of a package before it is loaded: asked once, written down, followed by whoever goes on with it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrace.errors.bus import GateFailed, Veto
from headrace.model.decisions import LoadDecision, Park, Skip, Stop
from headrace.model.events import GateDecided, JobSkipped, Normalized, Planned
from headrace.model.rejected import announce
from headrace.package.decided import decided, skipped_counts
from headrace.pipeline.parking import park_package

if TYPE_CHECKING:
    from headrace.model.jobs import LoadFile
    from headrace.model.schema import Schema
    from headrace.package.package import Package
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")


def parked_by_gate(p: Pipeline, package: Package, schema: Schema) -> bool:
    """Ask the gates that have not decided on a package yet, and set the package aside if one wants that.

    Args:
        p: The pipeline.
        package: Normalized.
        schema: Its schema.

    Returns:
        Whether it was set aside; else it may be loaded, perhaps without files that are skipped.

    Raises:
        Veto: A gate stops the load; the package waits, and the gate is asked again.
        GateFailed: A gate could not decide.
    """
    reason = _why_parked(p, package, schema)
    if reason is not None:
        park_package(p, package, reason)
    return reason is not None


def _why_parked(p: Pipeline, package: Package, schema: Schema) -> str | None:
    known = decided(package)
    for name, fact in known.items():
        if fact.decision == "park":
            return _said(name, fact.reason)
    if package.was_loaded:
        return None  # it was let through when it was loaded; what failed of it follows
    for name in p.bus.gates.checking():
        if name not in known and (reason := _ask(p, package, schema, name)) is not None:
            return _said(name, reason)
    return None


def _said(gate: str, reason: str) -> str:
    return f"gate `{gate}` parked it" + (f": {reason}" if reason else "")


def _ask(p: Pipeline, package: Package, schema: Schema, gate: str) -> str | None:
    answers: list[LoadDecision] = p.bus.gates.check(gate, package, p.bus.run)
    skips: list[Skip] = []
    for answer in answers:
        if isinstance(answer, Stop):
            raise Veto(f"gate `{gate}` stops package {package.load_id}: {answer.reason}", fix=answer.fix)
        if isinstance(answer, Park):
            package.record(_fact(package, gate, "park", answer.reason), sync=True)
            return answer.reason
        skips.append(answer)
    if skips:
        _skip(p, package, schema, gate, skips)
    else:
        package.record(_fact(package, gate, "pass"))
    return None


def _fact(
    package: Package, gate: str, decision: str, reason: str = "", tables: Sequence[str] = (), files: Sequence[str] = ()
) -> GateDecided:
    return GateDecided(
        load_id=package.load_id,
        gate=gate,
        decision=decision,
        reason=reason,
        tables=list(tables),
        files=list(files),
    )


# ---- files that are not loaded -------------------------------------------------------------------------------------


def _skip(p: Pipeline, package: Package, schema: Schema, gate: str, skips: Sequence[Skip]) -> None:
    """Write down which files are not loaded, and tell it; the plan is made without them."""
    tables = _tables(gate, package, schema, [name for skip in skips for name in skip.tables])
    jobs = {job for skip in skips for job in skip.jobs}
    files = [file for file in _files(package) if file.table in tables or job_id(file) in jobs]
    _refuse(gate, package, schema, tables, files)
    reason = "; ".join(dict.fromkeys(skip.reason for skip in skips if skip.reason))
    before = {file for fact in decided(package).values() for file in fact.files}
    package.record(_fact(package, gate, "skip", reason, sorted(tables), [file.path for file in files]), sync=True)
    fresh = [file for file in files if file.path not in before]
    for file in fresh:
        p._publish(
            JobSkipped(
                run_id=package.run_id,
                load_id=package.load_id,
                job_id=job_id(file),
                table=file.table,
                rows=file.rows,
                gate=gate,
                reason=reason,
            )
        )
    if fresh:
        logger.warning(
            "pipeline `%s`: gate `%s` keeps %d files of package %s from being loaded%s. They stay in %s.",
            *(p.pipeline_name, gate, len(fresh), package.load_id, f": {reason}" if reason else "", package.path),
        )
    announce(skipped_counts(fresh), package.load_id, "load", p._publish)


def job_id(file: LoadFile) -> str:
    """How infos name the job of a loader file."""
    return f"{file.table}.{file.id}.{file.format}"


def _files(package: Package) -> Sequence[LoadFile]:
    normalized = package.fact(Normalized)
    return normalized.files if normalized is not None else ()


def _tables(gate: str, package: Package, schema: Schema, names: Sequence[str]) -> set[str]:
    """The tables and those nested in them."""
    found = set(names)
    for name in names:
        if name in schema.tables and schema.tables[name].get("parent"):
            raise _impossible(
                gate, package, f"`{name}` is nested in another table and follows it; skip the table it belongs to"
            )
    return found | {name for name in schema.tables if schema.get_root_table(name).get("name") in found}


def _refuse(gate: str, package: Package, schema: Schema, tables: set[str], files: Sequence[LoadFile]) -> None:
    system = {name for name in (*tables, *(file.table for file in files)) if schema.is_dlt_table(name)}
    if system:
        raise _impossible(gate, package, f"{', '.join(sorted(system))} cannot be skipped: loads are known by it")
    if files and package.fact(Planned) is not None:
        raise _impossible(gate, package, "its load has begun, so it is too late to skip a part of it")


def _impossible(gate: str, package: Package, why: str) -> GateFailed:
    return GateFailed(gate, f"package {package.load_id}", ValueError(why))
