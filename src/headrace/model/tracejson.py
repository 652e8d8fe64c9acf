"""Traces as JSON text and back, with every type kept. Schemas are written once, however many packages follow them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from headrace.base.json import dumps, loads
from headrace.errors.masking import without_known
from headrace.model import infos, packages, trace

_MARK = "$"
_KINDS: dict[str, Any] = {
    kind.__name__: kind
    for kind in (
        infos.ExtractInfo,
        infos.LoadInfo,
        infos.NormalizeInfo,
        infos.DataWriterMetrics,
        infos.LoadJobMetrics,
        infos.RowChanges,
        packages.LoadJobInfo,
        packages.LoadPackageInfo,
        packages.ParsedLoadJobFileName,
        packages.SchemaRef,
        trace.PipelineStepTrace,
        trace.PipelineTrace,
        trace.SerializableResolvedValueTrace,
    )
}


def trace_to_json(value: trace.PipelineTrace) -> str:
    """Write a trace as JSON text. Errors are in it as text, pipelines by name, schemas whole."""
    schemas: dict[str, Any] = {}
    return dumps({"format": 1, "trace": _encode(value, schemas), "schemas": schemas})


def trace_from_json(text: str | bytes) -> trace.PipelineTrace:
    """Read what `trace_to_json` wrote.

    Raises:
        ValueError: The text is not a trace, or one of a newer format.
    """
    document = loads(text)
    if not isinstance(document, dict) or document.get("format") != 1:
        raise ValueError("this is not a trace that this version of headrace can read")
    decoded = _Decoder(document.get("schemas", {})).decode(document["trace"])
    if isinstance(decoded, trace.PipelineTrace):
        return decoded
    raise ValueError("the text holds something else than a trace")


def _encode(value: Any, schemas: dict[str, Any]) -> Any:
    if isinstance(value, str):
        return without_known(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dt.datetime):
        return {_MARK: "datetime", "v": value.isoformat()}
    if isinstance(value, infos.DataWriterAndCustomMetrics):
        custom = _encode(value.custom_metrics, schemas)
        return {_MARK: "custom", "v": [_encode(v, schemas) for v in value], "custom": custom}
    if type(value).__name__ in _KINDS and isinstance(value, tuple):
        return {_MARK: type(value).__name__, "v": {k: _encode_field(k, v, schemas) for k, v in _fields(value)}}
    if isinstance(value, Mapping):
        return _encode_mapping(value, schemas)
    if isinstance(value, tuple):
        return {_MARK: "tuple", "v": [_encode(v, schemas) for v in value]}
    if isinstance(value, (list, set, frozenset)):
        return [_encode(v, schemas) for v in value]
    return str(value)


def _fields(value: Any) -> list[tuple[str, Any]]:
    return list(zip(value._fields, value, strict=True))


def _encode_field(name: str, value: Any, schemas: dict[str, Any]) -> Any:
    if name == "pipeline":
        return {_MARK: "pipeline", "v": value.pipeline_name}
    if name == "schema" and hasattr(value, "to_dict"):
        key = f"{value.name}:{value.stored_version_hash or value.version_hash}"
        if key not in schemas:
            schemas[key] = value.to_dict()
        return {_MARK: "schema", "v": key}
    if name == "schema" and value is not None:
        value = packages.SchemaRef(value.name, value.stored_version_hash)
    return _encode(value, schemas)


def _encode_mapping(value: Mapping[Any, Any], schemas: dict[str, Any]) -> Any:
    if _MARK in value or not all(isinstance(key, str) for key in value):
        return {_MARK: "dict", "v": [[_encode(k, schemas), _encode(v, schemas)] for k, v in value.items()]}
    return {k: _encode(v, schemas) for k, v in value.items()}


class _Decoder:
    def __init__(self, schemas: Mapping[str, Any]) -> None:
        self._schemas = schemas
        self._made: dict[str, Any] = {}

    def decode(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.decode(v) for v in value]
        if not isinstance(value, dict):
            return value
        if _MARK not in value:
            return {k: self.decode(v) for k, v in value.items()}
        return self._marked(value[_MARK], value)

    def _marked(self, kind: str, value: dict[str, Any]) -> Any:
        body = value["v"]
        if kind == "datetime":
            return dt.datetime.fromisoformat(body)
        if kind == "tuple":
            return tuple(self.decode(v) for v in body)
        if kind == "dict":
            return {self.decode(k): self.decode(v) for k, v in body}
        if kind == "pipeline":
            return infos.PipelineRef(body)
        if kind == "schema":
            return self._schema(body)
        if kind == "custom":
            numbers = infos.DataWriterMetrics(*(self.decode(v) for v in body))
            return infos.DataWriterAndCustomMetrics.extended(numbers, self.decode(value["custom"]))
        if kind not in _KINDS:
            raise ValueError(f"the trace holds a `{kind}`, which this version of headrace does not know")
        # fields of a newer version are passed over
        known = {k: self.decode(v) for k, v in body.items() if k in _KINDS[kind]._fields}
        return _KINDS[kind](**known)

    def _schema(self, key: str) -> Any:
        if key not in self._made:
            from headrace.model.schema import Schema

            self._made[key] = Schema.from_dict(self._schemas[key])
        return self._made[key]
