"""Seeds of portals: tokens of a simulated card, a signature, Pro Santé Connect's answers, and a page's requests."""

from __future__ import annotations

import json
from collections.abc import Mapping

from asn1crypto import cms
from cryptography.hazmat.primitives.serialization import Encoding

from tests.fuzz.corpus import kept
from tests.fuzz.portals import CLIENT, DOCUMENTS, ISSUER, KEY, LOGIN, NONCE, ORIGIN, TOKEN, WHO
from tests.rig.simulator import issue
from tests.webps.tokens import RS256, forged


def portals() -> dict[str, dict[str, bytes]]:
    """Of the simulated card, of the provider in these tests, and of the pages in docs/examples/webps."""
    card, signatures = issue(), {told: data for data, told in kept("documents.cms")}
    ders = [one.certificate.public_bytes(Encoding.DER) for one in (card.authentication, card.signature)]
    pieces = b"".join(len(der).to_bytes(2) + der for der in ders)
    token = {**forged(NONCE, card.authentication, ORIGIN), "unverifiedCertificate": LOGIN}
    entry = {"certificate": DOCUMENTS, "supportedSignatureAlgorithms": [RS256]}
    newer = {**token, "format": "web-eid:1.1", "unverifiedSigningCertificates": [entry]}
    newer["unverifiedIntermediateCertificates"] = [DOCUMENTS]
    post = f"content-type: application/json\norigin: {ORIGIN}"
    logins = {"challenge": {}, "login": newer, "ecps": {"national_id": WHO}, "ecps/state": {}, "logout": {}}
    pages = {name: f"POST\n/card/{name}\n{post}\n\n{json.dumps(body)}".encode() for name, body in logins.items()}
    return {
        "token": {"1.0": pieces + json.dumps(token).encode(), "1.1": pieces + json.dumps(newer).encode()},
        "signature": {"": _detached(signatures["seed plain"])},
        "psc": _psc(),
        "page": {**pages, "another": b"GET\n/\nupgrade: websocket\n\n"},
    }


def _detached(signature: bytes) -> bytes:
    """The signature without its document."""
    found = cms.ContentInfo.load(signature)
    content = {"content_type": "data"}
    found["content"]["encap_content_info"] = content
    return bytes(found.dump(force=True))


def _psc() -> dict[str, bytes]:
    places = ("backchannel_authentication", "token", "userinfo", "end_session")
    discovery = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}
    discovery |= {f"{place}_endpoint": f"{ISSUER}/{place}" for place in places}
    claims = {"iss": ISSUER, "aud": CLIENT, "sub": "s", "exp": 4102444800, "iat": 1700000000, "acr": "eidas1"}
    practice = {"codeProfession": "10"}
    person = {"sub": "s", "SubjectNameID": WHO, "family_name": "SIMULATION", "given_name": "CAMILLE"}
    answers: tuple[Mapping[str, object], ...] = (
        {"alg": "RS256", "kid": "1"},
        claims,
        discovery,
        {"auth_req_id": "a", "expires_in": 120, "interval": 5},
        {"id_token": TOKEN, "access_token": "a"},
        {"keys": [KEY]},
        {**person, "SubjectRefPro": {"exercices": [practice, practice]}},
        {},
    )
    lines = [json.dumps(answer).replace(f'"{KEY}"', KEY).encode() for answer in answers]
    waiting = [*lines[:4], b'!{"error": "authorization_pending"}', b'!{"error": "access_denied"}']
    return {
        "in": b"\n".join(lines),
        "refused": b"\n".join(waiting),
        "unknown": b"\n".join([*lines[:3], b'!{"error": "unknown_user_id"}']),
    }
