"""Pages: an Origin counts as a page's only when a browser sends it."""

from __future__ import annotations

from cardd.core.recording import append_if_possible
from cardd.errors import NotABrowser
from cardd.model import AuditEntry, Caller, Outcome, Peer, shown
from cardd.ports import AuditLog, Browsers


class Pages:
    """Refuses the programs that call as if they were a web page, and records them."""

    def __init__(self, browsers: Browsers, audit: AuditLog) -> None:
        self._browsers = browsers
        self._audit = audit

    async def check(self, caller: Caller | None, peer: Peer) -> None:
        """Let a browser pass; ``caller`` is the page's origin if it is allowed. Raises NotABrowser, BrowserUnseen."""
        program = await self._browsers.stranger(peer)
        if program is None:
            return
        # origins that nobody allowed are as many as a program likes, and refusals are counted by caller
        claimed = caller.id if caller else f"local:{peer.uid}"
        row = AuditEntry("page.call", Outcome.REFUSED, peer.uid, claimed, shown(program), code=NotABrowser.code)
        await append_if_possible(self._audit, row)
        raise NotABrowser
