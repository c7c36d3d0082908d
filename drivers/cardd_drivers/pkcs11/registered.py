"""Where a module is: an absolute path, a name registered with p11-kit, or the official middleware.

Source: p11-kit's pkcs11.conf(5) for the files; the card facts for the middleware's paths.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

CONFIGURATIONS = (Path("/etc/pkcs11/modules"), Path("/usr/share/p11-kit/modules"))
LIBRARIES = (Path("/usr/lib"), Path("/usr/lib64"))
MIDDLEWARE = "cps"
MIDDLEWARE_PATHS = (
    Path("/opt/santesocial/CPS/lib/libcps3_pkcs11_lux.so"),
    Path("/usr/lib64/libcps3_pkcs11_lux.so"),
)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")
_MODULE = re.compile(r"^\s*module\s*:\s*(\S+)\s*$", re.MULTILINE)


def resolve(module: str) -> str | None:
    """The module's path: of itself, of the p11-kit module of this name, or, for ``cps``, of the official middleware.

    None when nothing is there.
    """
    if module.startswith("/"):
        return module if Path(module).is_file() else None
    if module == MIDDLEWARE:
        return next((str(path) for path in MIDDLEWARE_PATHS if path.is_file()), None)
    return next((path for path in _registered(module) if Path(path).is_file()), None)


def _registered(name: str) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        return
    for directory in CONFIGURATIONS:
        for file in (directory / f"{name}.module", directory / name):
            if file.is_file() and (found := _MODULE.search(file.read_text(errors="replace"))):
                yield from _places(found[1])


def _places(path: str) -> Iterator[str]:
    """A relative path stands below p11-kit's module directory, which Debian has under the multiarch directory."""
    if path.startswith("/"):
        yield path
        return
    for library in LIBRARIES:
        for directory in ("pkcs11", "*/pkcs11"):
            yield from (str(found) for found in library.glob(f"{directory}/{path}"))
