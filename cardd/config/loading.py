"""Reads TOML files into a Config: the main file, then its drop-ins in the order of their names.

A later file replaces single keys of an earlier one (lists as a whole). What is not understood is an error that names
the file and the key: a misspelt setting that silently does nothing would be a hole.
"""

from __future__ import annotations

import errno
import re
import tomllib
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cardd.config.kinds import Section, Unfit, Why, declared, read
from cardd.config.settings import FAMILIES, SECTIONS, Config, section_of
from cardd.errors import ConfigInvalid
from cardd.files import NO_FILE, SMALL, read_file
from cardd.values import Record, field

DIRECTORY = Path("/etc/cardd")
COMPLAINTS: dict[str, Why] = {  # how tomllib's begin
    "Invalid statement": "toml_statement",
    "Invalid initial character": "toml_statement",
    "Expected '='": "toml_statement",
    "Invalid value": "toml_value",
    "Unterminated string": "toml_text",
    "Illegal character": "toml_text",
    "Unescaped": "toml_text",
    'Expected "\'"': "toml_text",
    "Unclosed": "toml_bracket",
    "Expected ']": "toml_bracket",
    "Expected newline": "toml_more",
    "Cannot": "toml_twice",
}


def load(file: Path | None = None, *, directory: Path = DIRECTORY) -> Config:
    """Return the settings of ``file`` alone, or those of ``cardd.toml`` and ``cardd.toml.d`` in ``directory``.

    No file at all means the defaults; a file that was named must exist. Raises ConfigInvalid (see ``explain``).
    """
    if file is not None:
        return _merged([(str(file), _text(file))])
    main = directory / "cardd.toml"
    try:
        files = [main] if main.exists() else []
    except OSError:  # a directory that is closed to the service
        raise _invalid(str(directory), "", Unfit("forbidden", "")) from None
    return _merged((str(found), _text(found)) for found in [*files, *_drop_ins(directory / "cardd.toml.d")])


def _drop_ins(directory: Path) -> list[Path]:
    """Return the files of a directory, which need not be there; settings that cannot be seen are no defaults."""
    try:
        return sorted(found for found in directory.iterdir() if found.suffix == ".toml")
    except FileNotFoundError:
        return []
    except PermissionError:
        raise _invalid(str(directory), "", Unfit("forbidden", "")) from None
    except OSError as error:
        raise _invalid(str(directory), "", Unfit("unreadable", error.strerror or "")) from None


def parse(text: str, name: str = "cardd.toml") -> Config:
    """Return the settings of one document; ``name`` is what errors call it. Raises ConfigInvalid."""
    return _merged([(name, text)])


class _Reading(Record):
    """What was read so far: the values of each section by key, and the file that gave each."""

    values: dict[str, dict[str, Any]] = field(default_factory=dict)
    origin: dict[str, dict[str, str]] = field(default_factory=dict)

    def add(self, file: str, document: Mapping[str, object]) -> None:
        """Take the keys of one file in the place of those that were read before."""
        for section, table in _tables(document):
            kind = section_of(section)
            if kind is None:
                raise _unknown(file, section, [*SECTIONS, *(f"{family}.NAME" for family in FAMILIES)])
            if not isinstance(table, dict):
                raise ConfigInvalid(file=file, key=section, why="type", expected=f"[{section}]")
            known = declared(kind)
            for key, value in table.items():
                if key not in known:
                    raise _unknown(file, f"{section}.{key}", [f"{section}.{each}" for each in known])
                try:
                    self.values.setdefault(section, {})[key] = read(known[key].type, value)
                except Unfit as unfit:
                    raise _invalid(file, f"{section}.{key}", unfit) from None
                self.origin.setdefault(section, {})[key] = file

    def config(self) -> Config:
        """Return all of it, with the defaults that follow another key. Raises ConfigInvalid."""
        sections = (self.values.setdefault(title, {}) for title in ("listen", "state", "audit", "p11"))
        listen, state, audit, p11 = sections
        if "socket" in listen:
            listen.setdefault("agent_socket", listen["socket"].with_name("agent.sock"))
            p11.setdefault("socket", listen["socket"].with_name("p11"))
        if "directory" in state:
            audit.setdefault("directory", state["directory"] / "audit")
        parts: dict[str, Any] = {name: self._section(title, kind) for title, (name, kind) in SECTIONS.items()}
        for family, kind in FAMILIES.items():
            names = [title.partition(".")[2] for title in self.values if title.startswith(f"{family}.")]
            parts[family] = {name: self._section(f"{family}.{name}", kind, name=name) for name in names}
        config = Config(**parts)
        for title, key, unfit in config.faults():
            raise _invalid(self.origin[title][key], f"{title}.{key}", unfit)
        return config

    def _section(self, title: str, kind: type[Section], **more: str) -> Section:
        section = kind(**self.values.get(title, {}), **more)
        for key, unfit in section.faults():
            files = self.origin[title]  # with the defaults alone nothing is wrong
            raise _invalid(files.get(key) or next(iter(files.values())), f"{title}.{key}", unfit)
        return section


