"""The mobile: a page for people, and the command's place. Each wants a proof that no other page has."""

from __future__ import annotations

import secrets

from aiohttp import web

from cardd_simulators.psc import pages
from cardd_simulators.psc.logins import Logins, Refused, State, is_same


class Mobile:
    """``token`` is what the command shows; the page's proof is another."""

    def __init__(self, logins: Logins) -> None:
        self._logins = logins
        self._proof = secrets.token_urlsafe(24)
        self.token = secrets.token_urlsafe(24)

    def routes(self) -> list[web.RouteDef]:
        """Return what serves the page and the command."""
        return [
            web.get("/mobile", self._page),
            web.post("/mobile", self._pressed),
            web.post("/mobile/{answer:approve|deny|ignore}", self._ordered),
        ]

    async def _page(self, _: web.Request) -> web.Response:
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"}
        text = pages.mobile(self._logins.waiting(), self._proof)
        return web.Response(text=text, content_type="text/html", headers=headers)

    async def _pressed(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        if not is_same(form.get("proof", ""), self._proof):
            return web.Response(status=403)
        try:
            self._logins.answer(int(form["request"]), State(form["answer"]))
        except (Refused, KeyError, ValueError):
            return web.Response(status=404)
        return web.Response(status=303, headers={"Location": "/mobile"})

    async def _ordered(self, request: web.Request) -> web.Response:
        if not is_same(request.headers.get("Authorization", ""), f"Bearer {self.token}"):
            return web.Response(status=403)
        number = request.query.get("request")
        try:
            found = self._logins.answer(int(number) if number else None, State(request.match_info["answer"]))
        except (Refused, ValueError):
            return web.json_response({"error": "nothing_waits"}, status=404)
        told = {"request": found.number, "digits": found.digits, "person": found.person["SubjectNameID"]}
        return web.json_response({**told, "answer": found.state.value})
