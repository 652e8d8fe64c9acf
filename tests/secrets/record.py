"""All that a run produces, as bytes with names: what `search` looks through."""

from __future__ import annotations

import io
import json
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

import headrace
from headrace import runtime_logging
from headrace.model.trace import PipelineTrace, trace_to_json
from tests.secrets.search import Leak, Planted, files

# the data themselves, which are where they belong
DATA = (r"packages/[^/]+/(spool|files)/", r"\.duckdb(\.wal)?$", r"/exported/", r"^\.dlt/secrets\.toml$")
# tables that hold no data of the user's
OWN = ("_dlt_", "_load_info", "_trace", "_schema_updates")


class Record:
    """Collects what is said, written and raised.

    Args:
        planted: What must not be found.
        folder: Everything that is written is below it.

    Attributes:
        things: What was produced so far, with its name.
        error: What the last `attempt` raised.
    """

    def __init__(self, planted: Planted, folder: Path) -> None:
        self.planted, self.folder = planted, folder
        self.things: list[tuple[str, bytes | str]] = []
        self.error: BaseException | None = None
        self._streams: dict[str, io.StringIO] = {}

    def add(self, where: str, data: bytes | str) -> None:
        """Take note of something that was produced."""
        self.things.append((where, data))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Logs at the level DEBUG: with handlers and formats of ours, of an application's, and at the root."""
        names = ("log of ours, JSON", "log of the application, text", "log at the root")
        ours, theirs, plain = (self._streams.setdefault(name, io.StringIO()) for name in names)
        handlers = [logging.StreamHandler(ours), logging.StreamHandler(theirs), _Records(self)]
        handlers[0].setFormatter(runtime_logging._formatter("JSON"))
        handlers[1].setFormatter(logging.Formatter("%(name)s %(message)s"))
        root, logger = logging.getLogger(), logging.getLogger("headrace")
        at_root = logging.StreamHandler(plain)
        level, root_level = logger.level, root.level
        for handler in handlers:
            logger.addHandler(handler)
        root.addHandler(at_root)
        logger.setLevel(logging.DEBUG)
        try:
            yield
        finally:
            logger.setLevel(level)
            root.setLevel(root_level)
            root.removeHandler(at_root)
            for handler in handlers:
                logger.removeHandler(handler)

    def watch(self, pipeline: Any) -> Any:
        """Take note of all events of a pipeline."""
        logging.getLogger("headrace").setLevel(logging.DEBUG)
        pipeline.bus.observe(_Events(self))
        return pipeline

    def attempt(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call something; what it returns or raises is taken note of."""
        self.error = None
        try:
            result = function(*args, **kwargs)
        except BaseException as error:
            self.error = error
            self._raised(error)
            return None
        self.add(f"what {function.__name__} gave", f"{result!r} {result}")
        self.info(result)
        return result

    def _raised(self, error: BaseException) -> None:
        self.add("traceback", "".join(traceback.format_exception(error)))
        # what people do with an error that they catch
        logging.getLogger("headrace").error("it failed", exc_info=error)
        logging.getLogger("somebody").warning("it failed: %s", error, exc_info=True)
        with suppress(pickle.PicklingError, TypeError, AttributeError):
            self.add("pickle", pickle.dumps(error))
        one: BaseException | None = error
        while one is not None:
            name = type(one).__name__
            self.add(f"text of {name}", str(one))
            self.add(f"repr of {name}", repr(one))
            if hasattr(one, "attrs"):
                self.add(f"attributes of {name}", str(one.attrs()))
            info = getattr(one, "step_info", None)
            if info is not None:
                self.info(info)
            one = one.__cause__ or one.__context__

    def info(self, info: Any) -> None:
        """Take note of an info or a trace in all its forms."""
        if not hasattr(info, "asdict"):
            return
        name = type(info).__name__
        for verbosity in range(4):
            self.add(f"{name}.asstr({verbosity})", info.asstr(verbosity))
        self.add(f"str of {name}", str(info))
        self.add(f"repr of {name}", repr(info))
        self.add(f"{name}.asdict()", json.dumps(info.asdict(), default=str))
        if isinstance(info, PipelineTrace):
            self.add("trace as JSON", trace_to_json(info))

    def pipeline(self, pipeline: Any) -> None:
        """Take note of what a pipeline knows: trace, state, schemas; and load trace and infos somewhere."""
        trace = pipeline.last_trace
        self.add("state", json.dumps(pipeline.state, default=str))
        self.add("text of the pipeline", f"{pipeline} {pipeline!r}")
        for schema in pipeline.schemas.values():
            self.add(f"schema {schema.name}", f"{schema.to_pretty_yaml()} {schema!r}")
        for load_id in [*pipeline.list_completed_load_packages(), *pipeline.list_normalized_load_packages()]:
            package = pipeline.get_load_package_info(load_id)
            self.add(f"package {load_id}", f"{package.asstr(3)} {package!r} {package.asdict()}")
            for job in pipeline.list_failed_jobs_in_package(load_id):
                self.add("failed job", f"{job.asstr(3)} {job!r} {job.asdict()}")
        if trace is not None:
            self.info(trace)
            for step in trace.steps:
                self.add(f"trace of {step.step}", f"{step.asstr(3)} {step!r} {step.asdict()}")
                if step.step_info is not None:
                    self.info(step.step_info)
            self._load_trace(pipeline, trace)

    def _load_trace(self, pipeline: Any, trace: Any) -> None:
        target = headrace.destinations.duckdb(str(self.folder / "traces.duckdb"))
        keeper = headrace.pipeline(f"{pipeline.pipeline_name}_traces", destination=target, dataset_name="kept")
        keeper.run([trace], table_name="_trace")
        if trace.last_load_info is not None:
            keeper.run([trace.last_load_info], table_name="_load_info")
        self.tables(keeper)

    def tables(self, pipeline: Any) -> None:
        """Take note of the rows of our own tables at a destination that speaks SQL."""
        with pipeline.sql_client() as client:
            found = client.execute_sql(
                f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{client.dataset_name}'"
            )
            for (name,) in found or []:
                if name.startswith(OWN):
                    rows = client.execute_sql(f"SELECT * FROM {client.make_qualified_table_name(name)}")
                    self.add(f"table {name}", "\n".join("\t".join(map(str, row)) for row in rows or []))

    def leaks(self, leave_out: tuple[str, ...] = ()) -> list[Leak]:
        """All secrets in all that was produced."""
        written = list(files(self.folder, (*DATA, *leave_out)))
        logs = [(name, stream.getvalue()) for name, stream in self._streams.items()]
        return self.planted.find_all([*self.things, *logs, *written])

    def check(self, *, leave_out: tuple[str, ...] = (), expect: str = "") -> None:
        """Fail if a secret is found, or if the run did not produce what it should have.

        Args:
            leave_out: Patterns of files that may hold them.
            expect: A text that must be in something that was produced: else nothing was tested.
        """
        leaks = list(dict.fromkeys(map(str, self.leaks(leave_out))))
        assert not leaks, "\n".join(leaks[:30])
        if expect:
            assert any(expect in str(data) for _, data in self.things), f"`{expect}` was said nowhere"


class _Events:
    def __init__(self, record: Record) -> None:
        self._record = record

    def notify(self, event: Any, run: Any) -> None:
        """Note the event as it would be sent, and as it would be printed."""
        name = type(event).__name__
        self._record.add(f"event {name}", msgspec.json.encode(event))
        self._record.add(f"event {name}", repr(event))


class _Records(logging.Handler):
    """Log records as Sentry and the like see them: attributes, arguments and the error itself."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self._record = record

    def emit(self, record: logging.LogRecord) -> None:
        """Note everything that is in a record."""
        facts = {k: v for k, v in vars(record).items() if k not in ("exc_info",)}
        self._record.add("log record", repr(facts))
        if record.exc_info and record.exc_info[1] is not None:
            self._record.add("error of a log record", "".join(traceback.format_exception(record.exc_info[1])))
