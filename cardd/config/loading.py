"""Reads TOML files into a Config: the main file, then its drop-ins in the order of their names.

A later file replaces single keys of an earlier one (lists as a whole). Whatever is not understood is an error that
names the file and the key: a misspelt setting that silently does nothing would be a hole.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cardd.config.key import declared
from cardd.config.psc import missing_in
from cardd.config.settings import FAMILIES, SECTIONS, Config, section_of
from cardd.config.values import Unfit
from cardd.errors import ConfigInvalid

DIRECTORY = Path("/etc/cardd")


def load(file: Path | None = None, *, directory: Path = DIRECTORY) -> Config:
    """The settings of ``file`` alone; without one, those of ``cardd.toml`` and ``cardd.toml.d`` in ``directory``.

    Nothing there at all means the defaults; a file that was named must exist. Raises ConfigInvalid (see ``explain``).
    """
    if file is not None:
        return _merged([(str(file), _text(file))])
    main = directory / "cardd.toml"
    files = [main] if main.exists() else []
    files += sorted((directory / "cardd.toml.d").glob("*.toml"))
    return _merged((str(found), _text(found)) for found in files)


def parse(text: str, name: str = "cardd.toml") -> Config:
    """The settings of one document; ``name`` is what errors call it. Raises ConfigInvalid."""
    return _merged([(name, text)])


@dataclass(slots=True)
class _Reading:
    """What was read so far: values by key, and the file that gave each."""

    values: dict[tuple[str, str], object] = field(default_factory=dict)
    origin: dict[tuple[str, str], str] = field(default_factory=dict)

    def add(self, name: str, document: dict[str, object]) -> None:
        for section, table in _tables(document):
            kind = section_of(section)
            if kind is None:
                raise _unknown(name, section, [*SECTIONS, *(f"{family}.NAME" for family in FAMILIES)])
            if not isinstance(table, dict):
                raise ConfigInvalid(file=name, key=section, why="type", expected=f"[{section}]")
            known = declared(kind)
            for key, value in table.items():
                if key not in known:
                    raise _unknown(name, f"{section}.{key}", [f"{section}.{entry}" for entry in known])
                self._add_value(name, section, key, known[key][0].kind.read, value)

    def _add_value(self, name: str, section: str, key: str, read: Callable[[object], object], value: object) -> None:
        try:
            self.values[section, key] = read(value)
        except Unfit as unfit:
            raise ConfigInvalid(file=name, key=f"{section}.{key}", why=unfit.reason, expected=unfit.expected) from None
        self.origin[section, key] = name

    def config(self) -> Config:
        parts: dict[str, Any] = {
            name.rpartition(".")[2]: section(**self._of(name)) for name, section in SECTIONS.items()
        }
        for family, section in FAMILIES.items():
            names = dict.fromkeys(owner for owner, _ in self.values if owner.startswith(f"{family}."))
            parts[family] = {name.partition(".")[2]: section(**self._of(name)) for name in names}
        return self._beside(Config(**parts))

    def _of(self, section: str) -> dict[str, Any]:
        return {key: value for (owner, key), value in self.values.items() if owner == section}

    def _beside(self, config: Config) -> Config:
        """The same, with the defaults that follow another key."""
        listen, audit = config.listen, config.audit
        if ("listen", "agent_socket") not in self.values:
            listen = replace(listen, agent_socket=listen.socket.with_name("agent.sock"))
        if ("audit", "directory") not in self.values:
            audit = replace(audit, directory=config.state.directory / "audit")
        return replace(config, listen=listen, audit=audit)


def _tables(document: dict[str, object]) -> Iterable[tuple[str, object]]:
    """The tables of a document by their dotted names: ``[drivers.pkcs11]`` stands inside ``drivers``."""
    outer = {*FAMILIES, *(name.partition(".")[0] for name in SECTIONS if "." in name)}
    for section, table in document.items():
        if section in outer and isinstance(table, dict):
            yield from ((f"{section}.{name}", inner) for name, inner in table.items())
        else:
            yield section, table


def _merged(files: Iterable[tuple[str, str]]) -> Config:
    reading = _Reading()
    for name, text in files:
        reading.add(name, _toml(name, text))
    config = reading.config()
    _check_together(config, reading)
    return config


def _check_together(config: Config, reading: _Reading) -> None:
    """What depends on two keys, perhaps of two files."""
    insecure = [origin for origin in config.web.allowed_origins if origin.startswith("http:")]
    if insecure and not config.web.allow_insecure_origins:
        name = reading.origin["web", "allowed_origins"]
        raise ConfigInvalid(file=name, key="web.allowed_origins", why="insecure_origin", expected=insecure[0])
    for each, upstream in config.upstreams.items():
        if not upstream.url:
            name = next(file for (owner, _), file in reading.origin.items() if owner == f"upstreams.{each}")
            raise ConfigInvalid(file=name, key=f"upstreams.{each}.url", why="missing", expected="https://…")
    if lack := missing_in(config.psc):
        name = next(file for (owner, _), file in reading.origin.items() if owner == "psc")
        raise ConfigInvalid(file=name, key=f"psc.{lack[0]}", why="missing", expected=lack[1])
    if config.listen.socket == config.listen.agent_socket:
        name = reading.origin.get(("listen", "agent_socket")) or reading.origin["listen", "socket"]
        raise ConfigInvalid(file=name, key="listen.agent_socket", why="same_path", expected=str(config.listen.socket))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "UTF-8"
        raise ConfigInvalid(file=str(file), key="", why="unreadable", expected=why) from None


def _toml(name: str, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigInvalid(file=name, key="", why="toml", expected=str(error)) from None


def _unknown(name: str, key: str, known: Iterable[str]) -> ConfigInvalid:
    import difflib  # noqa: PLC0415 (half a millisecond that only a misspelt file costs)

    nearest = difflib.get_close_matches(key, list(known), n=1, cutoff=0.0)
    return ConfigInvalid(file=name, key=key, why="unknown", expected=nearest[0])
