"""What is current where the code runs: the pipeline, source, resource and their state.

All of these look at context variables, so they work inside resources, in functions marked with `defer` and in async
items. Outside of their context they raise an error that says so.
"""

from __future__ import annotations

from headrace.base.lazy import lazy_names

_where = {
    "pipeline": "headrace.pipeline.current:current_pipeline",
    "source": "headrace.extract.state:current_source",
    "source_schema": "headrace.extract.state:source_schema",
    "resource": "headrace.extract.state:current_resource",
    "resource_name": "headrace.extract.state:resource_name",
    "pipe": "headrace.extract.state:current_pipe",
    "source_state": "headrace.extract.state:source_state",
    "state": "headrace.extract.state:source_state",
    "resource_state": "headrace.extract.state:resource_state",
    "resource_metrics": "headrace.extract.state:resource_metrics",
    "load_package_state": "headrace.pipeline.current:load_package_state",
    "commit_load_package_state": "headrace.pipeline.current:commit_load_package_state",
    "destination_state": "headrace.pipeline.current:destination_state",
    "run_context": "headrace.config.run_context:current",
    "interval": "headrace.extract.incremental.external:interval",
}

__getattr__, __dir__ = lazy_names(__name__, _where)
__all__ = list(_where)
