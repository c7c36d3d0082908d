"""What a check finds, how that is told, and how checks are run: whatever happens in one is its own result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from cardd.cli.doctor.surroundings import Surroundings, Unknowable
from cardd.errors import CarddError
from cardd.i18n import text

Params = dict[str, str | int]

LIMIT = 30.0  # seconds; a card with real certificates takes about five


class Level(StrEnum):
    """How a check ended. ``skipped`` is no verdict: what the check needs is not there."""

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
        """Return what was looked at."""
        return text(f"doctor.{self.check}.title", language)

    def sentence(self, language: str) -> str:
        """Return what was found; the daemon's own words where it sent them."""
        return self._sent("detail") or text(self.key, language, **self.params)

    def remedy(self, language: str) -> str:
        """Return what to do; empty when there is nothing to do."""
        try:
            return self._sent("remedy") or text(self.remedy_key, language, **self.params)
        except KeyError:
            return ""

    def _sent(self, part: str) -> str:
        return str(self.params.get(part, ""))


def ok(outcome: str = "ok", **params: str | int) -> Finding:
    """Return that all is well."""
    return Finding(Level.OK, outcome, params)


def warning(outcome: str, **params: str | int) -> Finding:
    """Return that somebody should look, though it works or may be meant so."""
    return Finding(Level.WARNING, outcome, params)


def failure(outcome: str, **params: str | int) -> Finding:
    """Return that something does not work."""
    return Finding(Level.FAILURE, outcome, params)


Check = Callable[[Surroundings], Awaitable[Finding]]


async def examine(
    checks: Mapping[str, Check], names: Iterable[str], surroundings: Surroundings, limit: float = LIMIT
) -> list[Result]:
    """Run these checks one after the other; none may take longer than ``limit`` seconds."""
    return [await _examine(name, checks[name], surroundings, limit) for name in names]


async def _examine(name: str, check: Check, surroundings: Surroundings, limit: float) -> Result:
    try:
        async with asyncio.timeout(limit):
            return _found(name, await check(surroundings))
    except Unknowable as unknowable:
        return _shared(name, Level.SKIPPED, f"skipped.{unknowable.reason}")
    except TimeoutError:
        return _shared(name, Level.FAILURE, "late", seconds=round(limit))
    except CarddError as error:
        return _failed(name, error)
    except Exception as fault:  # noqa: BLE001 - a check that breaks must not hide the others
        return _shared(name, Level.FAILURE, "fault", why=f"{type(fault).__name__}: {fault}")


def _found(check: str, finding: Finding) -> Result:
    """Return the result of a check that came to its end."""
    code = f"{check}.{finding.outcome}"
    return Result(check, finding.level, code, f"doctor.{code}", f"doctor.{code}.remedy", finding.params)


def _shared(check: str, level: Level, code: str, **params: str | int) -> Result:
    """Return a result whose sentence is not the check's own."""
    return Result(check, level, code, f"doctor.{code}", f"doctor.{code}.remedy", params)


def _failed(check: str, error: CarddError) -> Result:
    """Return the result of a check that met one of cardd's own errors, in that error's words."""
    return Result(check, Level.FAILURE, error.code, f"{error.code}.detail", f"{error.code}.remedy", error.params)
