"""What a check finds, how that is told, and how checks are run: whatever happens in one is its own result."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cardd.cli.doctor.surroundings import Surroundings, Unknowable
from cardd.cli.failures import sentences
from cardd.errors import CarddError, ReaderNotYours
from cardd.i18n import N_, Domain

Params = dict[str, str | int]

_ = Domain("doctor")

LATE = (
    N_("No result within {seconds} s."),
    N_("Unplug the reader and plug it in again, then run “cardctl doctor” again."),
)
FAULT = (N_("The check itself failed ({why})."), N_("Give this line to support."))
REASONS = {
    "no_pcscd": N_("Not checked: the reader service does not answer."),
    "no_pcscd_needed": N_("Not looked at: cardd's readers here need no pcscd."),
    "no_reader": N_("Not checked: there is no reader."),
    "no_card": N_("Not checked: there is no professional's card in a reader."),
    "no_daemon": N_("Not checked: cardd does not answer."),
    "not_yours": N_(
        "Not checked: the readers belong to whoever sits at this workstation. Ask at its screen, or as root "
        "(“sudo cardctl doctor”)."
    ),
    "no_port": N_("Not checked: the configuration leaves the port to the system."),
    "no_https": N_("Not looked at: the API is not served over https."),
    "no_rights": N_("Not checked: only root and cardd may read it (“sudo cardctl doctor audit”)."),
    "no_network": N_("Not looked at: the configuration names no other machine."),
    "no_unit": N_("Not looked at: cardd does not run as a service of systemd."),
    "no_psc": N_("Not looked at: no Pro Santé Connect is configured."),
    "no_support": N_("Not looked at: no codes of support are demanded here."),
    "no_socket": N_("Not looked at: cardd tells it on its Unix socket only."),
}

LIMIT = 30.0  # seconds; a card with real certificates takes about five


class Level(StrEnum):
    """How a check ended. ``skipped`` is no verdict: what the check needs is not there."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check gives: a sentence and what to do, in English, and the ``params`` that fill them."""

    level: Level
    outcome: str
    sentence: str
    remedy: str
    params: Params


def ok(sentence: str, *, outcome: str = "ok", **params: str | int) -> Finding:
    """Return that all is well."""
    return Finding(Level.OK, outcome, sentence, "", params)


def warning(outcome: str, sentence: str, remedy: str, **params: str | int) -> Finding:
    """Return that somebody should look, though it works or may be meant so."""
    return Finding(Level.WARNING, outcome, sentence, remedy, params)


def failure(outcome: str, sentence: str, remedy: str, **params: str | int) -> Finding:
    """Return that something does not work."""
    return Finding(Level.FAILURE, outcome, sentence, remedy, params)


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what it looks at, in English, and the function that looks."""

    title: str
    look: Callable[[Surroundings], Awaitable[Finding]]


@dataclass(frozen=True, slots=True)
class Result:
    """One check's end. ``code`` is for programs and support; an ``error`` of cardd's own is told in its own words."""

    name: str
    check: Check
    code: str
    finding: Finding
    error: CarddError | None = None

    @property
    def level(self) -> Level:
        """How the check ended."""
        return self.finding.level

    @property
    def params(self) -> Params:
        """What fills the sentence."""
        return self.finding.params

    def title(self, language: str) -> str:
        """Return what was looked at."""
        return _(self.check.title, language)

    def sentence(self, language: str) -> str:
        """Return what was found."""
        return sentences(self.error, language)[1] if self.error else _(self.finding.sentence, language, **self.params)

    def remedy(self, language: str) -> str:
        """Return what to do; empty when there is nothing to do."""
        return sentences(self.error, language)[2] if self.error else _(self.finding.remedy, language, **self.params)


async def examine(
    checks: Mapping[str, Check], names: Iterable[str], surroundings: Surroundings, limit: float = LIMIT
) -> list[Result]:
    """Run these checks one after the other; none may take longer than ``limit`` seconds."""
    return [await _examine(name, checks[name], surroundings, limit) for name in names]


async def _examine(name: str, check: Check, surroundings: Surroundings, limit: float) -> Result:
    try:
        async with asyncio.timeout(limit):
            finding = await check.look(surroundings)
        return Result(name, check, f"{name}.{finding.outcome}", finding)
    except (Unknowable, ReaderNotYours) as unknown:
        reason = unknown.reason if isinstance(unknown, Unknowable) else "not_yours"
        code = f"skipped.{reason}"
        return Result(name, check, code, Finding(Level.SKIPPED, code, REASONS[reason], "", {}))
    except TimeoutError:
        return Result(name, check, "late", failure("late", *LATE, seconds=round(limit)))
    except CarddError as error:
        return Result(name, check, error.code, Finding(Level.FAILURE, error.code, "", "", error.params), error)
    except Exception as fault:  # noqa: BLE001 - a check that breaks must not hide the others
        return Result(name, check, "fault", failure("fault", *FAULT, why=f"{type(fault).__name__}: {fault}"))
