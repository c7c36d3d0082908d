"""xmlsec1 and npm's xadesjs as the judges of XML signatures; what stands in an element, where it must."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
from pathlib import Path

from lxml.etree import _Element

from tests.rig.jose import JUDGES

Element = _Element

XADES = "http://uri.etsi.org/01903/v1.3.2#"
XADES_111 = "http://uri.etsi.org/01903/v1.1.1#"
CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)


def at(root: Element, path: str) -> Element:
    """The first element at this path, which is there."""
    found = root.find(path)
    assert found is not None, path
    return found


def text_at(root: Element, path: str) -> str:
    """The text that is there."""
    found = at(root, path).text
    assert found is not None, path
    return found


def has_xadesjs() -> bool:
    """Whether node and the packages that ``make setup`` installs are here."""
    return shutil.which("node") is not None and (JUDGES / "node_modules" / "xadesjs").is_dir()


def xmlsec_accepts(signed: Path, roots: bytes, *options: str) -> bool:
    """Whether ``xmlsec1 --verify`` accepts the file, its certificate under these roots (PEM).

    What a reference without a fragment names is looked for beside the file.
    """
    trusted = []
    for number, certificate in enumerate(CERTIFICATE.findall(roots)):
        path = signed.with_suffix(f".root{number}.pem")
        path.write_bytes(certificate)
        trusted += ["--trusted-pem", str(path)]
    identifiers = [part for version in (XADES, XADES_111) for part in ("--id-attr:Id", f"{version}:SignedProperties")]
    command = ["xmlsec1", "--verify", *identifiers, *trusted, *options, signed.name]
    done = subprocess.run(command, cwd=signed.parent, check=False, capture_output=True, text=True, timeout=60)
    told = done.stdout + done.stderr
    assert "unknown option" not in told.lower(), told
    return done.returncode == 0


def xadesjs_accepts(signed: bytes, content: bytes | None = None) -> bool:
    """Whether xadesjs accepts it, under the key of the certificate that it holds; ``content`` is what is apart."""
    asked = {"xml": signed.decode()}
    if content is not None:
        asked["content"] = base64.b64encode(content).decode()
    done = subprocess.run(
        ["node", "--no-warnings", "xades.mjs"],
        cwd=JUDGES,
        check=True,
        capture_output=True,
        input=json.dumps(asked).encode(),
        timeout=60,
    )
    return bool(json.loads(done.stdout).get("accepted"))
