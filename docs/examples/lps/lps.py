"""A small practice software: consults, adds and lists a patient's documents in the DMP, through cardd.

python lps.py [consult | add TEXT | read DOCUMENT_ID]

CARDD is the path of cardd's socket (/run/cardd/cardd.sock by default): nobody but the service can listen there. The
first run pairs and keeps the client secret where only its user can read it. cardd asks for the PIN and for consent;
nothing of the card is here. Python's own library is enough.
"""

import base64
import contextlib
import hashlib
import http.client
import json
import os
import socket
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

CARDD = os.environ.get("CARDD", "/run/cardd/cardd.sock")
KEPT = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "exemple-lps" / "cardd-secret"
MESSAGES = Path(__file__).parent / "messages"
ABOUT = {"name": "LPS exemple", "vendor": "SIMULATION", "software_id": "exemple-lps"}
LPS = {"name": "LPS SIMULATION", "version": "1.0", "homologation": "SIM-0001", "installation": "poste-1"}
INS, OID = "185059999900181", "1.2.250.1.213.1.4.10"
HL7, RS = "{urn:hl7-org:v3}", "{urn:oasis:names:tc:ebxml-regrep:xsd:rs:3.0}"
RIM, XDS = "{urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0}", "{urn:ihe:iti:xds-b:2007}"
PATIENT = f"{INS}^^^&amp;{OID}&amp;ISO^NH"


class Refused(SystemExit):
    """What cardd or the DMP refused, in words for the user; ``problem`` is cardd's code for it."""

    problem = ""


class Connection(http.client.HTTPConnection):
    """HTTP over cardd's socket."""

    def connect(self):
        """Connect to it; nobody but the service can listen there."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(CARDD)


def cardd(method, path, body=None, bearer="", kind="application/json", **more):
    """One call of cardd; whatever it refuses, it says in words for the user."""
    content = json.dumps(body).encode() if kind == "application/json" and body is not None else body
    headers = {"Content-Type": kind, **more, **({"Authorization": f"Bearer {bearer}"} if bearer else {})}
    try:
        with contextlib.closing(Connection("localhost")) as connection:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            told = answer.read()
    except OSError as silent:
        raise Refused(f"no answer of {CARDD}: {silent}") from silent
    if answer.status < 300:
        return told
    if answer.headers["Content-Type"] != "application/problem+json":
        raise Refused(told.decode())  # the DMP's own words
    problem = json.loads(told)
    refused = Refused(f"{problem['title']}. {problem.get('detail', '')} {problem.get('remedy', '')}")
    refused.problem = problem["code"]
    raise refused


def pair():
    """The client secret, once the user has agreed. Whoever has it is this program, so nobody else may read it."""
    told = json.loads(cardd("POST", "/v1/clients", ABOUT, Prefer="respond-async"))
    print("Accept this program if the dialog shows", told["code"], file=sys.stderr)
    while "client_secret" not in told:
        time.sleep(0.5)
        told = json.loads(cardd("GET", f"/v1/clients/pairings/{told['id']}"))
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    KEPT.unlink(missing_ok=True)
    with os.fdopen(os.open(KEPT, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(told["client_secret"])
    return told["client_secret"]


def kept():
    """The secret of an earlier run, if there was one."""
    with contextlib.suppress(FileNotFoundError), KEPT.open() as file:
        found = os.fstat(file.fileno())
        if found.st_mode & 0o077 or found.st_uid != os.geteuid():
            raise Refused(f"{KEPT} can be read by others: unpair this program (cardctl clients), and remove the file")
        return file.read()


def log_in():
    """A session with the card, in the first of the holder's situations of practice, and who its author is."""
    secret = kept() or pair()
    try:
        session = json.loads(cardd("POST", "/v1/sessions", {"method": "cpx"}, secret))
    except Refused as refused:
        if refused.problem != "client.unknown":  # the user has unpaired it: ask again
            raise
        session = json.loads(cardd("POST", "/v1/sessions", {"method": "cpx"}, pair()))
    path, token = f"/v1/sessions/{session['id']}", session["token"]
    session = json.loads(cardd("POST", f"{path}/situation", {"id": "1"}, token))
    person, place = session["identity"], next(one for one in session["situations"] if one["id"] == session["situation"])
    author = {"PERSON_ID": person["national_id"], "FAMILY": person["family_name"], "GIVEN": person["given_name"]}
    author |= {"STRUCTURE": place["structure"], "STRUCTURE_NAME": place.get("structure_name", "CABINET")}
    return path, token, {name: escape(value) for name, value in author.items()}


def filled(message, **parts):
    """A message with its places filled."""
    text = (MESSAGES / message).read_text()
    for name, value in parts.items():
        text = text.replace(f"@{name}@", value)
    return text


def send(path, token, message, **parts):
    """A message to the DMP, with a fresh VIHF in its header, over TLS with the card."""
    wanted = {"type": "vihf", "lps": LPS, "patient": {"ins": INS, "oid": OID}}
    vihf = json.loads(cardd("POST", f"{path}/assertions", wanted, token))["assertion"]
    parts |= {"VIHF": base64.b64decode(vihf).decode(), "INS": PATIENT, "MESSAGE": str(uuid.uuid4())}
    where = f"{path}/upstreams/dmp/simulation/repository"
    answer = ET.fromstring(cardd("POST", where, filled(message, **parts).encode(), token, "application/soap+xml"))
    for error in answer.iter(f"{RS}RegistryError"):  # the registry refused, in an answer like any other
        sys.exit(f"{error.get('errorCode')}: {error.get('codeContext')}")
    return answer


def add(path, token, author, text):
    """A document, in a submission set that the card signs."""
    the_set, document = (f"2.25.{uuid.uuid4().int}" for _ in range(2))
    parts = author | {"DOCUMENT_ID": document, "NOW": f"{datetime.now(UTC):%Y%m%d%H%M%S}"}
    content = filled("document.xml", TEXT=base64.b64encode(text).decode(), **parts).encode()
    encoded = base64.b64encode(content).decode()
    wanted = {"unique_id": the_set, "documents": [{"unique_id": document, "document": encoded, "is_xml": True}]}
    item = {"document_name": "Lot de soumission", "format": "submission_set", "submission_set": wanted}
    signed = json.loads(cardd("POST", f"{path}/signatures", item, token))["document"]
    signature = base64.b64decode(signed)
    for name, octets in (("", content), ("SIGNATURE_", signature)):
        digest = hashlib.sha1(octets, usedforsecurity=False).hexdigest()  # as XDS has it
        parts |= {f"{name}HASH": digest, f"{name}SIZE": str(len(octets))}
    send(path, token, "add.xml", SET=the_set, DOCUMENT=encoded, SIGNATURE=signed, **parts)
    return document


def read(path, token, name):
    """The text in a document."""
    document = send(path, token, "read.xml", DOCUMENT_ID=name).find(f".//{XDS}Document")
    text = ET.fromstring(base64.b64decode(document.text)).find(f".//{HL7}nonXMLBody/{HL7}text")
    return base64.b64decode(text.text).decode()


def main(order="consult", what=""):
    """Do it, and log out."""
    path, token, author = log_in()
    try:
        if order == "add":
            print("added", add(path, token, author, what.encode()))
        elif order == "read":
            print(read(path, token, what))
        else:
            for entry in send(path, token, "consult.xml").iter(f"{RIM}ExtrinsicObject"):
                print(entry.find(f"{RIM}Name/{RIM}LocalizedString").get("value"))
    finally:
        cardd("DELETE", path, bearer=token)


if __name__ == "__main__":
    main(*sys.argv[1:])
