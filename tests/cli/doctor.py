"""Doctor's checks one at a time, on surroundings that a test breaks."""

from __future__ import annotations

from pathlib import Path

from cardd.cli.doctor import CHECKS
from cardd.cli.doctor.check import Level, Result
from cardd.cli.doctor.examining import PATIENT, examine
from cardd.cli.doctor.surroundings import Surroundings


async def result(check: str, surroundings: Surroundings | None = None) -> Result:
    """What one check finds."""
    [found] = await examine(CHECKS, [check], surroundings or Surroundings(), PATIENT)
    for language in ("fr", "en"):
        assert "{" not in found.sentence(language) + found.title(language)
        assert (found.remedy(language) != "") is (found.level in (Level.WARNING, Level.FAILURE)), found
    return found


async def code(check: str, surroundings: Surroundings | None = None) -> str:
    """Return the code of what one check finds."""
    return (await result(check, surroundings)).code


def configured(directory: Path, text: str) -> Surroundings:
    """Surroundings with this configuration."""
    file = directory / "doctor.toml"
    file.write_text(text)
    return Surroundings(config_file=file)
