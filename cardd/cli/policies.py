"""The browsers' enterprise policies by which pages of a named site reach this machine without a question.

Chromium and its kin read every file of a folder, and where two have a policy the last one by name counts: the sites go
into that file, or into one of our own. Firefox reads one file. Chromium's policy opens loopback alone, and no other
machine of the network. What a file held is kept beside cardd's configuration, so that it is put back to the byte; one
that somebody else changed meanwhile loses our sites and nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from cardd.cli.kept_files import alone, as_text, content, digest, from_text, modified, restore, write
from cardd.cli.policy_documents import (
    BROWSERS,
    OWN_FILE,
    PLACES,
    Json,
    Place,
    devices_in,
    host_and_port,
    list_in,
    with_devices,
    with_list,
)
from cardd.errors import PolicyUnreadable
from cardd.values import Value, asdict, field, replace

RECORD = "etc/cardd/browser-policies.json"  # what was there before


class Standing(Value):
    """What one package of a browser lets through, and by which file; nobody knows where that is not understood."""

    browser: str
    package: str
    is_installed: bool
    sites: tuple[str, ...]
    file: str
    is_understood: bool = True


class _Written(Value):
    """What we made of one file: its content before (base64; None where there was none), and the hash of ours.

    ``sites`` are those that were put in, ``entries`` those of them that had not been there; ``folders`` were made.
    """

    before: str | None
    after: str
    sites: list[str]
    entries: list[str]
    folders: list[str]
    devices: dict[str, str] = field(default_factory=dict)  # modules of PKCS#11 that were put in, by name
    modified: int | None = None  # when it had been changed last, in nanoseconds


_Change = tuple[Path, bytes | None, _Written | None]


class Policies:
    """The policies of these browsers below a root. Raises PolicyUnreadable, and OSError for what may not be written."""

    def __init__(self, root: Path, browsers: Sequence[str] = BROWSERS) -> None:
        self._root = root.resolve()
        self._places = [place for place in PLACES if place.browser in browsers]

    def standings(self) -> list[Standing]:
        """Return what each place says now; those of browsers that are not installed where they say something."""
        found = []
        for place in self._places:
            is_installed, file, sites, is_understood = (
                self._is_installed(place),
                place.policies,
                tuple[str, ...](),
                True,
            )
            try:
                file = self._name(self._file(place))
                there = list_in(self._document(self._root / file), place.keys)
                # half a character can be told to nobody
                sites = tuple(site.encode(errors="replace").decode() for site in there)
            except PolicyUnreadable:
                is_understood = False
            if sites or is_installed or not is_understood:
                found.append(Standing(place.browser, place.package, is_installed, sites, f"/{file}", is_understood))
        return found

    def apply(self, sites: Iterable[str], *, everywhere: bool = False) -> None:
        """Let these sites through, beside those that are; nothing is written where a file cannot be understood.

        Raises InvalidRequest for what is no https site of another machine.
        """
        wanted = list(sites)
        for site in wanted:
            host_and_port(site)
        places = [place for place in self._places if self._may_write(place, everywhere=everywhere)]
        self._change(places, lambda before: list(dict.fromkeys([*before, *wanted])), dict)

    def remove(self, sites: Iterable[str] = ()) -> None:
        """Take these sites out, or all that were put in; files that nobody else has changed are as they were before."""
        gone = set(sites)
        self._change(self._places, lambda before: [site for site in before if gone and site not in gone], dict)

    def put_devices(self, devices: Mapping[str, str]) -> None:
        """Have installed Firefoxes load these modules of PKCS#11, and no more those that were put in before."""
        places = [place for place in self._device_places() if not devices or self._may_write(place, everywhere=False)]
        self._change(places, list, lambda _: dict(devices))

    def devices(self) -> dict[str, dict[str, str]]:
        """Return what was put in, by file, for Firefoxes that are installed or have some."""
        record = self._record()
        found = {place.policies: record[place.policies].devices for place in self._places if place.policies in record}
        installed = {place.policies: dict[str, str]() for place in self._device_places() if self._is_installed(place)}
        return {f"/{name}": devices for name, devices in {**installed, **found}.items()}

    def _device_places(self) -> list[Place]:
        """Return the places of those outside of Flatpak, whose sandbox has no socket of ours."""
        return [place for place in self._places if place.browser == "firefox" and place.package != "flatpak"]

    def _change(
        self,
        places: Iterable[Place],
        sites: Callable[[list[str]], list[str]],
        devices: Callable[[dict[str, str]], dict[str, str]],
    ) -> None:
        """Bring each place to what comes of the sites and devices that were put in; the record goes before files."""
        with alone(self._root):
            self._change_alone(places, sites, devices)

    def _change_alone(
        self,
        places: Iterable[Place],
        sites: Callable[[list[str]], list[str]],
        devices: Callable[[dict[str, str]], dict[str, str]],
    ) -> None:
        record = self._record()
        changes = [change for place in places for change in self._changes(place, record, sites, devices)]
        for file, _, _ in changes:
            self._ensure_inside(file)
        for file, held, written in changes:
            name = self._name(file)
            known = record.get(name)
            folders, time = (known.folders, known.modified) if known else ([], modified(file))
            if written is None:
                before = record.pop(name).before
                restore(file, held, time if as_text(held) == before else None)
                self._drop(folders)
            else:
                record[name] = replace(written, folders=[*folders, *self._missing(file.parent)], modified=time)
                self._keep(record)
                write(file, _given(held))
            self._keep(record)

    def _changes(
        self,
        place: Place,
        record: Mapping[str, _Written],
        sites: Callable[[list[str]], list[str]],
        devices: Callable[[dict[str, str]], dict[str, str]],
    ) -> Iterator[_Change]:
        """Yield each file of a place with its new content, and what is to be known of it where it has ours."""
        own = {self._root / name: one for name, one in record.items() if self._root / name in self._files(place, name)}
        bases = {file: self._base(place, file, written) for file, written in own.items()}
        wanted = sites([site for written in own.values() for site in written.sites])
        modules = devices({name: path for written in own.values() for name, path in written.devices.items()})
        if wanted or modules:
            file = self._file(place)
            base = bases.pop(file) if file in bases else content(file)
            document = self._shadowed(place) if base is None else self._parsed_document(file, base)
            there = list_in(document, place.keys)
            entries = [entry for entry in dict.fromkeys(map(place.entry, wanted)) if entry not in there]
            there_too = devices_in(document)
            modules = {name: path for name, path in modules.items() if name not in there_too}
            changed = with_list(document, place.keys, [*there, *entries]) if entries else document
            held = _encoded(with_devices(changed, {**there_too, **modules}) if modules else changed)
            yield file, held, _Written(as_text(base), digest(held), wanted, entries, [], modules)
        for file, base in bases.items():
            yield file, base, None

    def _shadowed(self, place: Place) -> Json:
        """Return what the browser goes by while there is no file of the place's."""
        file = next((self._root / name for name in place.instead if (self._root / name).is_file()), None)
        if file is None:
            return {}
        self._ensure_inside(file)
        return self._document(file)

    def _files(self, place: Place, name: str) -> tuple[Path, ...]:
        """Return the file of this name where it is one of the place's."""
        file, policies = self._root / name, self._root / place.policies
        return (file,) if policies in (file, file.parent) else ()

    def _base(self, place: Place, file: Path, written: _Written) -> bytes | None:
        """Return what a file would hold without us."""
        now = content(file)
        if now is None:  # somebody took it away
            return None
        if digest(now) == written.after:
            return from_text(written.before)
        document = self._parsed_document(file, now)  # somebody else wrote
        there = list_in(document, place.keys)
        left = [entry for entry in there if entry not in written.entries]
        modules = devices_in(document)
        others = {name: path for name, path in modules.items() if written.devices.get(name) != path}
        if left == there and others == modules:
            return now
        without = with_list(document, place.keys, left) if left != there else document
        without = with_devices(without, others) if others != modules else without
        return _encoded(without) if without or written.before is not None else None

    def _drop(self, folders: Iterable[str]) -> None:
        for folder in reversed(list(folders)):
            path = self._root / folder
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()

    def _file(self, place: Place) -> Path:
        """Return the file whose list of sites counts, or is to be made. Raises PolicyUnreadable for one elsewhere."""
        policies = self._root / place.policies
        self._ensure_inside(policies)
        if place.browser == "firefox":
            return policies
        files = sorted(file for file in policies.glob("*") if file.is_file())  # Chromium asks for no ending
        having = [file for file in files if place.keys[0].encode() in file.read_bytes()]
        found = having[-1] if having else policies / OWN_FILE
        self._ensure_inside(found)
        return found

    def _ensure_inside(self, path: Path) -> None:
        """Raises PolicyUnreadable where a link in an image leads to this machine's own files."""
        if not path.resolve().is_relative_to(self._root):
            raise PolicyUnreadable(file=str(path))

    def _may_write(self, place: Place, *, everywhere: bool) -> bool:
        """Return whether a place is to be written; a folder of the package's own keeps it from being installed."""
        is_there = not place.within or (self._root / place.within).is_dir()
        return is_there and (everywhere or self._is_installed(place))

    def _is_installed(self, place: Place) -> bool:
        return any((self._root / path).exists() for path in place.installed)

    def _document(self, file: Path) -> Json:
        return self._parsed_document(file, file.read_bytes()) if file.is_file() else {}

    def _parsed_document(self, file: Path, held: bytes) -> Json:
        if not held.strip():  # as browsers take it
            return {}
        try:
            document = json.loads(held)
        except (ValueError, RecursionError):
            raise PolicyUnreadable(file=str(file)) from None
        if not isinstance(document, dict):
            raise PolicyUnreadable(file=str(file))
        return document

    def _missing(self, folder: Path) -> list[str]:
        """Return the folders below the root that are not there, outermost first."""
        paths = [path for path in (folder, *folder.parents) if path.is_relative_to(self._root) and not path.exists()]
        return [str(path.relative_to(self._root)) for path in reversed(paths)]

    def _name(self, file: Path) -> str:
        return str(file.relative_to(self._root))

    def _own(self, name: str) -> str:
        """Return a file's name as we write it. Raises ValueError for another spelling, which no place would find."""
        if name != self._name(self._root / name):
            raise ValueError("spelling")
        return name

    def _record(self) -> dict[str, _Written]:
        file = self._root / RECORD
        self._ensure_inside(file)
        try:
            return {self._own(name): _recorded(one) for name, one in self._document(file).get("files", {}).items()}
        except (AttributeError, TypeError, ValueError):
            raise PolicyUnreadable(file=str(file)) from None

    def _keep(self, record: dict[str, _Written]) -> None:
        file = self._root / RECORD
        if record:
            write(file, _encoded({"format": 1, "files": {name: asdict(one) for name, one in record.items()}}))
        else:
            file.unlink(missing_ok=True)
            with suppress(OSError):  # it has more in it
                file.parent.rmdir()


def _recorded(one: Json) -> _Written:
    """Return what was kept of a file. Raises TypeError, ValueError for what we never wrote."""
    written = _Written(**one)
    texts, lists = (
        (written.after, written.before or ""),
        (written.sites, written.entries, written.folders, [*written.devices, *written.devices.values()]),
    )
    if not all(isinstance(text, str) for text in (*texts, *(entry for each in lists for entry in each))):
        raise TypeError("text")
    if not isinstance(written.modified or 0, int):
        raise TypeError("number")
    from_text(written.before)
    return written


def _encoded(document: Json) -> bytes:
    try:
        return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half a character, which only an escape can write
        return json.dumps(document, indent=2).encode() + b"\n"


def _given(held: bytes | None) -> bytes:
    return held or b""
