"""OpenLineage's Python client as a receiver. Importing it takes half a second: only threads that send may do so."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from headrace.config.lineage import LineageConfiguration
from headrace.errors.base import MissingDependencyException
from headrace.errors.masking import HIDDEN, names_a_secret, without_secrets
from headrace.observers.lineage.delivery.outlets import Trouble, Unwanted, judged, without_user
from headrace.observers.lineage.delivery.spool import TRANSPORT

CONFIRM_SECONDS = 10.0
"""How long a transport that sends in the background may take to say that it did."""


def open_outlets(settings: LineageConfiguration) -> list[ClientOutlet]:
    """Make the client as it is configured, and the receivers it sends to.

    A composite transport that sends to all of its transports whatever happens to the others is taken apart: each has
    its own place in the store, so that none misses what it could not take for a while.

    Returns:
        Nothing when no transport is configured (a file may only say tags and filters).

    Raises:
        MissingDependencyException: The client is not installed.
        Exception: Whatever it says of a wrong configuration.
    """
    try:
        from openlineage.client.client import OpenLineageClient
        from openlineage.client.transport import CompositeTransport, get_default_factory
    except ModuleNotFoundError as error:
        if error.name and error.name.split(".")[0] != "openlineage":
            raise
        raise MissingDependencyException("Sending lineage to a server", ["headrace[lineage]"]) from error
    ours = own_transport(settings)
    before = set(os.environ)
    try:
        transport = get_default_factory().create(ours) if ours else None
        client = OpenLineageClient(transport=transport)
    finally:
        # the client writes its variables into the environment once more, where programs that we start would find them
        for name in set(os.environ) - before:
            if name.startswith("OPENLINEAGE__"):
                os.environ.pop(name, None)
    if not ours and not _is_asked_for(client):
        if (named := os.environ.get("OPENLINEAGE_CONFIG")) and not os.path.isfile(named):  # noqa: PTH113 - as elsewhere
            raise FileNotFoundError(f"OPENLINEAGE_CONFIG names {named}, which is no file")
        return []
    top = client.transport
    if isinstance(top, CompositeTransport) and top.config.continue_on_failure and top.config.continue_on_success:
        found = []
        for number, child in enumerate(top.transports):
            one = copy.copy(client)
            one.transport = child
            found.append(ClientOutlet(one, f"{TRANSPORT}.{_file_name(child.name or str(number))}", settings.batch_size))
        return found
    return [ClientOutlet(client, TRANSPORT, settings.batch_size)]


def own_transport(settings: LineageConfiguration) -> dict[str, Any] | None:
    """The transport of the section `lineage`, as the client wants it; it goes before all of the client's own places."""
    if settings.transport:
        if not settings.transport.get("type"):
            raise ValueError('`lineage.transport` has no `type`: "http", "kafka", "file", …')
        return json.loads(json.dumps(dict(settings.transport)))  # type: ignore[no-any-return]  # the client changes it
    if not settings.url:
        return None
    made: dict[str, Any] = {"type": "http", "url": settings.url}
    if settings.endpoint:
        made["endpoint"] = settings.endpoint
    if settings.api_key:
        made["auth"] = {"type": "api_key", "apiKey": settings.api_key}
    return made


def _is_asked_for(client: Any) -> bool:
    return bool((client.config.transport or {}).get("type") or os.environ.get("OPENLINEAGE_URL"))


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "_-" else "_" for c in name)