def _tables(document: Mapping[str, object]) -> Iterable[tuple[str, object]]:
    """Return the tables of a document by their dotted names: ``[drivers.pkcs11]`` stands inside ``drivers``."""
    outer = {*FAMILIES, *(title.partition(".")[0] for title in SECTIONS if "." in title)}
    for section, table in document.items():
        if section in outer and isinstance(table, dict):
            yield from ((f"{section}.{name}", inner) for name, inner in table.items())
        else:
            yield section, table


def _merged(files: Iterable[tuple[str, str]]) -> Config:
    reading = _Reading()
    for name, text in files:
        reading.add(name, _toml(name, text))
    return reading.config()


def _text(file: Path) -> str:
    try:
        return read_file(file, SMALL).removeprefix(BOM_UTF8).decode()  # editors of Windows begin with such a mark
    except FileNotFoundError:
        raise _invalid(str(file), "", Unfit("absent", "")) from None
    except PermissionError:
        raise _invalid(str(file), "", Unfit("forbidden", "")) from None
    except IsADirectoryError:
        raise _invalid(str(file), "", Unfit("folder", "")) from None
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno == NO_FILE:
            raise _invalid(str(file), "", Unfit("no_file", "")) from None
        why = error.strerror if isinstance(error, OSError) and error.strerror else "UTF-8"
        why = f"> {SMALL // 1024} KiB" if isinstance(error, OSError) and error.errno == errno.EFBIG else why
        raise _invalid(str(file), "", Unfit("unreadable", why)) from None


def _toml(name: str, text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _invalid(name, "", _not_toml(str(error), text)) from None
    except RecursionError:
        raise _invalid(name, "", Unfit("toml_bracket", "1:1")) from None


def _not_toml(complaint: str, text: str) -> Unfit:
    """Return what tomllib complains of, which it says in English only, and where: line and column."""
    place = re.search(r"\(at line (\d+), column (\d+)\)", complaint)
    end = f"{text.rstrip().count(chr(10)) + 1}:{len(text.rstrip().rpartition(chr(10))[2]) + 1}"
    known: list[Why] = [why for beginning, why in COMPLAINTS.items() if complaint.startswith(beginning)]
    return Unfit(known[0] if known else "toml", f"{place[1]}:{place[2]}" if place else end)


def _unknown(file: str, key: str, known: Iterable[str]) -> ConfigInvalid:
    import difflib  # noqa: PLC0415 (half a millisecond that only a misspelt file costs)

    nearest = difflib.get_close_matches(key, list(known), n=1, cutoff=0.0)
    return _invalid(file, key, Unfit("unknown", nearest[0]))


def _invalid(file: str, key: str, unfit: Unfit) -> ConfigInvalid:
    return ConfigInvalid(file=file, key=key, why=unfit.why, expected=unfit.expected)
