"""What of a log's line may be passed on: by the type of each argument, whatever it says."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cardd.errors import PinWrong
from cardd.logbook import LINES_MAX, LogBook, masked
from cardd.model import Outcome, Plain
from cardd.request import Request, working_on
from cardd.system import journal

SECRET = "Jeanne DUPONT 899700218896"


def record(
    sentence: str, *arguments: object, name: str = "cardd.core", error: BaseException | None = None
) -> logging.LogRecord:
    """A line as the log gets it."""
    exc_info = (type(error), error, error.__traceback__) if error else None
    return logging.LogRecord(name, logging.WARNING, "file.py", 1, sentence, arguments, exc_info)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (record("no row for %s of user %d: %s", Plain("session.open"), 1000, PinWrong(tries_left=2)),
         "no row for session.open of user 1000: pin.wrong"),
        (record("%s %s %.1f %s", SECRET, Outcome.DONE, 1.5, None), "… done 1.5 None"),
        (record("%s cannot be read: %s", Path("/srv/dupont"), OSError(13, "denied", SECRET)),
         "… cannot be read: PermissionError 13"),
        (record("%d attempts", SECRET), "%d attempts"),  # a mistake of the code's shows no argument either
        (record(f"Task failed: {SECRET}", name="asyncio"), "…"),
        (record("says: %s", b"1234"), "says: …"),
        (record("100 % of it"), "100 % of it"),
    ],
)  # fmt: skip
def test_what_may_name_somebody_is_left_out_by_its_type(given: logging.LogRecord, told: str) -> None:
    assert masked(given) == told


def test_of_a_failure_stay_its_type_and_the_lines_of_code() -> None:
    told = ""
    try:
        int(SECRET)
    except ValueError as error:
        told = masked(record("the driver of the card in %s failed", "Lecteur", error=error))
    assert told.startswith("the driver of the card in … failed (ValueError: test_logbook.py:")
    assert "DUPONT" not in told


def test_the_book_keeps_the_last_lines_each_with_its_request() -> None:
    book = LogBook()
    asked = Request()
    book.emit(record("before"))
    with working_on(asked):
        book.emit(record("of %s", SECRET))
    [line] = book.lines(asked.id)
    assert (line.text, line.masked, line.level) == (f"of {SECRET}", "of …", "warning")
    for _ in range(LINES_MAX):
        book.emit(record("after"))
    assert {line.text for line in book.lines()} == {"after"}
    assert len(book.lines()) == LINES_MAX


def test_a_line_that_cannot_be_written_ends_nobodys_work() -> None:
    book = LogBook()
    book.emit(record("%(reader)s is gone", {"card": SECRET}))
    assert [(line.text, line.masked) for line in book.lines()] == [("%(reader)s is gone", "%(reader)s is gone")]


@contextmanager
def journald(directory: Path) -> Iterator[socket.socket]:
    """What systemd's journal listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(directory / "socket"))
        listening.settimeout(5)
        yield listening


def test_the_journal_gets_fields_to_search_by(tmp_path: Path) -> None:
    asked, sent = Request(), closing(journal.JournalHandler(str(tmp_path / "socket"), logging.StreamHandler()))
    with journald(tmp_path) as listening, working_on(asked), sent as handler:
        handler.emit(record("no row for user %d: %s", 1000, f"{SECRET}\nMESSAGE=forged"))
        told = listening.recv(65536)
    fields = dict(line.split(b"=", 1) for line in told.splitlines())
    assert fields == {
        b"MESSAGE": f"no row for user 1000: {SECRET} MESSAGE=forged".encode(),
        b"PRIORITY": b"4",
        b"SYSLOG_IDENTIFIER": b"cardd",
        b"CARDD_LOGGER": b"cardd.core",
        b"CARDD_MASKED": "no row for user 1000: …".encode(),
        b"CARDD_REQUEST": asked.id.encode(),
    }


def test_a_line_that_the_journal_does_not_take_is_not_lost(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(journal.LineFormatter("%(levelname)s %(name)s: %(message)s"))
    asked = Request()
    with working_on(asked), closing(journal.JournalHandler(str(tmp_path / "none"), lines)) as handler:
        handler.emit(record("stopped"))
    assert capsys.readouterr().err == f"WARNING cardd.core: stopped request={asked.id}\n"


def test_lines_go_to_the_journal_only_where_standard_error_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    assert not isinstance(journal.handler(), journal.JournalHandler)
    with Path("/dev/null").open("w") as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        found = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        with closing(journal.handler()) as handler:
            assert isinstance(handler, journal.JournalHandler)


def test_a_sentence_that_does_not_fit_its_arguments_ends_nobodys_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(journal.JournalHandler(str(tmp_path / "none"), logging.StreamHandler())) as handler:
        handler.emit(record("%d rows", "no"))
    assert "%d rows" in capsys.readouterr().err
