"""What a check finds, and how that is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from cardd.errors import CarddError
from cardd.i18n import text

Params = dict[str, str | int]


class Level(StrEnum):
    """How it stands. ``skipped`` is no verdict: what the check needs is not there."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check gives: ``outcome`` names its sentence, ``params`` fill it."""

    level: Level
    outcome: str
    params: Params = field(default_factory=dict)


class Unknowable(Exception):
    """Raised by a check that cannot be made: ``reason`` names a sentence that several checks share."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Result:
    """One check's end. ``code`` is for programs and support; ``key`` and ``remedy_key`` name the texts."""

    check: str
    level: Level
    code: str
    key: str
    remedy_key: str
    params: Params

    def title(self, language: str) -> str:
        """What was looked at."""
        return text(f"doctor.{self.check}.title", language)

    def sentence(self, language: str) -> str:
        """How it stands; the daemon's own words where it sent them."""
        return self._sent("detail") or text(self.key, language, **self.params)

    def remedy(self, language: str) -> str:
        """What to do; empty when there is nothing to do."""
        try:
            return self._sent("remedy") or text(self.remedy_key, language, **self.params)
        except KeyError:
            return ""

    def _sent(self, part: str) -> str:
        return str(self.params.get(part, ""))


def ok(outcome: str = "ok", **params: str | int) -> Finding:
    """All is well."""
    return Finding(Level.OK, outcome, params)


def warning(outcome: str, **params: str | int) -> Finding:
    """It works, or may be meant so; somebody should look."""
    return Finding(Level.WARNING, outcome, params)


def failure(outcome: str, **params: str | int) -> Finding:
    """It does not work."""
    return Finding(Level.FAILURE, outcome, params)


def found(check: str, finding: Finding) -> Result:
    """The result of a check that came to its end."""
    code = f"{check}.{finding.outcome}"
    return Result(check, finding.level, code, f"doctor.{code}", f"doctor.{code}.remedy", finding.params)


def shared(check: str, level: Level, code: str, **params: str | int) -> Result:
    """A result whose sentence is not the check's own."""
    return Result(check, level, code, f"doctor.{code}", f"doctor.{code}.remedy", params)


def failed(check: str, error: CarddError) -> Result:
    """The result of a check that met one of cardd's own errors, in that error's words."""
    return Result(check, Level.FAILURE, error.code, f"{error.code}.detail", f"{error.code}.remedy", error.params)
