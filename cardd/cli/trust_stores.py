"""Where browsers and this system keep the authorities that they trust, and how ours gets in and out.

A user's browsers have NSS databases, each its own; they are changed as that user, never as root in somebody's folders.
Ours are known by their nicknames. A database that was made for ours is removed with it while nothing else is in it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date
from hashlib import sha256
from pathlib import Path
from ssl import DER_cert_to_PEM_cert, PEM_cert_to_DER_cert

from cardd.errors import CertutilMissing, TrustStoreRefused
from cardd.values import Value

NICKNAME = "cardd localhost "
MADE = ".cardd-made"  # in a database that was made: the folders made for it, outermost first
TRUST = "C,,"  # for servers of TLS alone
LIMIT = 30.0  # seconds
DATABASE = ("cert9.db", "key4.db", "pkcs11.txt")
FILE = "cardd-localhost.crt"
# where authorities are put, the command that takes them in, and what it wants so that no link to one stays
SYSTEMS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("usr/local/share/ca-certificates", "update-ca-certificates", ("--fresh",)),
    ("etc/pki/ca-trust/source/anchors", "update-ca-trust", ()),
    ("etc/ca-certificates/trust-source/anchors", "update-ca-trust", ()),
)
# browser, package, where its databases are below the home, and what is there where it is used
NssPlace = tuple[str, str, str, str | None]
PLACES: tuple[NssPlace, ...] = (
    ("firefox", "deb", ".mozilla/firefox/*", None),
    ("firefox", "deb", ".config/mozilla/firefox/*", None),
    ("firefox", "snap", "snap/firefox/common/.mozilla/firefox/*", None),
    ("firefox", "flatpak", ".var/app/org.mozilla.firefox/.mozilla/firefox/*", None),
    ("firefox", "flatpak", ".var/app/org.mozilla.firefox/config/mozilla/firefox/*", None),
    ("chromium", "deb", ".pki/nssdb", ".config"),
    ("chromium", "deb", ".local/share/pki/nssdb", None),
    ("chromium", "snap", "snap/chromium/current/.pki/nssdb", "snap/chromium/current"),
    ("chromium", "flatpak", ".var/app/org.chromium.Chromium/.pki/nssdb", ".var/app/org.chromium.Chromium"),
    ("chrome", "flatpak", ".var/app/com.google.Chrome/.pki/nssdb", ".var/app/com.google.Chrome"),
    ("edge", "flatpak", ".var/app/com.microsoft.Edge/.pki/nssdb", ".var/app/com.microsoft.Edge"),
)


class Kept(Value):
    """One of our authorities in a store; ``authority`` is DER. What was put there half is not trusted."""

    nickname: str
    authority: bytes
    is_trusted: bool


class NssStore(Value):
    """One NSS database: a Firefox profile, or the one that Chromium and its kin share."""

    browser: str
    package: str
    path: Path

    def kept(self) -> list[Kept]:
        """Return ours. Raises CertutilMissing where there may be some, TrustStoreRefused."""
        database = self.path / DATABASE[0]
        if not database.exists() or (_tool() is None and NICKNAME.encode() not in database.read_bytes()):
            return []
        found = (line.rstrip().rpartition(" ") for line in self._certutil("-L").splitlines())
        own = [(name.strip(), trust == TRUST) for name, _, trust in found if name.startswith(NICKNAME)]
        return [
            Kept(name, PEM_cert_to_DER_cert(self._certutil("-L", "-a", "-n", name).strip()), is_trusted)
            for name, is_trusted in own
        ]

    def put(self, authority: bytes, until: date) -> None:
        """Take this authority in, in place of older ones of ours. Raises CertutilMissing, TrustStoreRefused."""
        if any(one.authority == authority and one.is_trusted for one in self.kept()):
            return
        if not (self.path / DATABASE[0]).exists():
            self._make()
        self._drop()
        name = f"{NICKNAME}{until.isoformat()} {sha256(authority).hexdigest()[:16]}"
        try:
            self._certutil("-A", "-n", name, "-t", TRUST, "-a", given=DER_cert_to_PEM_cert(authority))
        except TrustStoreRefused:
            with suppress(TrustStoreRefused):
                self._drop()  # without the password the certificate is in, and its trust is not
            raise

    def take_out(self) -> None:
        """Take ours out. Raises CertutilMissing, TrustStoreRefused."""
        self._drop()
        made = self.path / MADE
        if made.is_file() and not self._certutil("-L").strip().splitlines()[3:]:
            folders = json.loads(made.read_text())
            for name in (*DATABASE, MADE):
                (self.path / name).unlink(missing_ok=True)
            for folder in reversed(folders):
                with suppress(OSError):  # somebody has put something there
                    Path(folder).rmdir()

    def _drop(self) -> None:
        for one in self.kept():
            self._certutil("-D", "-n", one.nickname)

    def _make(self) -> None:
        missing = [folder for folder in (*reversed(self.path.parents), self.path) if not folder.exists()]
        for folder in missing:
            folder.mkdir(mode=0o700)
        self._certutil("-N", "--empty-password")
        (self.path / MADE).write_text(json.dumps([str(folder) for folder in missing]))

    def _certutil(self, *arguments: str, given: str = "") -> str:
        command = [ensure_certutil(), "-d", f"sql:{self.path}", *arguments]
        try:
            ran = subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=LIMIT)  # noqa: S603
        except subprocess.TimeoutExpired as late:
            raise TrustStoreRefused(store=str(self.path), why=f"{LIMIT:.0f} s") from late
        if ran.returncode:
            raise TrustStoreRefused(store=str(self.path), why=ran.stderr.strip())
        return ran.stdout


def ensure_certutil() -> str:
    """Return where the tool is. Raises CertutilMissing."""
    program = _tool()
    if program is None:
        raise CertutilMissing
    return program


def _tool() -> str | None:
    return shutil.which("certutil")


def nss_stores(home: Path, places: Iterable[NssPlace] = PLACES) -> Iterator[NssStore]:
    """Yield the databases below a home, those too that a browser would make there."""
    for browser, package, pattern, used in places:
        if pattern.endswith("*"):
            for profile in sorted(home.glob(pattern)):
                if _may_be_there(profile / DATABASE[0]):
                    yield NssStore(browser, package, profile)
        elif (home / pattern / DATABASE[0]).exists() or (used and (home / used).is_dir()):
            yield NssStore(browser, package, home / pattern)


def _may_be_there(file: Path) -> bool:
    """Return whether a file is there, or may be in a folder that this user may not look into."""
    try:
        return file.exists()
    except OSError:
        return True


class SystemStore:
    """The authorities of the whole system, below ``root``."""

    def __init__(self, root: Path = Path("/")) -> None:
        found = next((one for one in SYSTEMS if (root / one[0]).is_dir()), None)
        self._folder = root / found[0] if found else None
        self._command, self._anew = (found[1], found[2]) if found else ("", ())
        self._is_real = root == Path("/")

    @property
    def file(self) -> Path | None:
        """Return where ours is, or would be; None for a system that we do not know."""
        return self._folder / FILE if self._folder else None

    def kept(self) -> bytes | None:
        """Return ours, where root put it."""
        file = self.file
        if file is None or not file.is_file() or (self._is_real and file.stat().st_uid):
            return None
        with suppress(ValueError):  # no certificate at all
            return PEM_cert_to_DER_cert(file.read_text())
        return None

    def put(self, authority: bytes) -> None:
        """Take this authority in, in place of an older one. Raises TrustStoreRefused, OSError."""
        if self.file is not None:
            part = self.file.with_suffix(".part")
            part.write_text(DER_cert_to_PEM_cert(authority))
            part.chmod(0o644)
            part.replace(self.file)
            self._refresh()

    def take_out(self) -> None:
        """Take ours out. Raises TrustStoreRefused, OSError."""
        if self.file is not None and self.file.exists():
            self.file.unlink()
            self._refresh(*self._anew)

    def _refresh(self, *options: str) -> None:
        if not self._is_real:
            return
        command = [self._command, *options]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=4 * LIMIT)  # noqa: S603
        except OSError as error:
            raise TrustStoreRefused(store=str(self.file), why=str(error)) from error
        if ran.returncode:
            raise TrustStoreRefused(store=str(self.file), why=ran.stderr.strip())