class ClientOutlet:
    """A transport of the client.

    Args:
        client: With tags, filters and facets that users configured for it.
        name: Of its mark.
        group: Events at once, for a transport that sends in the background.
    """

    def __init__(self, client: Any, name: str, group: int = 50) -> None:
        self.client, self.name = client, name
        self.transport = client.transport
        kind = self.transport.kind or type(self.transport).__name__
        where = getattr(self.transport, "url", None) or getattr(self.transport, "topic", None)
        self.where = f"{kind} {without_user(where) if where and '://' in str(where) else where or ''}".strip()
        self._inner = list(_family(self.transport))
        self._confirm: list[Callable[[], None]] = []
        for one in self._inner:
            self._prepare(one)
        self._reduces = bool(client.config.dataset.reducing_enabled)
        self.apart = any(hasattr(one, "get_stats") for one in self._inner)
        self.group = max(1, group) if self.apart else 1
        client.transport = _Guard(self.transport)

    def _prepare(self, transport: Any) -> None:
        if transport.kind == "http" and transport.config.retry == type(transport.config)("http://x").retry:
            # trying again is our work: five times in a row would keep a thread for half a minute
            transport.config.retry = {"total": 0}
        if hasattr(transport, "producer"):
            self._confirm.append(_Confirmed(transport).check)
        if hasattr(transport, "get_stats"):
            self._confirm.append(_Counted(transport).check)

    def send(self, lines: Sequence[bytes]) -> None:
        """See `Outlet`."""
        events = []
        for line in lines:
            try:
                events.append(to_client(json.loads(line), self._reduces))
            except Exception as error:
                raise Unwanted(f"the client cannot hold it: {without_secrets(str(error))}") from error
        try:
            for event in events:
                self.client.emit(event)
            for confirm in self._confirm:
                confirm()
        except (Trouble, Unwanted):
            raise
        except Exception as error:
            raise judged(error) from error

    def lacking(self, lines: Sequence[bytes]) -> list[bytes]:
        """See `Outlet`: it cannot be asked. What it gets twice is the same, with the same id and the same time."""
        return list(lines)

    def close(self, seconds: float) -> None:
        """See `Outlet`."""
        self.transport.close(seconds)


def _family(transport: Any) -> list[Any]:
    """A transport, and those it hands events to."""
    found = [transport]
    for name in ("transport", "http"):
        inner = getattr(transport, name, None)
        if inner is not None and hasattr(inner, "emit"):
            found += _family(inner)
    if transport.kind == "composite":
        found += [one for child in transport.transports for one in _family(child)]
    return found


class _Guard:
    """Before the transport: hides secrets in what the client itself put into an event."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def emit(self, event: Any) -> Any:
        run = getattr(event, "run", None)
        facet = (run.facets or {}).get("environmentVariables") if run else None
        for variable in getattr(facet, "environmentVariables", None) or []:
            secret = names_a_secret(variable.name)
            variable.value = HIDDEN if secret else without_secrets(str(variable.value))
        return self._transport.emit(event)


class _Confirmed:
    """Kafka: its transport only logs that a message did not arrive. Here that is an error."""

    def __init__(self, transport: Any) -> None:
        self._errors: list[Any] = []
        self._transport = transport
        self._real: Any = None
        transport.flush = False  # done here, and not for ever
        self._wrap()

    def _wrap(self) -> None:
        producer = self._transport.producer
        if producer is not None and producer is not self:
            self._real = producer
            self._transport.producer = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def produce(self, **message: Any) -> None:
        told = message.pop("on_delivery", None)

        def on_delivery(error: Any, sent: Any) -> None:
            if error is not None:
                self._errors.append(error)
            elif told is not None:
                told(error, sent)

        self._real.produce(on_delivery=on_delivery, **message)

    def check(self) -> None:
        self._wrap()
        left = self._real.flush(CONFIRM_SECONDS)
        errors, self._errors = self._errors, []
        if errors:
            name = errors[0].name() if callable(getattr(errors[0], "name", None)) else ""
            text = without_secrets(f"{name} {errors[0]}".strip())
            raise Unwanted(text) if name in ("MSG_SIZE_TOO_LARGE", "_MSG_SIZE_TOO_LARGE") else Trouble(text)
        if left:
            raise Trouble(f"the broker did not confirm the message within {CONFIRM_SECONDS:.0f} s", silent=True)


class _Counted:
    """A transport that sends in the background and counts: what it counts as failed was not sent."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._failed = 0

    def check(self) -> None:
        done = self._transport.wait_for_completion(6 * CONFIRM_SECONDS)
        failed = self._transport.get_stats()["failed"]
        new, self._failed = failed - self._failed, failed
        if new:
            raise Trouble(f"{new} events were not sent; the log of `openlineage.client` says why", answered=True)
        if not done:
            raise Trouble("no answer in time", silent=True)


# ---- our events as the client's -------------------------------------------------------------------------------------


