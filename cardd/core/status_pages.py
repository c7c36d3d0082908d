"""The status page: the link that opens it once, and the pass that its tab gets for that.

A link is made for a person's own program on the Unix socket, and serves a browser of the same OS user. Whoever reads
it elsewhere, as on the command line of the browser, has nothing by it. All of it is in memory.

The page has a host name of its own, which each start of the daemon makes anew: browsers take every name below
``localhost`` (RFC 6761, 6.3) for this machine. What another program left behind in the browser for ``127.0.0.1``, on
another port (cookies) or on this one while cardd was down (a service worker, a cache), is not the page's.
"""

from __future__ import annotations

import secrets

from cardd.core.page_passes import ExpiringTokens, Given
from cardd.errors import StatusPageLinkInvalid, StatusPageUnserved
from cardd.model import CallerKey, Peer
from cardd.ports import Clock

LINK_LIFETIME = 120.0  # seconds; a browser may take a minute to start
PASS_LIFETIME = 8 * 3600.0
OWNER = "status page"


class StatusPages:
    """Links and passes of all users; ``port`` is where the page is served, once it is."""

    def __init__(self, clock: Clock) -> None:
        self.port: int | None = None
        self._name = f"cardd-{secrets.token_hex(8)}.localhost"
        self._links: ExpiringTokens[bool] = ExpiringTokens(clock, LINK_LIFETIME)
        self._passes: ExpiringTokens[bool] = ExpiringTokens(clock, PASS_LIFETIME)

    @property
    def host(self) -> str:
        """Return the page's own host, with its port."""
        return f"{self._name}:{self.port}"

    @property
    def shown(self) -> str:
        """Return what a person is told of where the page is: no name that nobody can know."""
        return f"http://127.0.0.1:{self.port}"

    def link(self, peer: Peer) -> Given:
        """Return an address that opens the page once, for this user. Raises StatusPageUnserved.

        The secret is behind the ``#``: a browser sends it to no server, and no other page learns it.
        """
        if self.port is None:
            raise StatusPageUnserved
        given = self._links.put(_owner(peer), True)
        return Given(f"http://{self.host}/#{given.value}", given.expires_at)

    def enter(self, link: str, peer: Peer) -> Given:
        """Return the pass for the secret of a link, which serves no more. Raises StatusPageLinkInvalid."""
        if not self._links.take(link, _owner(peer)):
            raise StatusPageLinkInvalid
        return self._passes.put(_owner(peer), True)

    def knows(self, token: str, peer: Peer) -> bool:
        """Return whether this is a pass of this user's."""
        return bool(self._passes.get(token, _owner(peer)))


def _owner(peer: Peer) -> CallerKey:
    return CallerKey(peer.uid, OWNER)
