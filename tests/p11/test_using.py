"""Programs use the card's keys: first use asks, the PIN is cardd's own dialog, each use is an audit row."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from tests.cli.station import User
from tests.p11.programs import (
    AUTHENTICATION,
    BY_CTYPES,
    CERTIFICATE,
    KEY,
    MODULES,
    Desk,
    desk,
    needs,
    registered,
    session_of,
)
from tests.rig.lps import Json
from tests.rig.nginx import Nginx, Pair
from tests.rig.ports import free_port
from tests.rig.simulator import simulated_card, simulated_cps4
from tests.rig.waiting import eventually_here

# OpenSSL prefers RSA-PSS, which a CPS3's authentication key cannot do
PKCS1_ONLY = """
openssl_conf = conf
[conf]
ssl_conf = ssl
[ssl]
system_default = tls
[tls]
SignatureAlgorithms = RSA+SHA256:RSA+SHA512
"""
WHO = "CN=899000000010"
# what parent and child have by turns: return values, slots with a token, and whether the parent's session is known
FORKING = f"""{BY_CTYPES}
def slots():
    found, count = (ctypes.c_ulong * 8)(), ctypes.c_ulong(8)
    rv = call(4, ctypes.c_ubyte(1), ctypes.addressof(found), ctypes.addressof(count))
    return [rv, *found[:count.value]] if rv == 0 else [rv]
def is_open():
    told = (ctypes.c_ulong * 4)()
    return call(15, session, ctypes.addressof(told))
call(0, None)
session = ctypes.c_ulong()
call(12, ctypes.c_ulong(1), ctypes.c_ulong(4), None, None, ctypes.addressof(session))
print(slots(), is_open(), flush=True)
child = os.fork()
if not child:
    print(slots(), call(0, None), slots(), is_open(), call(1, None), flush=True)
    os._exit(0)
os.waitpid(child, 0)
print(slots(), is_open(), call(1, None), flush=True)
"""


@pytest.fixture(scope="module")
def cps4(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk with a CPS4."""
    needs("pkcs11-tool")
    with desk(tmp_path_factory.mktemp("cps4"), simulated_cps4()) as made:
        yield made


def certificate(of: Desk) -> Path:
    """The authentication certificate, as PEM, for programs that take no address of one."""
    path = of.station.directory / "certificate.pem"
    der = of.station.directory / "certificate.der"
    of.pkcs11_tool("--read-object", "--type", "cert", "--id", AUTHENTICATION, "-o", der)
    of.says("openssl", "x509", "-inform", "DER", "-in", der, "-out", path)
    return path


def rows(of: Desk) -> list[tuple[str, str, str]]:
    """The acts of programs in the audit log, oldest first: what, by which program, and how it ended."""
    kept = cast(list[Json], of.station.local("/v1/audit")["rows"])
    found = [(str(row["action"]), str(row["program"]), str(row["outcome"])) for row in reversed(kept)]
    return [row for row in found if row[0].startswith("program.")]


def test_openscs_own_test_finds_no_error(shared: Desk) -> None:
    said = shared.pkcs11_tool("--login", "--test")

    assert said.rstrip().endswith("No errors")
    assert "all 4 signature functions seem to work" in said


def test_a_signature_verifies(shared: Desk, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"some data")
    shared.pkcs11_tool(
        *("--sign", "-m", "SHA256-RSA-PKCS", "--id", AUTHENTICATION),
        *("-i", tmp_path / "data", "-o", tmp_path / "signature"),
    )
    public = shared.says("openssl", "x509", "-in", certificate(shared), "-pubkey", "-noout")
    (tmp_path / "key.pem").write_text(public)

    said = shared.says(
        *("openssl", "dgst", "-sha256", "-verify", tmp_path / "key.pem"),
        *("-signature", tmp_path / "signature", tmp_path / "data"),
    )

    assert "Verified OK" in said


