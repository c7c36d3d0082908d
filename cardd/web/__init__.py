"""What browsers load from the daemon: the files of this folder, as they stand, and what reads them.

``cardd.js`` is the module for pages of portals, ``cardd.d.ts`` its types; ``package.json`` makes a package of both.
``status.html`` is the page that shows a person this workstation, with its sheet and its script.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from importlib.resources import files

from cardd.values import Value

MEDIA_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "d.ts": "text/plain; charset=utf-8",
}


class WebFile(Value):
    """One file as a browser gets it; ``tag`` (RFC 9110, 8.8.3) changes with the content."""

    content: bytes
    media_type: str
    tag: str


@cache
def web_file(name: str) -> WebFile:
    """Return one of the files above, read when it is first asked for. Raises KeyError for a type that is not served."""
    media_type = MEDIA_TYPES[name.partition(".")[2]]
    content = (files(__name__) / name).read_bytes()
    return WebFile(content, media_type, f'"{sha256(content).hexdigest()[:32]}"')
