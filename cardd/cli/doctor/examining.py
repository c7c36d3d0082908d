"""How checks are run: all at once, each on a thread of its own, so that one that hangs or breaks spoils no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from cardd.cli.doctor.check import FAULT, LATE, REASONS, Check, Finding, Level, Outcome, Result
from cardd.cli.doctor.surroundings import Surroundings, Unknowable, in_time
from cardd.errors import CarddError, ReaderNotYours

LIMIT = 4.0  # seconds for all, on the phone
PATIENT = 30.0  # seconds for checks that were asked for by name; a card with real certificates may take long


async def examine(
    checks: Mapping[str, Check],
    names: Iterable[str],
    surroundings: Surroundings,
    limit: float = LIMIT,
    *,
    on_result: Callable[[Result], None] = lambda _: None,
) -> list[Result]:
    """Run these checks at the same time; return what each found, in their order. None takes longer than ``limit``."""

    async def run(name: str) -> Result:
        result = await _examine(name, checks[name], surroundings, limit)
        on_result(result)
        return result

    return await asyncio.gather(*map(run, names))


def cause(results: Iterable[Result]) -> Result | None:
    """Return the most likely cause of what is wrong; None where nothing is.

    Checks are in the order of causes: what comes first explains what comes after.
    """
    wrong = [result for result in results if result.level in (Level.FAILURE, Level.WARNING)]
    return min(wrong, key=lambda result: (result.level is not Level.FAILURE, _is_minor(result)), default=None)


def _is_minor(result: Result) -> bool:
    return result.finding.outcome.is_minor


async def _examine(name: str, check: Check, surroundings: Surroundings, limit: float) -> Result:
    try:
        finding = await in_time(partial(_look, check, surroundings), limit)
    except (Unknowable, ReaderNotYours) as unknown:
        reason = unknown.reason if isinstance(unknown, Unknowable) else "not_yours"
        finding = Outcome(f"skipped.{reason}", Level.SKIPPED, REASONS[reason])()
    except TimeoutError:
        finding = LATE(seconds=round(limit), check=name)
    except CarddError as error:
        return Result(name, check, error.code, Finding(Outcome(error.code, Level.FAILURE, ""), error.params), error)
    except Exception as fault:  # noqa: BLE001 - a check that breaks must not hide the others
        finding = FAULT(why=f"{type(fault).__name__}: {fault}")
    return Result(name, check, finding.outcome.code, finding)


def _look(check: Check, surroundings: Surroundings) -> Finding:
    found = check.look(surroundings)
    return found if isinstance(found, Finding) else asyncio.run(found)