def test_gnutls_logs_in_at_a_server(shared: Desk, server: tuple[Nginx, Pair]) -> None:
    needs("gnutls-cli")
    nginx, own = server
    said = shared.says(
        *("gnutls-cli", "--provider", MODULES[0], "--x509certfile", CERTIFICATE, "--x509keyfile", KEY),
        *("--priority", "NORMAL:-VERS-TLS1.3", "--x509cafile", own.certificate, "-p", nginx.port, "localhost"),
        given="GET /who HTTP/1.0\r\n\r\n",
    )

    assert WHO in said
    assert "|TLSv1.2|" in said


def test_openssl_logs_in_by_what_was_registered(shared: Desk, server: tuple[Nginx, Pair], tmp_path: Path) -> None:
    nginx, own = server
    session = session_of(registered(tmp_path, shared.socket))
    said = shared.says(
        *("openssl", "s_client", "-engine", "pkcs11", "-keyform", "engine", "-key", KEY, "-cert", certificate(shared)),
        *("-CAfile", own.certificate, "-connect", f"localhost:{nginx.port}", "-tls1_2", "-sigalgs", "RSA+SHA256"),
        *("-quiet", "-ign_eof"),
        given="GET /who HTTP/1.0\r\n\r\n",
        **session,
    )

    assert WHO in said


def test_curl_logs_in_with_a_card_that_has_no_pss(shared: Desk, server: tuple[Nginx, Pair], tmp_path: Path) -> None:
    nginx, own = server
    (tmp_path / "openssl.cnf").write_text(PKCS1_ONLY)
    said = shared.says(
        *("curl", "-sS", "--tls-max", "1.2", "--cacert", own.certificate, "--engine", "pkcs11"),
        *("--cert", CERTIFICATE, "--key", KEY, f"https://localhost:{nginx.port}/who"),
        PKCS11_MODULE_PATH=str(MODULES[0]),
        OPENSSL_CONF=str(tmp_path / "openssl.cnf"),
    )

    assert WHO in said


