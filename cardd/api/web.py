"""The files that browsers load: a page of a portal may import cardd.js from here, where its own CSP allows that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from cardd.api.call import Call, Reply
from cardd.web import web_file


def shows(name: str) -> Callable[[Call], Awaitable[Reply]]:
    """Return what answers with this file, or 304 to a browser that has it."""

    async def show(call: Call) -> Reply:
        found = web_file(name)
        headers = {"ETag": found.tag, "Cache-Control": "no-cache"}  # kept, and asked about each time
        if found.tag in call.http.headers.get("If-None-Match", ""):
            return Reply(304, headers=headers)
        return Reply(body=found.content, headers=headers, media_type=found.media_type)

    return show
