"""The step of the build that compiles the translations: a wheel holds the .mo files that git does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Translations(BuildHookInterface[Any]):
    """Runs ``texts.py compile`` before the files of a wheel are collected."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Write the .mo files."""
        subprocess.run([sys.executable, str(Path(__file__).with_name("texts.py")), "compile"], check=True)  # noqa: S603
