"""Errors of pipes, and of asking for what is current outside of them. `headrace.errors.extract` re-exports all."""

from __future__ import annotations

import inspect
from typing import Any

from headrace.errors.base import HeadraceException, PipelineException

# ---- pipes ----------------------------------------------------------------------------------------------------------


class PipeException(HeadraceException):
    """Root of the errors of pipes; names the pipe, which is called like its resource."""

    def __init__(self, pipe_name: str, what: str, *, why: str | None = None, fix: str | None = None) -> None:
        self.pipe_name = pipe_name
        super().__init__(what, why=why, fix=fix)


class CreatePipeException(PipeException):
    """The steps do not make a pipe."""


class PipeItemProcessingError(PipeException):
    """An item has a shape that no step can handle."""


class PipeNotBoundToData(PipeException):
    """A transformer has no resource to take items from."""

    def __init__(self, pipe_name: str, has_parent: bool) -> None:
        self.has_parent = has_parent
        super().__init__(
            pipe_name,
            f"Nothing flows into `{pipe_name}`.",
            why="the resource it takes items from has no data" if has_parent else "it takes items from no resource",
            fix=f"pipe a resource into it: `some_resource | {pipe_name}`, or give `data_from=`",
        )


class InvalidStepFunctionArguments(PipeException):
    """A function given to `add_map`, `add_filter` or `add_yield_map` cannot take an item."""

    def __init__(self, pipe_name: str, func_name: str, sig: inspect.Signature | str, call_error: str) -> None:
        self.func_name, self.sig = func_name, str(sig)
        super().__init__(
            pipe_name,
            f"Step `{func_name}{sig}` of resource `{pipe_name}` cannot be called with an item.",
            why=call_error,
            fix="let it take the item first, and nothing else but an optional `meta`",
        )


class ResourceExtractionError(PipeException):
    """A function of the user's raised while items were read; the error is the cause of this one."""

    def __init__(self, pipe_name: str, gen: Any, msg: str, kind: str) -> None:
        function = getattr(gen, "func", gen)  # of partials
        self.func_name = gen if isinstance(gen, str) else getattr(function, "__name__", str(gen))
        self.kind = kind
        super().__init__(
            pipe_name, f"Reading resource `{pipe_name}` failed in its {kind} `{self.func_name}`.", why=msg or None
        )


class PipeGenInvalid(PipeException):
    """The function of a resource returned nothing that can be iterated."""

    def __init__(self, pipe_name: str, gen: Any) -> None:
        self.gen_type = type(gen).__name__
        super().__init__(
            pipe_name,
            f"Resource `{pipe_name}` gave a {self.gen_type}, which cannot be iterated.",
            fix="yield items from its function, or return a list of them",
        )


class UnclosablePipe(PipeException):
    """A generator cannot be stopped early."""

    def __init__(self, pipe_name: str, gen: Any) -> None:
        super().__init__(pipe_name, f"The {type(gen).__name__} of `{pipe_name}` cannot be stopped early.")


# ---- contexts -------------------------------------------------------------------------------------------------------


class PipelineStateNotAvailable(PipelineException):
    """State was asked for where no pipeline is active."""

    def __init__(self, source_state_key: str | None = None) -> None:
        self.source_state_key = source_state_key
        place = f" of source `{source_state_key}`" if source_state_key else ""
        super().__init__(
            None,
            f"There is no state{place} here.",
            why="no pipeline is active, and no source is being read",
            fix="make a pipeline first, or ask for the state inside a function of a resource",
        )


class ResourceNameNotAvailable(PipelineException):
    """The current resource was asked for outside of resources."""

    def __init__(self) -> None:
        super().__init__(
            None,
            "There is no current resource here.",
            why="it is only known while functions of resources run, and not in threads you start yourself",
            fix="call it inside a function decorated with `@resource`, or give the resource's name",
        )


class SourceSectionNotAvailable(PipelineException):
    """State of a source was asked for outside of sources."""

    def __init__(self) -> None:
        super().__init__(
            None,
            "There is no current source here whose state could be given.",
            fix="ask for it inside a function decorated with `@source` or `@resource`",
        )
