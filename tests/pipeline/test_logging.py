"""Log lines: seen in a plain script, never doubled in an application, with context, without secrets."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import headrace as dlt
from headrace import runtime_logging
from headrace.base import logs
from headrace.errors.base import HeadraceException, ValueErrorWithKnownValues
from headrace.errors.masking import remember

SECRET = "pl4nted-s3cret-value"


@pytest.fixture
def logger(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    for name in ("LOG_LEVEL", "LOG_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    found, root = logging.getLogger("headrace"), logging.getLogger()
    before, level, theirs = list(found.handlers), found.level, (list(root.handlers), root.level)
    found.setLevel(logging.NOTSET)
    root.handlers = []
    yield found
    runtime_logging.stand_in(None)
    found.handlers, (root.handlers, root_level) = before, theirs
    found.propagate = True
    for one in list(logging.Logger.manager.loggerDict.values()):
        if isinstance(one, logging.Logger):
            one.disabled = False
    root.setLevel(root_level)
    found.setLevel(level)


def nobody_listens() -> None:
    """As in a script that knows nothing of logging: pytest's handlers come after fixtures."""
    logging.getLogger().handlers = []


class Heard(logging.Handler):
    """Keeps records, and what a formatter of the user makes of them."""

    def __init__(self, text: str = "%(message)s") -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter(text))

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.lines.append(self.format(record))


