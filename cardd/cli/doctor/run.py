"""Runs the checks. Each fails alone: whatever happens in one is its own result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from cardd.cli.doctor.check import Finding, Level, Result, Unknowable, failed, found, shared
from cardd.cli.doctor.surroundings import Surroundings
from cardd.errors import CarddError

LIMIT = 30.0  # seconds; a card with real certificates takes about five

Check = Callable[[Surroundings], Awaitable[Finding]]


async def examine(checks: Mapping[str, Check], names: Iterable[str], surroundings: Surroundings) -> list[Result]:
    """Run these checks one after the other."""
    return [await _examine(name, checks[name], surroundings) for name in names]


async def _examine(name: str, check: Check, surroundings: Surroundings) -> Result:
    try:
        async with asyncio.timeout(LIMIT):
            return found(name, await check(surroundings))
    except Unknowable as unknowable:
        return shared(name, Level.SKIPPED, f"skipped.{unknowable.reason}")
    except TimeoutError:
        return shared(name, Level.FAILURE, "late", seconds=round(LIMIT))
    except CarddError as error:
        return failed(name, error)
    except Exception as fault:  # noqa: BLE001 - a check that breaks must not hide the others
        return shared(name, Level.FAILURE, "fault", why=f"{type(fault).__name__}: {fault}")
