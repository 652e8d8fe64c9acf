"""Log lines are seen in a plain script and never doubled in an application that has logging of its own."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from headrace import runtime_logging


@pytest.fixture
def logger(monkeypatch: pytest.MonkeyPatch) -> Iterator[logging.Logger]:
    found = logging.getLogger("headrace")
    before, level, root = list(found.handlers), found.level, list(logging.getLogger().handlers)
    found.setLevel(logging.NOTSET)
    logging.getLogger().handlers = []
    yield found
    found.handlers, logging.getLogger().handlers = before, root
    found.setLevel(level)


def test_a_plain_script_sees_warnings(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers = []  # pytest's own come after the fixture
    runtime_logging.initialize()
    logger.warning("look")
    logger.info("not shown")
    assert "WARNING|headrace|look" in (err := capsys.readouterr().err)
    assert "not shown" not in err


def test_handlers_of_the_application_are_enough(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    runtime_logging.initialize("INFO")
    heard: list[str] = []
    theirs = logging.Handler()
    theirs.emit = lambda record: heard.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(theirs)
    logger.info("once")
    assert heard == ["once"]
    assert capsys.readouterr().err == ""


def test_a_level_set_by_hand_stays(logger: logging.Logger) -> None:
    logger.setLevel(logging.DEBUG)
    runtime_logging.initialize()
    assert logger.level == logging.DEBUG
    runtime_logging.initialize("ERROR")
    assert logger.level == logging.ERROR


def test_lines_may_be_json(logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers = []
    runtime_logging.initialize(log_format="JSON")
    logger.warning("look")
    assert json.loads(capsys.readouterr().err)["msg"] == "look"
