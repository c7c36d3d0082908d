"""A portal for health professionals: they log in by card or e-CPS, see a document, and sign it.

    python portal.py SETTINGS.json

README.md has the settings. The pages are those of ``pages/``, the same for portal.mjs; they decide nothing. What the
portal keeps of a login is in memory, and gone with it.
"""

import asyncio
import base64
import dataclasses
import json
import logging
import secrets
import ssl
import sys
from datetime import UTC, datetime
from pathlib import Path

from aiohttp import web
from card_login import Answered, CardLogin, json_of
from psc_login import Psc
from signed import SignerRefused, signer_of
from web_eid import Refused, Trust

HERE = Path(__file__).parent
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
PAGES = {"/": "index.html", "/portal.js": "portal.js", "/texts.js": "texts.js", "/portal.css": "portal.css"}
DOCUMENTS_MAX = 50  # in one login
DOCUMENT = """COMPTE RENDU DE CONSULTATION (SIMULATION)

Document n° {id}, établi le {day} à {time} (UTC)
Sur le portail : {origin}
Professionnel : {given_name} {family_name}, n° {national_id}
Patient : DOMINIQUE FICTIF, né le 01/01/1980 (personne fictive)

Motif : contrôle de la tension artérielle.
Conclusion : tension stable, traitement inchangé.
"""

log = logging.getLogger("portal")


