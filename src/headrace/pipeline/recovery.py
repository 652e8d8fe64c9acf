"""After a crash: state and schemas follow the newest sealed package, which is the truth."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from headrace.model.events import Aborted, Reopened, RolledBack
from headrace.pipeline.schemas import parse_schema
from headrace.pipeline.state import without_local

if TYPE_CHECKING:
    from headrace.model.schema import Schema
    from headrace.package.package import Package
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")
LAST_SEALED = "_last_sealed"
LAST_EXTRACTED_HASH = "_last_extracted_hash"
LAST_EXTRACTED_AT = "_last_extracted_at"
# the state that this folder knows to be at the destination
LAST_LOADED_HASH = "_last_loaded_hash"


def recover(p: Pipeline) -> None:
    """Tidy what a killed process left, and take over state and schemas that it sealed but did not copy out."""
    if p._folder.plans.is_dir():
        from headrace.pipeline.plans import tidy

        tidy(p)
    if not p._folder.packages.is_dir():
        return
    pending = p._store.recover(aborted=lambda package: _set_aside(p, package))
    bring_forward(p, pending)
    last = p._state.local.get(LAST_SEALED) or ""
    newer = [load_id for load_id in p._store.list() if load_id > last]
    if not newer:
        return
    caught_up = False
    for load_id in reversed(newer):
        package = p._store.get(load_id)
        if package.phase not in ("extracted", "normalized", "loaded"):
            continue
        schema_for(p, package)
        if not caught_up:
            caught_up = _adopt_state(p, package)
    p._state.local[LAST_SEALED] = newer[-1]
    for name in list(p._schemas):
        p._schemas.save(p._schemas[name])
    p._state.save()
    if pending:
        logger.info("pipeline `%s`: %d packages of an earlier run are finished first", p.pipeline_name, len(pending))


def _set_aside(p: Pipeline, package: Package) -> None:
    """Bring to its end what was cut short: the package is marked, but the cursors may not have gone back yet."""
    if package.fact(RolledBack) is not None:
        return  # the destination says where an undo has got to
    from headrace.pipeline.parking import park_package

    fact = package.fact(Aborted)
    park_package(p, package, fact.reason if fact is not None else "a process was killed while it was set aside")


def bring_forward(p: Pipeline, pending: list[Package]) -> None:
    """Let cursors that went back behind packages set aside go forward again, where these were put back.

    Nothing is done a second time: it is the cursor from before the package that is looked for.
    """
    back = [package for package in pending if package.fact(Reopened) is not None and not package.was_loaded]
    if not back:
        return
    sources = p._state.document.setdefault("sources", {})
    moved = False
    for package in back:
        document = package.load_state()
        if document is None or document.get("before") is None:
            continue
        name = package.schema_name
        after = document["pipeline_state"].get("sources", {}).get(name)
        if sources.get(name) == document["before"]["source"] and after is not None and sources.get(name) != after:
            sources[name], moved = after, True
    if moved:
        p._state.save()


def _adopt_state(p: Pipeline, package: Package) -> bool:
    document = package.load_state()
    if document is None:
        return False
    p._state.replace(document["pipeline_state"])
    for mark in (LAST_EXTRACTED_HASH, LAST_EXTRACTED_AT):
        if document.get(mark) is not None:
            p._state.local[mark] = document[mark]
    return True


def schema_for(p: Pipeline, package: Package) -> Schema:
    """The live schema that a package's data goes by; the package's own is brought in where it knows more."""
    name = package.schema_name
    live = p._schemas.find(name)
    document = package.load_schema()
    if live is not None:
        known = live.stored_version_hash
        if document["version_hash"] == known or document["version_hash"] in live.previous_hashes:
            return live
        if known not in document.get("previous_hashes", ()):
            # two lines of development: the folder was restored from elsewhere while the package waited
            live.update_schema(parse_schema(document))
            return live
    return p._schemas.add(parse_schema(document))


def package_document(
    state: dict[str, Any],
    local: dict[str, Any],
    before: Any,
    refresh: dict[str, Any] | None,
    known_states: list[str] | None = None,
) -> dict[str, Any]:
    """What a package carries beside its data: the state with the new cursors, and how to go back.

    Args:
        state: The state document.
        local: Its local part.
        before: ``{"source": …}``: the state of the package's source before the extract; None when it did not change.
        refresh: What the load has to drop or empty first.
        known_states: Hashes of the states that this one grew out of; None when it does not travel to the destination.
    """
    document: dict[str, Any] = {"pipeline_state": without_local(state)}
    for mark in (LAST_EXTRACTED_HASH, LAST_EXTRACTED_AT):
        document[mark] = local.get(mark)
    if before is not None:
        document["before"] = before
    if refresh is not None:
        document["refresh"] = refresh
    if known_states is not None:
        document["known_states"] = known_states
    return document
