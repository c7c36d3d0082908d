"""``cardctl config``: whether the configuration can be used, what it says, and what it may say."""

from __future__ import annotations

import os
import pwd
from argparse import SUPPRESS
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cardd.cli.command import Command, Context
from cardd.cli.parser import PATH, Exit, Parser
from cardd.config import Config
from cardd.config.kinds import declared
from cardd.config.loading import load
from cardd.config.reference import keys, toml
from cardd.config.settings import sections_of
from cardd.i18n import N_, Domain

SERVICE = "cardd"  # the user of cardd.service

_ = Domain("cli")


def _arguments(parser: Parser) -> None:
    """``check``, ``show`` or ``reference``; of a file, or of what is in /etc/cardd."""
    branch = parser.branches("action")
    check, show = (
        branch("check", N_("whether it can be used")),
        branch("show", N_("all settings as they hold, as TOML")),
    )
    for command in (check, show):
        command.add_argument(
            "--config", metavar=PATH, type=Path, help=N_("a configuration file, in place of /etc/cardd")
        )
        command.add_argument("path", nargs="?", type=Path, help=SUPPRESS)  # the file's place before 0.3
    branch("reference", N_("every key, its default and its meaning"))


async def _config(context: Context) -> int:
    """Check, show or explain the configuration. Raises ConfigInvalid, whose sentence names file and key."""
    if context.arguments.action == "reference":
        context.answer(keys(), _reference(context))
        return Exit.OK
    file = context.arguments.config or context.arguments.path
    if context.arguments.action == "show":
        config = load(file)
        context.answer(_plain(config), _shown(config))
        return Exit.OK
    if file is not None or os.geteuid():
        load(file)
    else:
        with _as_the_service():
            load()
    context.answer({"valid": True}, [_("The configuration is valid.", context.language)])
    return Exit.OK


@contextmanager
def _as_the_service() -> Iterator[None]:
    """Read files with the rights of the service, where there is its user: root reads what that one may not."""
    try:
        service = pwd.getpwnam(SERVICE)
    except KeyError:
        yield
        return
    groups = os.getgroups()
    os.initgroups(SERVICE, service.pw_gid)
    os.setegid(service.pw_gid)
    os.seteuid(service.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


def _reference(context: Context) -> list[str]:
    lines: list[str] = []
    for key in keys():
        meaning, kind = (key.fr, key.kind_fr) if context.language == "fr" else (key.en, key.kind)
        lines += [f"{key.name} = {key.default}", f"    {meaning} ({kind})"]
    return lines


def _plain(config: Config) -> dict[str, dict[str, object]]:
    """Return the settings as JSON has them; paths as texts."""
    from msgspec import to_builtins  # noqa: PLC0415 - people rarely want it

    return {
        title: {key: to_builtins(getattr(section, key), enc_hook=str) for key in declared(type(section))}
        for title, section in sections_of(config)
    }


def _shown(config: Config) -> list[str]:
    """The settings as TOML writes them; what is not set is left out."""
    lines: list[str] = []
    for section, settings in _plain(config).items():
        told = [f"{key} = {toml(value)}" for key, value in settings.items() if value is not None]
        lines += [*([""] if lines else []), f"[{section}]", *told]
    return lines


COMMANDS = {"config": Command(_config, _arguments)}
