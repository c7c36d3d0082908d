"""The files that browsers load, cardd.js for pages of portals and the status page, and how that page gets its pass."""

from __future__ import annotations

from collections.abc import Callable

from cardd.api.answers import Reply
from cardd.api.call import Call, Shape
from cardd.api.schemas.clients import LinkAnswer, LinkBody, StatusPageAnswer, StatusPageBody
from cardd.web import web_file

LINK_BODY = Shape(LinkBody)
STATUS_PAGE_BODY = Shape(StatusPageBody)
PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",  # a page that opened it has no handle of it
}


def shows(name: str) -> Callable[[Call], Reply]:
    """Return what answers with this file, or 304 to a browser that has it."""

    def show(call: Call) -> Reply:
        found = web_file(name)
        headers = {"ETag": found.tag, "Cache-Control": "no-cache"}  # kept, and asked about each time
        if found.media_type.startswith("text/html"):
            headers |= PAGE_HEADERS
        if found.tag in call.http.headers.get("If-None-Match", ""):
            return Reply(304, headers=headers)
        return Reply(body=found.content, headers=headers, media_type=found.media_type)

    return show


async def link(call: Call, _: LinkBody) -> Reply:
    """Return an address that opens the status page once, in a browser of the asking user."""
    given = call.parts.status_pages.link(call.peer)
    return Reply(201, LinkAnswer(given.value, given.expires_at))


async def enter(call: Call, body: StatusPageBody) -> Reply:
    """Change a link's secret for the pass of one tab."""
    given = call.parts.status_pages.enter(body.link, call.peer)
    return Reply(201, StatusPageAnswer(given.value, given.expires_at))
