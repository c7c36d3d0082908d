"""Flatpak's overrides: the key file by which a user gives a program more of the machine than its package says.

Only the paths of ``filesystems`` in ``[Context]`` are changed; each other byte stays as it is.

Sources: flatpak-metadata(5), and the key files of GLib that it names.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

GROUP = "[Context]"
KEY = "filesystems"


def with_filesystem(held: bytes, path: str) -> bytes:
    """Return the file with this path among those that the program may use."""
    lines = _lines(held)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    place = _place(lines)
    if place is not None:
        key, _, value = lines[place].rstrip("\n").partition("=")
        lines[place] = f"{key}={';'.join([*_entries(value), _escaped(path)])};\n"
    elif (group := _group(lines)) is not None:
        lines.insert(group + 1, f"{KEY}={_escaped(path)};\n")
    else:
        lines += [*(["\n"] if lines else []), f"{GROUP}\n", f"{KEY}={_escaped(path)};\n"]
    return _bytes(lines)


def without_filesystem(held: bytes, path: str) -> bytes:
    """Return the file without this path; the key and the group go with their last entry."""
    lines = _lines(held)
    place = _place(lines)
    if place is None:
        return held
    key, _, value = lines[place].rstrip("\n").partition("=")
    entries = list(_entries(value))
    others = [entry for entry in entries if entry != _escaped(path)]
    if others == entries:
        return held
    if others:
        lines[place] = f"{key}={';'.join(others)};\n"
        return _bytes(lines)
    del lines[place]
    group = _group(lines)
    if group is not None and not "".join(_body(lines, group)).strip():
        del lines[group]
    return _bytes(lines)


def _lines(held: bytes) -> list[str]:
    return list(StringIO(held.decode("utf-8", "surrogateescape"), newline="\n"))


def _bytes(lines: list[str]) -> bytes:
    return "".join(lines).encode("utf-8", "surrogateescape")


def _group(lines: list[str]) -> int | None:
    """Return the line at which the group begins."""
    return next((number for number, line in enumerate(lines) if line.strip() == GROUP), None)


def _body(lines: list[str], group: int) -> Iterator[str]:
    """Yield the lines of the group."""
    for line in lines[group + 1 :]:
        if line.startswith("["):
            return
        yield line


def _place(lines: list[str]) -> int | None:
    """Return the line that has the paths: of several, in whichever of several groups of that name, the last counts."""
    found, is_inside = None, False
    for number, line in enumerate(lines):
        if line.lstrip().startswith("["):
            is_inside = line.strip() == GROUP
        elif is_inside and line.partition("=")[0].strip() == KEY and "=" in line:
            found = number
    return found


def _entries(value: str) -> Iterator[str]:
    """Yield the entries of a list as they are written: what is escaped ends none."""
    entry = ""
    is_escaped = False
    for letter in value.strip():
        if letter == ";" and not is_escaped:
            yield entry
            entry = ""
        else:
            entry += letter
        is_escaped = letter == "\\" and not is_escaped
    if entry:
        yield entry


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace(";", "\\;")