class Facet(dict[str, Any]):
    """A facet exactly as we made it, whose members can also be had as attributes, as those of the client's classes."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


def to_client(event: dict[str, Any], reduces: bool = False) -> Any:
    """An event of ours as an object of the client.

    Args:
        event: It.
        reduces: The client shortens names of datasets: it has to find them in facets too.

    Raises:
        ValueError, TypeError, KeyError: It is no event.
    """
    from openlineage.client import event_v2

    said: dict[str, Any] = {"eventTime": event["eventTime"], "producer": event["producer"]}
    made: Any
    if "dataset" in event:
        data = event["dataset"]
        static = event_v2.StaticDataset(data["namespace"], data["name"], facets=_facets(data.get("facets")))
        made = event_v2.DatasetEvent(dataset=static, **said)
    else:
        job = event["job"]
        said["job"] = event_v2.Job(job["namespace"], job["name"], facets=_facets(job.get("facets")))
        for side, kind, own in (
            ("inputs", event_v2.InputDataset, "inputFacets"),
            ("outputs", event_v2.OutputDataset, "outputFacets"),
        ):
            said[side] = [_dataset(kind, own, data, reduces) for data in event[side]] if side in event else None
        if "run" in event:
            run = event_v2.Run(event["run"]["runId"], facets=_run_facets(event["run"].get("facets")))
            made = event_v2.RunEvent(run=run, eventType=event_v2.RunState(event["eventType"]), **said)
        else:
            made = event_v2.JobEvent(**said)
    made.schemaURL = event.get("schemaURL", made.schemaURL)
    return made


def _dataset(kind: Any, own: str, data: dict[str, Any], reduces: bool) -> Any:
    more = {name: _facets(data[name]) if name in data else None for name in ("facets", own)}
    if reduces and more["facets"]:
        _as_class(more["facets"], "columnLineage", _columns)
    return kind(data["namespace"], data["name"], **more)


def _facets(facets: dict[str, Any] | None) -> dict[str, Any]:
    return {name: _facet(facet) for name, facet in (facets or {}).items()}


def _facet(value: Any) -> Any:
    if type(value) is dict:
        return Facet({key: _facet(one) for key, one in value.items()})
    if type(value) is list:
        return [_facet(one) for one in value]
    return value


def _run_facets(facets: dict[str, Any] | None) -> dict[str, Any]:
    """Facets of a run; two of them are looked at by class: by Kafka for its keys, by the client to add to them."""
    made = _facets(facets)
    _as_class(made, "parent", _parent)
    _as_class(made, "environmentVariables", _environment)
    return made


def _as_class(facets: dict[str, Any], name: str, build: Callable[[Facet], Any]) -> None:
    """Make an object of the client's class of a facet; one that its class cannot hold whole stays as it is."""
    from openlineage.client.serde import Serde

    facet = facets.get(name)
    if facet is None:
        return
    try:
        made = build(facet)
    except (AttributeError, TypeError, ValueError):
        return
    made._producer, made._schemaURL = facet.get("_producer", ""), facet.get("_schemaURL", "")
    if Serde.to_dict(made) == facet:
        facets[name] = made


def _columns(facet: Facet) -> Any:
    from openlineage.client.facet_v2 import column_lineage_dataset as kinds

    def inputs(fields: list[Facet]) -> list[Any]:
        return [
            kinds.InputField(
                one.namespace,
                one.name,
                one.field,
                [kinds.Transformation(**how) for how in one.transformations] if "transformations" in one else None,
            )
            for one in fields
        ]

    fields = {
        column: kinds.Fields(**{**told, "inputFields": inputs(told.inputFields)})
        for column, told in facet.fields.items()
    }
    dataset = inputs(facet.dataset) if "dataset" in facet else None
    return kinds.ColumnLineageDatasetFacet(fields=fields, dataset=dataset)


def _parent(facet: Facet) -> Any:
    from openlineage.client.facet_v2 import parent_run as kinds

    root = None
    if "root" in facet:
        top = facet.root
        root = kinds.Root(
            run=kinds.RootRun(runId=top.run.runId, facets=top.run.get("facets")),
            job=kinds.RootJob(namespace=top.job.namespace, name=top.job.name, facets=top.job.get("facets")),
        )
    return kinds.ParentRunFacet(
        run=kinds.Run(runId=facet.run.runId, facets=facet.run.get("facets")),
        job=kinds.Job(namespace=facet.job.namespace, name=facet.job.name, facets=facet.job.get("facets")),
        root=root,
    )


def _environment(facet: Facet) -> Any:
    from openlineage.client.facet_v2 import environment_variables_run as kinds

    variables = [kinds.EnvironmentVariable(name=one.name, value=one.value) for one in facet.environmentVariables]
    return kinds.EnvironmentVariablesRunFacet(environmentVariables=variables)