@pytest.fixture(scope="module")
def logins(cps4: Desk, server: tuple[Nginx, Pair], tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What curl and gnutls-cli said when they logged in with the CPS4."""
    needs("gnutls-cli")
    nginx, own = server
    session = session_of(registered(tmp_path_factory.mktemp("home"), cps4.socket))
    by_curl = cps4.says(
        *("curl", "-sS", "--cacert", own.certificate, "--engine", "pkcs11", "--cert", CERTIFICATE, "--key", KEY),
        f"https://localhost:{nginx.port}/who",
        **session,
    )
    by_gnutls = cps4.says(
        *("gnutls-cli", "--provider", MODULES[0], "--x509certfile", CERTIFICATE, "--x509keyfile", KEY),
        *("--x509cafile", own.certificate, "-p", nginx.port, "localhost"),
        given="GET /who HTTP/1.0\r\n\r\n",
    )
    return [by_curl, by_gnutls]


def test_a_cps4_logs_in_by_tls_1_3_everywhere(logins: list[str]) -> None:
    assert ["|TLSv1.3|" in said and WHO in said for said in logins] == [True, True]


@pytest.mark.usefixtures("logins")
@pytest.mark.parametrize("program", ["/usr/bin/curl", "/usr/bin/gnutls-cli"])
def test_each_program_is_asked_about_once_and_its_uses_are_rows(cps4: Desk, program: str) -> None:
    asked = [each.kind for each in cps4.station.pinentry.shown() if program in each.description]

    assert asked == ["confirm", "pin"]
    assert [row for row in rows(cps4) if row[1] == program] == [
        ("program.allow", program, "done"),
        ("program.tls", program, "done"),
    ]


def test_a_cps4_signs_by_pss_with_sha_512(cps4: Desk, tmp_path: Path) -> None:
    (tmp_path / "digest").write_bytes(hashlib.sha512(b"some data").digest())
    (tmp_path / "data").write_bytes(b"some data")
    cps4.pkcs11_tool(
        *("--sign", "-m", "RSA-PKCS-PSS", "--hash-algorithm", "SHA512", "--mgf", "MGF1-SHA512", "--salt-len", "64"),
        *("--id", AUTHENTICATION, "-i", tmp_path / "digest", "-o", tmp_path / "signature"),
    )
    public = cps4.says("openssl", "x509", "-in", certificate(cps4), "-pubkey", "-noout")
    (tmp_path / "key.pem").write_text(public)

    said = cps4.says(
        *("openssl", "dgst", "-sha512", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:64"),
        *("-verify", tmp_path / "key.pem", "-signature", tmp_path / "signature", tmp_path / "data"),
    )

    assert "Verified OK" in said


@contextmanager
def sshd(directory: Path, keys: str) -> Iterator[int]:
    """A server for this user alone, which takes these keys; its port."""
    port = free_port()
    host = directory / "host"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host], check=True)
    (directory / "authorized").write_text(keys)
    (directory / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {host}\nAuthorizedKeysFile {directory / 'authorized'}\n"
        f"PidFile {directory / 'sshd.pid'}\nUsePAM no\nStrictModes no\nPermitRootLogin yes\n"
        "KbdInteractiveAuthentication no\nPasswordAuthentication no\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    log = (directory / "sshd.log").open("wb")
    with log, subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", directory / "sshd_config"], stderr=log) as process:
        try:
            eventually_here(lambda: b"listening" in (directory / "sshd.log").read_bytes())
            yield port
        finally:
            process.terminate()


def test_ssh_logs_in_with_the_card(shared: Desk, tmp_path: Path) -> None:
    needs("ssh", "/usr/sbin/sshd")
    keys = shared.says("ssh-keygen", "-D", MODULES[0])
    with sshd(tmp_path, keys.splitlines()[0] + "\n") as port:
        said = shared.says(
            *("ssh", "-F", "none", "-I", MODULES[0], "-p", port, "-o", f"UserKnownHostsFile={tmp_path / 'known'}"),
            *("-o", "StrictHostKeyChecking=no", "-o", "IdentitiesOnly=no", "127.0.0.1", "echo in by card"),
        )

    assert "in by card" in said


def test_cardctl_lists_the_programs_and_shuts_one_out(shared: Desk, tmp_path: Path) -> None:
    user = User(tmp_path, shared.station.daemon)
    shared.pkcs11_tool("--login", "--test")

    listed = {str(one["path"]): one["rights"] for one in user.run("programs", "--json").rows("programs")}
    assert "data" in cast(list[str], listed["/usr/bin/pkcs11-tool"])
    assert "signer et déchiffrer des données" in user.ok("programs", "list", "--lang", "fr")
    user.ok("programs", "revoke", "/usr/bin/pkcs11-tool")
    assert "/usr/bin/pkcs11-tool" not in user.ok("programs")
    told = user.ok("audit", "tail", "-n", "20", "--directory", shared.station.directory / "state/audit").splitlines()
    assert any("program.data" in row and "/usr/bin/pkcs11-tool" in row and "CKM_" in row for row in told)
    assert told[-1].split()[3:] == ["program.revoke", "done", "/usr/bin/pkcs11-tool"]
    assert user.run("programs", "revoke", "/usr/bin/pkcs11-tool").err.startswith("No such program")


def test_a_daemon_that_was_started_again_has_the_same_slots(cps4: Desk) -> None:
    before = cps4.pkcs11_tool("-L", "-O")
    cps4.station.daemon.stop()
    assert "No slots" in cps4.run("pkcs11-tool", "--module", MODULES[0], "-L").stdout
    cps4.station.daemon.start()
    cps4.station.wait_for_cards(1)

    assert cps4.pkcs11_tool("-L", "-O") == before


def test_a_child_that_was_forked_has_the_same_slots_and_its_parent_goes_on(shared: Desk) -> None:
    with shared.station.card(simulated_card("pharmacien"), slot=1):
        before, child, after = shared.says(sys.executable, "-c", FORKING, MODULES[0]).splitlines()

    assert before == "[0, 1, 2] 0"
    assert child == "[400] 0 [0, 1, 2] 179 0"  # CKR_CRYPTOKI_NOT_INITIALIZED, CKR_SESSION_HANDLE_INVALID
    assert after == "[0, 1, 2] 0 0"