def test_a_plain_script_sees_warnings(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    nobody_listens()
    runtime_logging.initialize()
    logger.warning("look")
    logger.info("not shown")
    assert "WARNING|headrace|look" in (err := capsys.readouterr().err)
    assert "not shown" not in err


def test_handlers_of_the_application_are_enough(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    runtime_logging.initialize("INFO")
    theirs = Heard()
    logging.getLogger().addHandler(theirs)
    logger.info("once")
    assert theirs.lines == ["once"]
    assert capsys.readouterr().err == ""


def test_a_level_set_by_hand_stays(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    logger.setLevel(logging.DEBUG)
    monkeypatch.setenv("LOG_LEVEL", "CRITICAL")
    runtime_logging.initialize()
    assert logger.level == logging.DEBUG
    runtime_logging.initialize("ERROR")
    assert logger.level == logging.ERROR


def test_without_a_level_that_of_the_application_counts(logger: logging.Logger) -> None:
    runtime_logging.initialize("DEBUG")
    runtime_logging.initialize()  # another pipeline, which sets none
    logging.getLogger().setLevel(logging.WARNING)
    assert not logger.isEnabledFor(logging.INFO)
    logging.getLogger().setLevel(logging.INFO)
    assert logger.isEnabledFor(logging.INFO)


@pytest.mark.parametrize(("text", "level"), [("info", 20), ("WARN", 30), ("10", 10), (15, 15)])
def test_levels_have_names_and_numbers(logger: logging.Logger, text: str | int, level: int) -> None:
    assert runtime_logging.initialize(text).level == level


def test_an_unknown_level_and_a_wrong_format_are_refused(logger: logging.Logger) -> None:
    with pytest.raises(ValueErrorWithKnownValues, match=r"runtime\.log_level.*'LOUD'"):
        runtime_logging.initialize("LOUD")
    with pytest.raises(HeadraceException, match="log format"):
        runtime_logging.initialize(log_format="%(nothing_of_that_name)s")


def test_settings_and_plain_variables_set_level_and_format(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody_listens()

    def begin() -> None:
        dlt.pipeline("logged", pipelines_dir=str(tmp_path), destination="duckdb")
        logger.info("begun")

    monkeypatch.setenv("RUNTIME__LOG_LEVEL", "INFO")
    monkeypatch.setenv("RUNTIME__LOG_FORMAT", "{levelname}:{pipeline_name}:{message}")
    begin()
    assert capsys.readouterr().err == "INFO::begun\n"
    monkeypatch.delenv("RUNTIME__LOG_LEVEL")
    monkeypatch.delenv("RUNTIME__LOG_FORMAT")
    monkeypatch.setenv("LOG_LEVEL", "info")
    monkeypatch.setenv("LOG_FORMAT", "json")
    begin()
    assert json.loads(capsys.readouterr().err)["msg"] == "begun"
    monkeypatch.setenv("LOG_LEVEL", "verbose")  # somebody else's
    monkeypatch.setenv("LOG_FORMAT", "pretty")
    begin()
    assert "verbose" in (err := capsys.readouterr().err) and "pretty" in err and "begun" not in err
    begin()
    assert capsys.readouterr().err == ""


def test_a_level_equal_to_the_default_counts_too(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    logging.getLogger().setLevel(logging.DEBUG)
    monkeypatch.setenv("RUNTIME__LOG_LEVEL", "WARNING")
    dlt.pipeline("logged", pipelines_dir=str(tmp_path), destination="duckdb")
    assert not logger.isEnabledFor(logging.INFO)


# ---- JSON ------------------------------------------------------------------------------------------------------------


def test_json_lines_hold_everything_and_are_valid(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    remember(SECRET)
    nobody_listens()
    runtime_logging.initialize(log_format="JSON")
    with logs.log_context(pipeline_name="shop", job_id="j1"):
        try:
            raise RuntimeError(f"two\nlines with {SECRET}")
        except RuntimeError:
            extra = {"object": object(), "not_a_number": float("nan"), "found": {"token": SECRET, 1: b"x"}}
            logger.exception("it \ud800 failed\nhere %s", SECRET, extra=extra)
    (text,) = capsys.readouterr().err.splitlines()
    line = json.loads(text)
    assert SECRET not in text
    assert (line["pipeline_name"], line["job_id"], line["level"]) == ("shop", "j1", "ERROR")
    assert line["msg"].endswith("failed\nhere ***")
    assert line["exc_info"].splitlines()[0].startswith("Traceback") and "two\nlines with ***" in line["exc_info"]
    assert line["not_a_number"] is None and line["found"]["1"] and line["object"].startswith("<object")
    assert line["written_at"].endswith("Z") and line["thread"] == "MainThread"
    assert "load_id" not in line  # empty ones are left out


# ---- context ---------------------------------------------------------------------------------------------------------


def _run(tmp_path: Path, data: Any) -> None:
    place = dlt.destinations.duckdb(str(tmp_path / "x.duckdb"))
    dlt.pipeline("shop", pipelines_dir=str(tmp_path), destination=place, dataset_name="raw").run(data)


def test_lines_say_what_they_belong_to(logger: logging.Logger, tmp_path: Path) -> None:
    theirs = Heard("%(pipeline_name)s/%(step)s/%(resource_name)s: %(message)s")
    logger.addHandler(theirs)
    logger.setLevel(logging.INFO)

    @dlt.resource
    def orders() -> Iterator[dict[str, Any]]:
        logger.info("page")
        yield {"id": 1, "empty": None}

    @dlt.resource(parallelized=True)
    def customers() -> Iterator[dict[str, Any]]:
        logger.info("in %s", threading.current_thread().name.rpartition("_")[0])
        yield {"id": 1}

    @dlt.source
    def shop() -> Any:
        return orders, customers

    _run(tmp_path, shop())
    assert "shop/extract/orders: page" in theirs.lines
    assert "shop/extract/customers: in headrace-extract" in theirs.lines
    warned = next(r for r in theirs.records if "only None" in r.getMessage())
    page = next(r for r in theirs.records if r.getMessage() == "page")
    assert vars(warned)["step"] == "normalize"
    assert vars(warned)["load_id"] == vars(page)["load_id"] != ""
    assert vars(warned)["run_id"] == vars(page)["run_id"] != ""
    assert vars(page)["schema_name"] == "shop"
    assert logs.current_context() == {}


def test_threads_of_normalize_and_load_have_the_context(
    logger: logging.Logger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headrace.destinations.impl.duckdb.client import DuckDbClient
    from headrace.normalize import worker

    seen: dict[str, list[dict[str, str]]] = {"normalize": [], "load": []}
    group_frames, apply = worker.group_frames, DuckDbClient.apply

    def watched_file(batches: Any) -> Any:
        seen["normalize"].append({**logs.current_context(), "thread": threading.current_thread().name})
        return group_frames(batches)

    def watched_apply(self: Any, job: Any, context: Any) -> Any:
        seen["load"].append(logs.current_context())
        return apply(self, job, context)

    monkeypatch.setattr(worker, "group_frames", watched_file)
    monkeypatch.setattr(DuckDbClient, "apply", watched_apply)
    monkeypatch.setenv("NORMALIZE__WORKERS", "2")
    _run(tmp_path, [dlt.resource([{"id": 1}], name="orders"), dlt.resource([{"id": 1}], name="customers")])
    files = [one for one in seen["normalize"] if one["table_name"] == "orders"]
    assert files[0]["resource_name"] == "orders" and files[0]["thread"].startswith("normalize")
    assert files[0]["load_id"] and files[0]["pipeline_name"] == "shop"
    tables = {name for one in seen["load"] for name in one["table_name"].split(", ")}
    assert {"orders", "customers"} <= tables
    assert all(one["job_id"] and one["load_id"] and one["step"] == "load" for one in seen["load"])


def test_other_libraries_lines_get_the_context_by_a_filter(logger: logging.Logger) -> None:
    theirs = Heard("%(load_id)s %(message)s")
    theirs.addFilter(runtime_logging.ContextFilter())
    other = logging.getLogger("some.driver")
    other.addHandler(theirs)
    try:
        with logs.log_context(load_id="17.5"):
            other.warning("slow")
            other.warning("mine", extra={"load_id": "kept"})
        other.warning("idle")
    finally:
        other.removeHandler(theirs)
    assert theirs.lines == ["17.5 slow", "kept mine", " idle"]


# ---- what is the user's stays the user's -----------------------------------------------------------------------------


def test_secrets_reach_no_handler(logger: logging.Logger) -> None:
    remember(SECRET)
    theirs = Heard()
    logging.getLogger().addHandler(theirs)
    runtime_logging.initialize()
    try:
        raise RuntimeError(SECRET)
    except RuntimeError as error:
        # loggers below ours do not inherit its filters
        logs.get_logger("headrace.config").warning("found %s", {"dsn": f"postgres://u:{SECRET}@h"}, exc_info=True)
        logger.warning("because: %s", error)
    assert len(theirs.lines) == 2
    assert SECRET not in "".join(theirs.lines) and "RuntimeError: ***" in theirs.lines[0]
    assert not any(SECRET in repr(vars(r)) for r in theirs.records)


def test_lines_without_secrets_keep_their_parts(logger: logging.Logger) -> None:
    theirs = Heard()
    logger.addHandler(theirs)
    logger.warning("%d rows of %s", 3, "orders")
    (record,) = theirs.records
    assert (record.msg, record.args) == ("%d rows of %s", (3, "orders"))


def test_a_line_with_wrong_arguments_ends_no_run(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    nobody_listens()
    runtime_logging.initialize()
    logger.warning("%d rows", "many")
    assert "not all arguments" in (err := capsys.readouterr().err) or "format" in err


def test_an_application_keeps_its_configuration(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    runtime_logging.initialize()
    configuration: dict[str, Any] = {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"f": {"format": "%(levelname)s %(pipeline_name)s %(message)s"}},
        "handlers": {"h": {"class": "logging.StreamHandler", "stream": stream, "formatter": "f"}},
        "loggers": {"headrace": {"handlers": ["h"], "level": "INFO", "propagate": False}},
    }
    logging.config.dictConfig(configuration)
    runtime_logging.initialize()
    with logs.log_context(pipeline_name="shop"):
        logger.info("once")
    assert (logger.level, logger.propagate) == (logging.INFO, False)
    assert stream.getvalue() == "INFO shop once\n"
    # an application that wants silence has it
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
    runtime_logging.initialize()
    logger.error("nobody hears this")
    assert logger.disabled and stream.getvalue().count("\n") == 1
    assert capsys.readouterr().err == ""


def test_python_warnings_stay_where_they_were_sent(logger: logging.Logger) -> None:
    theirs = Heard()
    logging.getLogger("py.warnings").addHandler(theirs)
    logging.captureWarnings(True)
    try:
        runtime_logging.initialize()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(True)
            warnings.warn("old", DeprecationWarning, stacklevel=1)
    finally:
        logging.captureWarnings(False)
        logging.getLogger("py.warnings").removeHandler(theirs)
    assert len(theirs.lines) == 1 and "old" in theirs.lines[0]


def test_lines_are_redirected_as_loguru_does(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    """The handler of loguru's documentation: it finds the caller by walking up the frames, out of `logging`."""
    found: list[tuple[str, str | None]] = []

    class InterceptHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            import inspect

            frame, depth = inspect.currentframe(), 0
            # Sentry stands in between for good, once a test of this process has begun it
            between = (logging.__file__, "sentry_sdk/")
            while frame and (depth == 0 or any(name in frame.f_code.co_filename for name in between)):
                frame, depth = frame.f_back, depth + 1
            found.append((record.getMessage(), frame.f_code.co_name if frame else None))

    logging.basicConfig(handlers=[InterceptHandler()], level=0, force=True)
    runtime_logging.initialize()
    logger.debug("heard")
    assert found == [("heard", "test_lines_are_redirected_as_loguru_does")]
    assert capsys.readouterr().err == ""


def test_another_name_stands_in(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    other = logging.getLogger("dlt_like")
    theirs = Heard("%(name)s %(levelname)s %(step)s %(message)s")
    runtime_logging.initialize("ERROR")
    runtime_logging.stand_in("dlt_like")
    try:
        assert other.level == logging.ERROR and not logger.isEnabledFor(logging.WARNING)
        other.setLevel(logging.INFO)
        other.addHandler(theirs)
        other.propagate = False
        with logs.log_context(step="load"):
            logger.info("of ours")
            logs.get_logger("headrace.bus").info("from below")
            other.info("of theirs")
        runtime_logging.initialize("WARNING")
        assert other.level == logging.WARNING
        logger.info("too quiet")
    finally:
        other.removeHandler(theirs)
        runtime_logging.stand_in(None)
    assert theirs.lines == [
        "dlt_like INFO load of ours",
        "dlt_like.bus INFO load from below",
        "dlt_like INFO load of theirs",
    ]
    assert capsys.readouterr().err == ""
    assert logger.parent is logging.getLogger()
