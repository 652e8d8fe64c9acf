"""The step normalize: extracted packages become loader files."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import msgspec

from headrace.base import signals
from headrace.base.logs import log_context
from headrace.base.time import now
from headrace.errors.base import TransientException
from headrace.errors.bus import GateFailed, Veto
from headrace.errors.destination import DestinationIncompatibleLoaderFileFormatException
from headrace.errors.schema import DataValidationError
from headrace.formats.sqlmodel import FORMAT as MODEL_FORMAT
from headrace.model.events import CastFailed, ColumnAdded, TableAdded, VariantAdded
from headrace.model.infos import NormalizeInfo
from headrace.model.metrics import DataWriterMetrics, NormalizeMetrics
from headrace.pipeline.columngates import ask_for_columns, tell_violation
from headrace.pipeline.recovery import schema_for
from headrace.pipeline.step import StepParts, StepRun, step

if TYPE_CHECKING:
    import datetime as dt

    from headrace.model.jobs import LoadFile
    from headrace.normalize.settings import NormalizeSettings
    from headrace.normalize.stage import NormalizeResult
    from headrace.package.package import Package
    from headrace.pipeline.pipeline import Pipeline

logger = logging.getLogger("headrace")
_ROW_FORMATS = ("insert_values", "typed-jsonl")


def normalize(
    p: Pipeline, workers: int | None = None, loader_file_format: str | None = None, *, park: bool = False
) -> NormalizeInfo | None:
    """Normalize all extracted packages, oldest first.

    Args:
        p: The pipeline.
        workers: Threads.
        loader_file_format: For tables whose resource asks for none.
        park: Set a package aside when its data can never be normalized, and go on.

    Returns:
        What was done; None when the pipeline has no schema yet.
    """
    if p.default_schema_name is None and not p.has_pending_data:
        return None
    p._need_destination("normalize")
    with step(p, "normalize") as run, signals.delayed(p._settings.runtime.intercept_signals):
        done = StepParts(p)
        run.info = info = NormalizeInfo(p, done.metrics, done.loads_ids, done.load_packages, p.first_run)
        load_ids = p._store.list("extracted")
        if load_ids:
            settings = _settings(p, workers, loader_file_format)
            for load_id in load_ids:
                signals.raise_if_received()
                package = p._store.get(load_id)
                if package.phase == "extracted":  # else it was set aside together with one before it
                    _normalize_one(p, run, done, package, settings, park)
        return info


def _normalize_one(
    p: Pipeline, run: StepRun, done: StepParts, package: Package, settings: NormalizeSettings, park: bool
) -> None:
    from headrace.normalize.stage import normalize as normalize_package

    run.load_id = package.load_id
    p.bus.run.package = package
    started = now()
    try:
        schema = p._fresh_schema(package.load_id) or schema_for(p, package)
        p._destinations.prepare_schema(schema)
        with log_context(load_id=package.load_id, schema_name=schema.name):
            how: Any = {"settings": settings, "publish": p._publish, "ask": ask_for_columns(p)}
            watched = p.bus.wants(TableAdded, ColumnAdded, VariantAdded, CastFailed)
            result = normalize_package(package, schema, p._destinations.capabilities(), watched=watched, **how)
    except Exception as error:
        # what breaks a contract would break it again: it must not stand in the way of later data
        if not breaks_contract(error) and not (park and is_final(error)):
            done.add(package)
            raise
        from headrace.pipeline.parking import park_package

        p._schemas.discard()
        park_package(p, package, f"it cannot be normalized: {error}")
        if not park:
            done.add(package)
            raise
        tell_violation(p, "normalize", package.load_id, error)
        return
    p._schemas.save(schema)
    p._fresh[package.load_id] = (schema, schema.stored_version_hash)
    done.metrics[package.load_id] = [_metrics(package, result, started)]
    done.add(package)


def breaks_contract(error: BaseException) -> bool:
    """Whether a schema contract refused the data (``freeze``)."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, DataValidationError):
            return True
        seen = seen.__cause__
    return False


def is_final(error: BaseException) -> bool:
    """Whether the same data would fail in the same way again: not when the machine was at fault."""
    seen: BaseException | None = error
    while seen is not None:
        # a gate that cannot decide may be mended; one that stops may let it through tomorrow
        if isinstance(seen, (OSError, MemoryError, TransientException, GateFailed, Veto)):
            return False
        seen = seen.__cause__
    return True


def usable_format(p: Pipeline, file_format: str | None) -> str | None:
    """The format to ask normalize for; None leaves it to the resources and the destination.

    Formats that only carry rows as SQL text give the same tables as any other, so destinations need not write them.

    Raises:
        DestinationIncompatibleLoaderFileFormatException: The destination loads no files of this format.
    """
    capabilities = p._destinations.capabilities()
    if file_format is None or file_format in capabilities.supported_loader_file_formats:
        return file_format
    if file_format in _ROW_FORMATS and capabilities.sqlglot_dialect:
        logger.info(
            "loader file format %s: rows travel as the destination likes best, which loads the same", file_format
        )
        return None
    name = getattr(p.destination, "destination_name", "the destination")
    supported = capabilities.supported_loader_file_formats
    staging = p.staging.destination_name if p.staging is not None else None
    raise DestinationIncompatibleLoaderFileFormatException(name, staging, file_format, list(supported))


def _settings(p: Pipeline, workers: int | None, loader_file_format: str | None) -> NormalizeSettings:
    from headrace.normalize.settings import NormalizeSettings

    found, writer = p._settings.normalize(), p._settings.writer()
    loader_file_format = usable_format(p, loader_file_format)
    return NormalizeSettings(
        workers=workers or found.workers or 0,
        loader_file_format=loader_file_format,
        file_max_items=writer.file_max_items,
        file_max_bytes=writer.file_max_bytes,
        arrow_load_id=found.parquet_normalizer.add_dlt_load_id,
        arrow_row_id=found.parquet_normalizer.add_dlt_id,
        keep_rejected=found.keep_rejected,
        files=p._settings.file_options(),
    )


def _metrics(package: Package, result: NormalizeResult, started: dt.datetime) -> NormalizeMetrics:
    begun, ended = started.timestamp(), now()
    jobs = {_job_id(f): _written(str(package.path / f.path), f.rows, f.size, begun, ended) for f in result.files}
    sizes: dict[str, int] = {}
    for file in result.files:
        sizes[file.table] = sizes.get(file.table, 0) + file.size
    tables = {name: _written("", rows, sizes.get(name, 0), begun, ended) for name, rows in result.row_counts.items()}
    return {
        "started_at": started,
        "finished_at": ended,
        "job_metrics": jobs,
        "table_metrics": tables,
        "rejected": [msgspec.to_builtins(one) for one in result.rejected],
        "schema_update": result.schema_update,
        "counted_later": sorted({file.table for file in result.files if file.format == MODEL_FORMAT}),
    }


def _job_id(file: LoadFile) -> str:
    return f"{file.table}.{file.id}.{file.format}"


def _written(path: str, rows: int, size: int, begun: float, ended: dt.datetime) -> DataWriterMetrics:
    return DataWriterMetrics(path, rows, size, begun, ended.timestamp())