class Portal:
    """The application behind the login; ``cardd_js`` is the module as its package has it."""

    def __init__(self, settings):
        self._origin, self._cardd = settings["origin"], settings["cardd"]
        self._trust = Trust(Path(settings["authorities"]), Path(settings["lists"]))
        self._has_ecps = "psc" in settings
        files = {path: HERE / "pages" / name for path, name in PAGES.items()} | {
            "/cardd.js": Path(settings["cardd_js"])
        }
        self._files = {path: (TYPES[file.suffix], file.read_bytes()) for path, file in files.items()}

    async def __call__(self, scope, receive, send):
        """Answer one request over HTTP."""
        try:
            kind, content, status = *await self._answered(scope, receive), 200
        except Answered as ended:
            kind, content, status = "application/json", b'{"error": "%d"}' % ended.args[0], ended.args[0]
        headers = [(b"content-type", f"{kind}; charset=utf-8".encode()), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _answered(self, scope, receive):
        """Return the media type and the bytes. Raises Answered."""
        method, path, kept = scope["method"], scope["path"], scope["card_kept"]
        reading = method in ("GET", "HEAD")
        if reading and path in self._files:
            return self._files[path]
        if reading and path == "/me":
            return _json(self._me(scope["card"], kept))
        if kept is None:
            raise Answered(401)
        documents = kept.setdefault("documents", {})
        if reading and path.startswith("/documents/"):
            return self._file(documents, path.removeprefix("/documents/"))
        if (method, path) == ("POST", "/documents"):
            return _json(self._written(documents, scope["card"]))
        if (method, path) == ("POST", "/signatures"):
            return _json(await self._signed(documents, scope["card"], await json_of(receive)))
        raise Answered(404)

    def _me(self, holder, kept):
        settings = {"cardd": self._cardd, "ecps": self._has_ecps}
        if holder is None:
            return {**settings, "holder": None}
        documents = [_told(each) for each in kept.get("documents", {}).values()]
        return {**settings, "holder": _person(holder), "way": kept["way"], "documents": documents}

    def _file(self, documents, name):
        """The document's own bytes, or what was signed over them."""
        document = documents.get(name.removesuffix(".p7s"))
        if document is None or (name.endswith(".p7s") and not document["signature"]):
            raise Answered(404)
        if name.endswith(".p7s"):
            return "application/pkcs7-signature", document["signature"]
        return "text/plain", document["content"]

    def _written(self, documents, holder):
        """Write a document for this person; one that they have not signed yet serves again."""
        for document in documents.values():
            if not document["signed"]:
                return _told(document)
        if len(documents) >= DOCUMENTS_MAX:
            raise Answered(409)
        now, name = datetime.now(UTC), secrets.token_hex(8)
        named = {"id": name, "day": f"{now:%d/%m/%Y}", "time": f"{now:%H:%M:%S}", "origin": self._origin}
        content = DOCUMENT.format(**named, **dataclasses.asdict(holder)).encode()
        documents[name] = {"id": name, "content": content, "signature": b"", "signed": None}
        return _told(documents[name])

    async def _signed(self, documents, holder, body):
        """Keep a signature that the person of this login made over this portal's own copy, once."""
        body = body if isinstance(body, dict) else {}
        document = documents.get(body.get("id")) if isinstance(body.get("id"), str) else None
        if document is None:
            return {"error": "document"}
        try:
            signature = base64.b64decode(body.get("signature"), validate=True)
            signer = await asyncio.to_thread(signer_of, document["content"], signature, trust=self._trust)
        except SignerRefused as reason:
            return _refusal("signer_refused", reason)
        except (Refused, TypeError, ValueError) as reason:
            return _refusal("signature", reason)
        if signer.national_id != holder.national_id:
            return _refusal("signer", signer.national_id)
        if document["signed"]:
            return {"error": "signed"}
        signed = {"by": _person(signer), "at": datetime.now(UTC).isoformat(timespec="seconds")}
        document.update(signature=signature, signed=signed)
        return _told(document)


def _person(holder):
    return {
        "nationalId": holder.national_id,
        "familyName": holder.family_name,
        "givenName": holder.given_name,
        "title": holder.title,
    }


def _told(document):
    return {"id": document["id"], "signed": document["signed"]}


def _refusal(code, reason):
    log.warning("refused, %s: %r", code, str(reason))
    return {"error": code}


def _json(told):
    return "application/json", json.dumps(told).encode()


def policy(bases):
    """Return the headers of every answer; the page may reach this portal and the two addresses of cardd."""
    cardd = " ".join([*bases, *(base.replace("http", "ws", 1) for base in bases)])
    rules = (
        "default-src 'none'; script-src 'self'; style-src 'self'; base-uri 'none'; form-action 'none'; "
        f"frame-ancestors 'none'; connect-src 'self' {cardd}; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return {
        "Content-Security-Policy": rules,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


def application(settings):
    """Return the whole portal as an ASGI application."""
    trust = Trust(Path(settings["authorities"]), Path(settings["lists"]))
    ways = Psc(**settings["psc"]).ways() if "psc" in settings else {}
    return CardLogin(Portal(settings), origin=settings["origin"], trust=trust, ways=ways)


def served(app):
    """Return aiohttp's handler of an ASGI application; uvicorn and others serve it as it is."""

    async def handler(request):
        sent = [(name.lower(), value) for name, value in request.raw_headers]
        scope = {"type": "http", "method": request.method, "path": request.path, "headers": sent}
        start, content = {}, b""

        async def receive():
            body = await request.content.readany()
            return {"type": "http.request", "body": body, "more_body": not request.content.at_eof()}

        async def send(message):
            nonlocal content
            start.update(message)
            content += message.get("body", b"")

        await app(scope, receive, send)
        answer = web.Response(status=start["status"], body=content)
        for name, value in start["headers"]:
            answer.headers.add(name.decode().title(), value.decode("latin-1"))
        return answer

    return handler


def main():
    """Serve over https on loopback until the end."""
    settings = json.loads(Path(sys.argv[1]).read_text())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings["certificate"], settings["key"])
    portal = web.Application()
    portal.router.add_route("*", "/{path:.*}", served(application(settings)))
    headers = policy(settings["cardd"])

    async def add_headers(_request, answer):
        answer.headers.update(headers)

    portal.on_response_prepare.append(add_headers)
    web.run_app(portal, host="127.0.0.1", port=settings["port"], ssl_context=context, access_log=None)


if __name__ == "__main__":
    main()
