"""The pages for people: the mobile, and the login in the browser. No script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from cardd_simulators.psc.logins import Request
from cardd_simulators.psc.people import Userinfo

PAGE = """<!doctype html>
<html lang="fr"><head><meta charset="utf-8">{more}<title>SIMULATION : {title}</title>
<style>body{{font-family:sans-serif;max-width:32em;margin:2em auto}}b{{font-size:4em;letter-spacing:.2em}}
form{{border:1px solid #888;padding:1em;margin:1em 0}}button{{font-size:1.2em;margin:.2em}}</style>
</head><body><h1>{title}</h1><p>SIMULATION : aucune personne réelle, aucun service de l'ANS.</p>{body}</body></html>
"""
REFRESHED = '<meta http-equiv="refresh" content="2">'  # without a script, a new request shows itself
PASSED = ("redirect_uri", "state", "nonce", "code_challenge")


def mobile(requests: Iterable[Request], proof: str) -> str:
    """Return the requests that wait on the mobile; ``proof`` shows that a button was pressed on this page."""
    waiting = [_request(one, proof) for one in requests]
    body = "".join(waiting) or "<p>Aucune demande en attente.</p>"
    return _page("e-CPS", body, REFRESHED)


def _request(request: Request, proof: str) -> str:
    buttons = (("approve", "Approuver"), ("deny", "Refuser"), ("ignore", "Ignorer"))
    return (
        f'<form method="post" action="/mobile"><p>Demande {request.number} : {_name(request.person)}</p>'
        f"<b>{escape(request.digits)}</b><p>Ces deux chiffres sont-ils ceux de votre poste ?</p>"
        f'<input type="hidden" name="request" value="{request.number}">'
        f'<input type="hidden" name="proof" value="{escape(proof)}">'
        + "".join(f'<button name="answer" value="{value}">{words}</button>' for value, words in buttons)
        + "</form>"
    )


def choice(people: Mapping[str, Userinfo], asked: Mapping[str, str]) -> str:
    """Return the page that asks who logs in."""
    kept = "".join(f'<input type="hidden" name="{name}" value="{escape(asked.get(name, ""))}">' for name in PASSED)
    names = "".join(
        f'<p><button name="person" value="{escape(number)}">{_name(person)}</button></p>'
        for number, person in people.items()
    )
    refuse = '<p><button name="person" value="">Refuser</button></p>'
    return _page("Pro Santé Connect", f'<form method="post" action="/auth">{kept}{names}{refuse}</form>')


def goodbye() -> str:
    """After the logout."""
    return _page("Pro Santé Connect", "<p>Vous êtes déconnecté.</p>")


def _page(title: str, body: str, more: str = "") -> str:
    return PAGE.format(title=title, body=body, more=more)


def _name(person: Userinfo) -> str:
    return escape(f"{person['given_name']} {person['family_name']} ({person['SubjectNameID']})")
