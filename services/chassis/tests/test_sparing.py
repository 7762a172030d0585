"""A library that repeats itself is cut short; what is new comes through."""

import logging
import time

import pytest
from chassis.logs import Sparing


def record(text: str, *arguments: object, logger: str = "aiokafka.conn") -> logging.LogRecord:
    return logging.LogRecord(logger, logging.ERROR, "conn.py", 1, text, arguments, None)


def test_the_same_text_comes_once_in_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    sparing = Sparing()
    assert sparing.filter(record("no connection to node %s", 0))
    assert not any(sparing.filter(record("no connection to node %s", node)) for node in range(100))
    assert sparing.filter(record("no leader for %s", "things")), "another text is news"
    assert sparing.filter(record("no connection to node %s", 0, logger="asyncpg")), "so is another library"
    now += 10
    assert sparing.filter(record("no connection to node %s", 0))
