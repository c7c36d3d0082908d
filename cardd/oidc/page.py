"""The few words that the browser shows after a login: static, without scripts, in the browser's language."""

from __future__ import annotations

from html import escape

from aiohttp import web

from cardd.i18n import language_of, text

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Server": "",
}
_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font:1.2rem sans-serif;margin:15vh auto;max-width:32rem;padding:0 1rem}}</style></head>
<body><h1>{title}</h1><p>{told}</p></body></html>
"""


def page(name: str, accept_language: str, *, status: int = 200) -> web.Response:
    """The page ``psc.page.<name>`` of the catalogue."""
    language = language_of(accept_language)
    title, told = (escape(text(f"psc.page.{name}.{part}", language)) for part in ("title", "text"))
    content = _PAGE.format(language=language, title=title, told=told)
    response = web.Response(text=content, content_type="text/html", charset="utf-8", status=status, headers=_HEADERS)
    response.force_close()
    return response
