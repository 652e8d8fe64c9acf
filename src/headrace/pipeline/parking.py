"""Packages that can never be loaded are set aside, and cursors go back where nothing of them was loaded."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from headrace.errors.base import HeadraceException
from headrace.model.events import JobDone
from headrace.pipeline.recovery import LAST_EXTRACTED_HASH
from headrace.pipeline.schemas import parse_schema

if TYPE_CHECKING:
    from headrace.package.package import Package
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")


def park_package(p: Pipeline, package: Package, reason: str, fix: str | None = None) -> None:
    """Set a package aside, so that it blocks nothing, and say so.

    Later checkpoints of the same extract go with it, newest first, while nothing of it was loaded: they go on where
    it ends, and with them the cursors go back behind it.

    Args:
        p: The pipeline.
        package: The package.
        reason: Why it cannot be loaded.
        fix: What to do, where the reason does not say it.
    """
    if not package.journal.all(JobDone):
        for later in reversed(_later_parts(p, package)):
            park_package(p, later, f"package {package.load_id}, on which it builds, was set aside")
    if package.was_loaded:
        leave_package(p, package, reason, fix)
        return
    if package.phase not in ("loaded", "aborted"):
        package.abort(reason)
    back = rewind(p, package)
    p._store.finish(package)
    p._fresh.pop(package.load_id, None)
    after = (
        "The cursors of its source went back to where they were before it, so the next run extracts its data again."
        if back
        else "Part of it is at the destination, or later packages build on it, so the cursors stay where they are."
    )
    logger.error(
        "pipeline `%s`: package %s was SET ASIDE and is not loaded: %s. %s Its files stay in %s.%s",
        *(p.pipeline_name, package.load_id, one_line(reason), after, package.path, _advice(reason, fix)),
    )


def one_line(reason: str) -> str:
    """A reason within a sentence: errors tell in several lines, each with a full stop."""
    return ". ".join(line.strip().rstrip(".") for line in reason.splitlines() if line.strip())


def _advice(reason: str, fix: str | None) -> str:
    """What to do; the reason of most errors ends with it."""
    return f" What to do: {fix.rstrip('.')}." if fix and "What to do:" not in reason else ""


def leave_package(p: Pipeline, package: Package, reason: str, fix: str | None = None) -> None:
    """After jobs of a loaded package were tried again in vain: it is as it was, loaded but for them."""
    if package.was_loaded:
        package.abort(reason)
    p._store.finish(package)
    logger.error(
        "pipeline `%s`: failed jobs of load %s were tried again and failed again: %s. Its files stay in %s.%s",
        *(p.pipeline_name, package.load_id, one_line(reason), package.path, _advice(reason, fix)),
    )


def rewind(p: Pipeline, package: Package) -> bool:
    """Let the state of a package's source go back to before the package, if nothing of it was loaded.

    Returns:
        Whether the data of the package will be extracted again: the state went back, or never knew of it.
    """
    # its state row never reached the destination: the next package carries one again
    p._state.local.pop(LAST_EXTRACTED_HASH, None)
    document = package.load_state()
    clean = not package.journal.all(JobDone) and not _has_successor(p, package)
    if clean and document is not None and document.get("before") is not None:
        source = document["before"]["source"]
        sources = p._state.document.setdefault("sources", {})
        if source is None:
            sources.pop(package.schema_name, None)
        else:
            sources[package.schema_name] = source
    if clean:
        _schema_back(p, package)
    p._state.save()
    return clean


def _schema_back(p: Pipeline, package: Package) -> None:
    """Let the schema go back to before the package: what it added may be why it failed.

    That is the schema of the package before it, while that one waits; else the newest that the destination has.
    """
    name = package.schema_name
    schema, destination = p._schemas.find(name), p.destination
    waiting = [i for i in p._store.list("extracted", "normalized") if i < package.load_id]
    before = next((o for i in reversed(waiting) if (o := p._store.get(i)).schema_name == name), None)
    if before is not None:
        p._schemas.put(parse_schema(before.load_schema()))
        return
    if schema is None or destination is None:
        return
    from headrace.pipeline.sync import fetch_schema

    dataset_name = p._destinations.dataset_for(schema)
    try:
        with p._session.use(destination, dataset_name, schema, p._destinations.facts()) as client:
            stored = fetch_schema(client, name) if client.has_dataset() else None
    except HeadraceException as error:
        logger.warning(
            "pipeline `%s`: schema `%s` stays as it is, for the destination could not be asked: %s",
            *(p.pipeline_name, name, error),
        )
        return
    if stored is None:
        p._schemas.remove(name)
    else:
        p._schemas.put(stored)


def _later_parts(p: Pipeline, package: Package) -> list[Package]:
    """Packages that the same extract has sealed after this one, and that nothing was loaded of."""
    extract = extract_of(package)
    if extract is None:
        return []
    later = [p._store.get(i) for i in p._store.list("extracted", "normalized") if i > package.load_id]
    return [other for other in later if extract_of(other) == extract and not other.journal.all(JobDone)]


def extract_of(package: Package) -> str | None:
    """The extract with checkpoints that has made a package; None without checkpoints."""
    document = package.load_state()
    return document.get("extract") if document is not None else None


def _has_successor(p: Pipeline, package: Package) -> bool:
    """Whether a later package of the same source was sealed: its rows follow on this one's cursor."""
    later = [load_id for load_id in p._store.list() if load_id > package.load_id]
    for load_id in later:
        other = p._store.get(load_id)
        if other.schema_name == package.schema_name and other.phase in ("extracted", "normalized", "loaded"):
            return True
    return False
