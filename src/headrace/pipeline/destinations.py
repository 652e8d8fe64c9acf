"""Where a pipeline loads to: destination, dataset, and how schemas are spelled for it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from headrace.model.capabilities import Capabilities
from headrace.pipeline import names

if TYPE_CHECKING:
    from headrace.load.destination import Destination, PipelineFacts
    from headrace.model.schema import Schema
    from headrace.pipeline.core import PipelineCore

logger = logging.getLogger("headrace")
# a limit that no name reaches is none, and saves spelling all names again
_NO_LIMIT = 4096


class Destinations:
    """The destination of a pipeline, made when it is first needed.

    Args:
        pipeline: The pipeline.
    """

    def __init__(self, pipeline: PipelineCore) -> None:
        self._pipeline = pipeline
        self._destination: Destination | None = None
        self._staging: Destination | None = None
        self._automatic: Destination | None = None
        self._is_given = False  # the user named the destination: a staging of earlier runs does not count then
        self.dataset_name: str | None = None

    def set(self, destination: Any, staging: Any, dataset_name: str | None, credentials: Any = None) -> None:
        """Take over what is given; None leaves a thing as it is.

        Raises:
            UnknownDestinationModule: There is no such destination.
            DestinationNoStagingMode: The staging place cannot hold files for another destination.
            DestinationLoadingViaStagingNotSupported: The destination loads from no staging place.
        """
        if destination is not None or (credentials is not None and self.destination is not None):
            from headrace.destinations.reference import resolve_destination

            ref = destination if destination is not None else self.destination
            self._is_given = self._is_given or destination is not None
            self._destination = resolve_destination(ref, credentials=credentials)
            self._pipeline._schemas.discard()
            self._pipeline._fresh.clear()
            self._pipeline._session.close()
        if staging is not None:
            self._staging = _as_staging(staging)
        if self._staging is not None and self.destination is not None:
            _need_formats(self.destination, self._staging)
        if dataset_name:
            self.dataset_name = self._made(dataset_name)
        elif self.dataset_name is None and self.destination is not None:
            self.dataset_name = self._made(None)

    def _made(self, dataset_name: str | None) -> str:
        p = self._pipeline
        return names.make_dataset_name(
            dataset_name,
            p.pipeline_name,
            created_at=p._created_at,
            dev_mode=p.dev_mode,
            layout=p._settings.pipeline.dataset_name_layout,
        )

    def take_from_state(self, state: dict[str, Any], dataset_too: bool = True) -> None:
        """What a stored state says, where the user has not said anything."""
        if dataset_too and self.dataset_name is None:
            self.dataset_name = state.get("dataset_name")

    @property
    def destination(self) -> Destination | None:
        """Where data is loaded to; the one of the last run when none was given."""
        if self._destination is None:
            self._destination = self._from_state("destination")
        return self._destination

    @property
    def staging(self) -> Destination | None:
        """The destination of files on their way: the one given, that of the last run, or a filesystem if need be."""
        if self._staging is None and not self._is_given:
            self._staging = self._from_state("staging")
        if self._staging is not None or (destination := self.destination) is None:
            return self._staging
        return self._needed(destination) if destination.capabilities().needs_staging else None

    def _needed(self, destination: Destination) -> Destination:
        if self._automatic is None:
            logger.warning(
                "destination `%s` loads from a staging place only, and none was given: it is `filesystem` now, "
                "configured under `destination.filesystem`",
                destination.destination_name,
            )
            self._automatic = _as_staging("filesystem")
        return self._automatic

    def _from_state(self, role: str) -> Destination | None:
        kind = self._pipeline._state.document.get(f"{role}_type")
        if not kind:
            return None
        from headrace.destinations.reference import resolve_destination

        return resolve_destination(kind, destination_name=self._pipeline._state.document.get(f"{role}_name"))

    def remember(self, state: dict[str, Any]) -> None:
        """After the state was wiped: what is in use stays in use."""
        self.to_state(state)

    def to_state(self, state: dict[str, Any]) -> None:
        """Write names into the state document."""
        for role, destination in (("destination", self._destination), ("staging", self._staging)):
            if destination is not None:
                kind = destination.destination_type
                short = kind.rpartition(".")[2]
                state[f"{role}_type"] = kind
                named = destination.destination_name
                state[f"{role}_name"] = named if named != short else None
        if self.dataset_name is not None:
            state["dataset_name"] = self.dataset_name

    # ---- what steps need ------------------------------------------------------------------------------------------

    def capabilities(self) -> Capabilities:
        """What the destination can do, through the staging place if there is one; defaults without a destination."""
        destination, staging = self.destination, self.staging
        if destination is None:
            return Capabilities()
        if staging is None:
            return destination.capabilities()
        _need_formats(destination, staging)
        return destination.capabilities().through(staging.capabilities())

    def facts(self) -> PipelineFacts:
        """What the destination may need to know to find its files."""
        from headrace.load.destination import PipelineFacts

        p = self._pipeline
        local_dir = p._state.local.get("initial_cwd") or str(Path(p.run_context.local_dir).resolve())
        return PipelineFacts(
            pipeline_name=p.pipeline_name, working_dir=p.working_dir, local_dir=local_dir, dev_mode=p.dev_mode
        )

    def prepare_schema(self, schema: Schema) -> None:
        """Spell a schema's names as the configuration or the destination wants them."""
        wanted = self._pipeline._settings.naming_of(schema.name)
        capabilities = self.capabilities()
        limit = min(capabilities.max_identifier_length, capabilities.max_column_identifier_length)
        naming = wanted.naming
        if naming is None and capabilities.naming_convention and schema.normalizers["names"] == "snake_case":
            naming = capabilities.naming_convention
        schema.set_naming(
            naming,
            max_length=limit if limit < _NO_LIMIT else None,
            allow_identifier_change=bool(wanted.allow_identifier_change_on_table_with_data),
        )

    def blank_schema(self, name: str | None = None) -> Schema:
        """An empty schema, spelled for the destination: to look at a dataset nobody knows yet."""
        from headrace.model.schema import Schema

        schema = Schema(name or self.default_schema_name())
        self.prepare_schema(schema)
        return schema

    def default_schema_name(self) -> str:
        """The name for a schema of data that has none: made of the pipeline's name."""
        from headrace.model.schema_document import normalize_schema_name

        return normalize_schema_name(self._pipeline.pipeline_name)

    def dataset_for(self, schema: Schema) -> str:
        """The dataset's name at the destination, for the tables of a schema."""
        p = self._pipeline
        name = self.dataset_name or self._made(None)
        if not p._settings.pipeline.use_single_dataset and schema.name != p.default_schema_name:
            name = f"{name}_{schema.name}"
        destination = self.destination
        switch = p._settings.of_destination(
            destination.destination_name if destination else "", "enable_dataset_name_normalization"
        )
        if switch is not None and switch.lower() in ("false", "no", "0", "f", "n"):
            return name
        spelled = schema.naming.normalize_table_identifier(name)
        if spelled != name and name not in _warned:
            _warned.add(name)
            logger.warning("dataset `%s` is called `%s` at the destination, by the naming convention", name, spelled)
        return spelled


_warned: set[str] = set()


def _as_staging(ref: Any) -> Destination:
    from headrace.destinations.reference import resolve_destination
    from headrace.errors.destination import DestinationNoStagingMode

    found = resolve_destination(ref)
    if not found.is_staging_place:
        raise DestinationNoStagingMode(found.destination_name)
    return found


def _need_formats(destination: Destination, staging: Destination) -> None:
    """Refuse a staging place from which the destination loads nothing."""
    from headrace.errors.destination import (
        DestinationIncompatibleLoaderFileFormatException,
        DestinationLoadingViaStagingNotSupported,
    )

    able, place = destination.capabilities(), staging.capabilities()
    if not able.supported_staging_file_formats:
        raise DestinationLoadingViaStagingNotSupported(destination.destination_name)
    if not able.staged_formats(place):
        raise DestinationIncompatibleLoaderFileFormatException(
            destination.destination_name,
            staging.destination_name,
            ", ".join(place.supported_loader_file_formats),
            able.supported_staging_file_formats,
        )
