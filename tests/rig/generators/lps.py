"""A practice software over the client that openapi-python-client makes of the served document, as it comes.

python lps.py CARDD QUERY: the daemon's address, and a file with a query for the DMP; QUERY has @VIHF@ in its header.
"""

from __future__ import annotations

import base64
import sys
import time
from http import HTTPStatus
from io import BytesIO
from pathlib import Path

import httpx
from cardd_generated import AuthenticatedClient, Client
from cardd_generated.api.default import (
    delete_sessions_id,
    get_clients_pairings_id,
    get_methods,
    get_sessions_id_documents_document,
    post_clients,
    post_sessions,
    post_sessions_id_assertions,
    post_sessions_id_documents,
    post_sessions_id_signatures,
    post_sessions_id_situation,
    post_sessions_id_upstreams_name_path,
)
from cardd_generated.models import (
    AssertionAnswer,
    ClientAnswer,
    DocumentAnswer,
    GetMethodsUse,
    LpsBody,
    MethodsAnswer,
    PairBody,
    PairingAnswer,
    PatientBody,
    Problem,
    SessionAnswer,
    SessionBody,
    SessionBodyMethod,
    SignatureAnswer,
    SignatureBody,
    SignatureBodyFormat,
    SituationBody,
    VihfBody,
    VihfBodyType,
)
from cardd_generated.types import File

CARDD, QUERY = sys.argv[1], Path(sys.argv[2])
PATIENCE = httpx.Timeout(60)  # a person is asked
TEXT = b"Compte rendu SIMULATION\n"


def paired() -> str:
    """Return the client secret, once the user has agreed."""
    nobody = Client(CARDD, timeout=PATIENCE)
    about = PairBody(name="LPS généré", vendor="SIMULATION", software_id="genere-python")
    answer = post_clients.sync(client=nobody, body=about, prefer="respond-async")
    assert isinstance(answer, PairingAnswer), answer
    print("code", answer.code)
    identifier = answer.id
    while isinstance(answer, PairingAnswer):
        time.sleep(0.2)
        answer = get_clients_pairings_id.sync(identifier, client=nobody)
    assert isinstance(answer, ClientAnswer), answer
    secret: str = answer.client_secret
    return secret


def signed(session: AuthenticatedClient, identifier: str) -> None:
    """Sign a document in the request, and one that is handed over before."""
    one = post_sessions_id_signatures.sync(
        identifier,
        client=session,
        body=SignatureBody(document_name="compte-rendu.txt", document=base64.b64encode(TEXT).decode()),
        idempotency_key="genere-python-1",
    )
    assert isinstance(one, SignatureAnswer), one
    assert isinstance(one.signature, str)
    print("signed", one.algorithm, len(base64.b64decode(one.signature)))

    handed = post_sessions_id_documents.sync(identifier, client=session, body=File(BytesIO(TEXT)))
    assert isinstance(handed, DocumentAnswer), handed
    held = post_sessions_id_signatures.sync(
        identifier,
        client=session,
        body=SignatureBody(document_name="compte-rendu.txt", document_id=handed.id, format_=SignatureBodyFormat.CADES),
    )
    assert isinstance(held, SignatureAnswer), held
    assert isinstance(held.document_id, str)
    got = get_sessions_id_documents_document.sync(identifier, held.document_id, client=session)
    assert isinstance(got, File), got
    print("handed over", handed.size, TEXT in got.payload.read())


def relayed(token: str, identifier: str) -> None:
    """Ask the DMP with a fresh VIHF; a request to a server has its own media type."""

    def as_soap(request: httpx.Request) -> None:
        if "/upstreams/" in request.url.path:
            request.headers["Content-Type"] = "application/soap+xml"

    session = AuthenticatedClient(CARDD, token, timeout=PATIENCE, httpx_args={"event_hooks": {"request": [as_soap]}})
    vihf = post_sessions_id_assertions.sync(
        identifier,
        client=session,
        body=VihfBody(
            type_=VihfBodyType.VIHF,
            lps=LpsBody(name="LPS SIMULATION", version="1.0", homologation="SIM-0001"),
            patient=PatientBody(ins="185059999900181", oid="1.2.250.1.213.1.4.10"),
        ),
    )
    assert isinstance(vihf, AssertionAnswer), vihf
    message = QUERY.read_bytes().replace(b"@VIHF@", base64.b64decode(vihf.assertion))
    answer = post_sessions_id_upstreams_name_path.sync_detailed(
        identifier, "dmp", "simulation/registry", client=session, body=File(BytesIO(message))
    )
    print("relayed", int(answer.status_code), answer.headers["Cardd-Upstream"], b"Compte rendu" in answer.content)
    refused = post_sessions_id_upstreams_name_path.sync_detailed(identifier, "dmp", "elsewhere", client=session)
    print("refused", int(refused.status_code), "Cardd-Upstream" in refused.headers)


def main() -> None:
    """Do all of it, and log out."""
    client = AuthenticatedClient(CARDD, paired(), timeout=PATIENCE)
    methods = get_methods.sync(client=client, use=GetMethodsUse.LPS)
    assert isinstance(methods, MethodsAnswer), methods
    print("advised", methods.advised)
    opened = post_sessions.sync(client=client, body=SessionBody(method=SessionBodyMethod.CPX))
    assert isinstance(opened, SessionAnswer), opened
    assert isinstance(opened.token, str)
    print("session of", opened.identity.family_name)
    session = AuthenticatedClient(CARDD, opened.token, timeout=PATIENCE)
    post_sessions_id_situation.sync(opened.id, client=session, body=SituationBody("1"))
    signed(session, opened.id)
    relayed(opened.token, opened.id)
    out = delete_sessions_id.sync_detailed(opened.id, client=session)
    assert out.status_code is HTTPStatus.NO_CONTENT
    after = post_sessions_id_situation.sync(opened.id, client=session, body=SituationBody("1"))
    assert isinstance(after, Problem), after
    print("after", after.code)


if __name__ == "__main__":
    main()
