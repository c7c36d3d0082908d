"""Doctor's checks one at a time: what only part of a workstation can show, and what is good where it is there."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import keyring
import pytest
from keyring.backends import fail

from cardd.cli.doctor import CHECKS
from cardd.cli.doctor.check import Level
from cardd.cli.doctor.examining import cause, examine
from cardd.cli.doctor.surroundings import Surroundings
from cardd.cli.policies import Policies
from cardd.config import Config, Csa
from cardd.errors import PcscUnavailable
from cardd.system.pcsc_clients import clients
from cardd.system.peer import processes
from cardd.values import replace
from cardd_simulators.cards.interface import PoweredCard
from tests.api.test_ecps_check import started
from tests.api.workbench import Workbench
from tests.cli.breakages.machine import AVC, DENIED, forbidden
from tests.cli.breakages.making import agent, as_installed, orphan, small_disk, with_files
from tests.cli.breakages.network import OUTSIDE
from tests.cli.breakages.readers import plug_in
from tests.cli.doctor import code, configured, result
from tests.cli.practice import Practice, practising
from tests.cli.test_doctor_service import EXAMINE, IMPORTS
from tests.hostile.cards import AUTHENTICATION, CDF, SIGNATURE, HostileCard, Malice
from tests.rig import other_program, other_user
from tests.rig.here import use_socket
from tests.rig.pcscd import Pcscd
from tests.rig.pens import SmallAuthority, der, usage_of
from tests.rig.ports import free_port
from tests.rig.simulator import simulated_card, store
from tests.rig.waiting import eventually_here

pytestmark = other_user.needs_root


@pytest.fixture(scope="module")
def practice(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    with practising(tmp_path_factory.mktemp("practice")) as practice:
        yield practice


# --- the reader service


async def test_what_stands_in_the_place_of_pcscds_socket_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    use_socket(tmp_path / "file")
    found = await result("pcscd_socket")  # whoever set the variable chose the file: nobody is told to change that
    assert (found.code, "sudo" in found.remedy("en")) == ("pcscd_socket.misnamed", False)
    use_socket(tmp_path / "none")
    assert await code("pcscd_socket") == "skipped.no_pcscd"


async def test_what_was_forbidden_to_a_service_that_is_down_is_why(tmp_path: Path) -> None:
    use_socket(tmp_path / "none")
    surroundings = Surroundings(base=tmp_path / "none.sock", kernel_log=lambda: forbidden(DENIED))
    for start, expected in ((59_000_000, "denials.apparmor"), (61_000_000, "pcscd.absent")):
        unit = {"ActiveState": "active", "ExecMainStartTimestampMonotonic": f"{start}"}
        now = replace(surroundings, unit={"pcscd": unit}.get)
        results = await examine(CHECKS, ["denials", "pcscd"], now)
        found = cause(results)
        assert found
        assert (found.code, [one.code for one in results][1]) == (expected, "pcscd.absent")


@pytest.mark.parametrize(
    ("state", "level"), [("failed", Level.FAILURE), ("activating", Level.FAILURE), ("inactive", Level.WARNING)]
)
async def test_a_service_that_does_not_run_is_not_started_to_see_whether_what_was_forbidden_is_why(
    tmp_path: Path, state: str, level: Level
) -> None:
    with socket.socket(socket.AF_UNIX) as listening:  # systemd, which starts it for whoever connects
        listening.bind(str(tmp_path / "cardd.sock"))
        listening.listen()
        listening.settimeout(0)
        surroundings = Surroundings(
            base=tmp_path / "cardd.sock",
            kernel_log=lambda: forbidden(AVC),
            unit={"cardd": {"ActiveState": state, "SocketState": "active"}}.get,
        )
        [found] = await examine(CHECKS, ["denials"], surroundings)
        assert (found.code, found.level) == ("denials.selinux", level)
        with pytest.raises(BlockingIOError):
            listening.accept()


def test_a_socket_of_pcscds_that_this_user_may_not_use_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    code = f"os.environ['PCSCLITE_CSOCK_NAME'] = '{tmp_path}/pcscd.comm'\n{EXAMINE}"
    told = other_user.run(code, "pcscd_socket", tmp_path / "doctor.toml", imports=IMPORTS)
    assert told.strip() == "pcscd_socket.refused"


@pytest.mark.parametrize(
    ("pcsc", "expected"),
    [("8010006A", "pcscd.refused"), ("80100013", "pcscd.fault"), ("8010001D", "pcscd.absent")],
)
async def test_what_pcsc_answers_is_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pcsc: str, expected: str
) -> None:
    surroundings = Surroundings(base=tmp_path / "none.sock")

    def refuse() -> None:
        raise PcscUnavailable.received(pcsc=pcsc)

    monkeypatch.setattr(surroundings, "readers", refuse)
    assert await code("pcscd", surroundings) == expected


async def test_where_logins_are_by_ecps_or_the_organisation_alone_nobody_misses_pcscd(tmp_path: Path) -> None:
    use_socket(tmp_path / "none")
    text = f'[listen]\nsocket = "{tmp_path}/none.sock"\n'
    ecps = text + '[psc]\nproxy = "https://lps.example"\nclient_id = "x"\n'
    installed = with_files(tmp_path, "usr/sbin/pcscd")
    for said, root, expected in (
        (ecps, tmp_path / "elsewhere", "skipped.no_pcscd_needed"),
        (text + '[csa]\nauthentication = "/none.p12"\n', tmp_path / "elsewhere", "skipped.no_pcscd_needed"),
        (ecps, installed, "pcscd.absent"),
        (text, tmp_path / "elsewhere", "pcscd.absent"),
    ):
        surroundings = replace(configured(tmp_path, said), root=root)
        assert await code("pcscd", surroundings) == expected
        assert await code("reader", surroundings) == expected.replace("pcscd.absent", "skipped.no_pcscd")


async def test_polkit_that_has_the_rule_is_good(tmp_path: Path) -> None:
    files = ["usr/share/polkit-1/actions/org.debian.pcsc-lite.policy", "usr/lib/systemd/system/cardd.service"]
    root = with_files(tmp_path, *files, "etc/polkit-1/rules.d/50-cardd.rules")
    found = await result("polkit", Surroundings(root=root))
    assert (found.code, found.params["file"]) == ("polkit.ok", "/etc/polkit-1/rules.d/50-cardd.rules")
    assert await code("polkit", Surroundings(root=tmp_path / "elsewhere")) == "skipped.no_polkit"


async def test_a_reader_that_the_driver_does_not_know_is_told(practice: Practice, tmp_path: Path) -> None:
    plug_in(tmp_path / "usb", "08e6", "3437")
    root = with_files(tmp_path, "usr/lib/pcsc/drivers/ifd-ccid.bundle/Contents/Info.plist")
    surroundings = Surroundings(usb=tmp_path / "usb", root=root)
    assert await code("driver", replace(practice.surroundings(tmp_path), root=root)) == "driver.ok"
    empty = Pcscd(tmp_path, devices=0)
    empty.start()
    try:
        use_socket(empty.socket)
        found = await result("driver", surroundings)
        assert (found.code, found.params["device"]) == ("driver.unsuited", "reader 08e6:3437")
    finally:
        empty.stop()
        use_socket(practice.station.pcscd.socket)


# --- who holds the card


@contextmanager
def held(practice: Practice, action: str) -> Iterator[None]:
    with orphan(*other_program.command(action, practice.station.pcscd.reader_names[0]), said=b"held\n"):
        yield


async def test_a_program_that_has_the_card_for_itself_is_named(practice: Practice, tmp_path: Path) -> None:
    """Two ways: a connection of its own (SHARING_VIOLATION at once), and a transaction that does not end."""
    with held(practice, "exclusive"):
        found = await result("held", practice.surroundings(tmp_path))
        assert found.code == "held.program"
        assert found.params["pid"] in processes()
        assert await code("certificates", practice.surroundings(tmp_path)) == "skipped.held"


async def test_of_two_programs_only_their_user_is_named(practice: Practice, tmp_path: Path) -> None:
    with held(practice, "connect"), held(practice, "hold"):
        found = await result("held", practice.surroundings(tmp_path))
        assert (found.code, found.params["user"]) == ("held.user", "root")


async def test_a_holder_that_nobody_sees_is_told_as_one(practice: Practice, tmp_path: Path) -> None:
    """A process that the test itself started counts as its own, and so as none that can be named."""
    with other_program.holding(practice.station.pcscd, practice.station.pcscd.reader_names[0], "exclusive"):
        assert await code("held", practice.surroundings(tmp_path)) == "held.unknown"


AT_WORK = """
import socket, sys
from tests.rig import other_program
listening = socket.socket(socket.AF_UNIX)
listening.bind(sys.argv[3])
listening.listen()
other_program.main(*sys.argv[1:3])
"""


async def test_cardd_at_work_with_the_card_is_no_failure(practice: Practice, tmp_path: Path) -> None:
    """The person types a PIN on the reader's keypad, say: nobody is to close cardd. Here, what listens as it does."""
    path, reader = tmp_path / "cardd.sock", practice.station.pcscd.reader_names[0]
    with orphan(sys.executable, "-c", AT_WORK, "exclusive", reader, str(path), said=b"held\n"):
        assert await code("held", practice.surroundings(tmp_path, {"listen": {"socket": path}})) == "held.cardd"


async def test_a_program_that_calls_itself_cardd_is_named_as_any_other(practice: Practice, tmp_path: Path) -> None:
    named = Path(shutil.copy(other_program.__file__, tmp_path / "cardd"))
    command = (f"PYTHONPATH={other_program.ROOT}", sys.executable, str(named), "exclusive")
    with orphan("/usr/bin/env", *command, practice.station.pcscd.reader_names[0], said=b"held\n"):
        results = await examine(CHECKS, ["held", "stacks"], practice.surroundings(tmp_path))
    assert [one.code for one in results] == ["held.program", "stacks.several"]


# --- what the card holds


@contextmanager
def with_card(practice: Practice, card: PoweredCard) -> Iterator[None]:
    practice.take_out()
    practice.put_in(card)
    yield
    practice.take_out()
    practice.put_in()


async def test_a_card_without_certificates_is_told(practice: Practice, tmp_path: Path) -> None:
    with with_card(practice, HostileCard(Malice(files={CDF: bytes(64)}))):
        assert await code("certificates", practice.surroundings(tmp_path)) == "certificates.none"
        online = practice.surroundings(tmp_path, {"trust": {"revocation": "online"}})
        assert await code("revocation", online) == "skipped.no_revocation"


async def test_who_tells_of_revoked_certificates_is_named_where_the_way_there_is_open(
    practice: Practice, tmp_path: Path
) -> None:
    authority = SmallAuthority()
    with socket.create_server(("127.0.0.1", 0)) as server:
        authority.ocsp = [f"http://127.0.0.1:{server.getsockname()[1]}/ocsp"]
        named = der(
            authority.issue(
                simulated_card().issued.authentication.key, "PERSONNE SIMULATION", usage_of("digital_signature")
            )
        )
        with with_card(practice, HostileCard(Malice(files={SIGNATURE: named, AUTHENTICATION: named}))):
            found = await result("revocation", practice.surroundings(tmp_path, {"trust": {"revocation": "online"}}))
            assert (found.code, found.params["hosts"]) == ("revocation.ok", "127.0.0.1")
            proxied = {"trust": {"revocation": "online"}, "network": {"proxy": "http://127.0.0.1:9"}}
            assert await code("revocation", practice.surroundings(tmp_path, proxied)) == "skipped.by_proxy"


# --- storage


async def test_where_nothing_was_kept_yet_the_state_is_not_looked_at(tmp_path: Path) -> None:
    assert await code("state", configured(tmp_path, f'[state]\ndirectory = "{tmp_path}/none"\n')) == "skipped.no_state"


async def test_a_disk_that_is_nearly_full_is_a_warning(tmp_path: Path) -> None:
    with small_disk(tmp_path, size="50m") as place:
        found = await result("disk", configured(tmp_path, f'[audit]\ndirectory = "{place}"\n'))
    assert (found.code, found.params["path"]) == ("disk.low", str(place))


# --- beside cardd


async def test_the_middleware_is_told_with_its_version(tmp_path: Path) -> None:
    library = "usr/lib64/libcps3_pkcs11_lux.so"
    root = with_files(tmp_path, "opt/santesocial/CPS/lib/libcps3_pkcs11_lux.so", f"{library}.0", f"{library}.3.1.0")
    found = await result("middleware", Surroundings(root=root))
    assert (found.code, found.params["version"]) == ("middleware.found", "3.1.0")


async def test_modules_are_found_by_path_and_by_name(tmp_path: Path) -> None:
    root = with_files(tmp_path, "usr/share/p11-kit/modules/opensc-pkcs11.module")
    surroundings = configured(tmp_path, '[drivers.pkcs11]\nmodules = ["opensc-pkcs11", "/usr/bin/true"]\n')
    assert await code("modules", replace(surroundings, root=root)) == "modules.ok"


async def test_an_organisations_certificate_can_be_renewed_only_while_it_is_valid(tmp_path: Path) -> None:
    file = tmp_path / "org.p12"
    shutil.copy("/etc/hostname", file)
    api = Workbench(tmp_path, Config(csa=Csa(authentication=file)))
    text = f'[listen]\nsocket = "{tmp_path}/cardd.sock"\n[csa]\nauthentication = "{file}"\n'
    async with started(api):
        assert await code("organisation", configured(tmp_path, text)) == "organisation.ok"
        for days, expected in ((30, "organisation.renew"), (-1, "organisation.expired")):
            end = datetime.now(UTC) + timedelta(days=days, hours=1)
            api.parts.logins.csa._expiry.note({"1F": end})
            found = await result("organisation", configured(tmp_path, text))
            assert (found.code, found.params["serial"]) == (expected, "1F")


# --- the desktop


async def test_the_agent_of_this_desktop_is_found(practice: Practice, tmp_path: Path) -> None:
    path = practice.directory / "agent.sock"
    with as_installed(practice), agent(practice, path):
        eventually_here(lambda: bool(clients(str(path))))
        found = [await result(check, practice.surroundings(tmp_path)) for check in ("agent", "second_agent")]
    assert [one.code for one in found] == ["agent.ok", "second_agent.ok"]


async def test_no_keyring_is_a_warning_and_the_services_own_is_none(practice: Practice, tmp_path: Path) -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]
    try:
        assert await code("keyring", practice.surroundings(tmp_path)) == "keyring.absent"
        with as_installed(practice):
            assert await code("keyring", practice.surroundings(tmp_path)) == "skipped.service_secrets"
    finally:
        keyring.set_keyring(before)


@pytest.mark.parametrize("is_taken", [True, False])
async def test_a_session_bus_that_does_not_answer_is_told_in_place_of_the_keyring(
    practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_taken: bool
) -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path}/bus")
    with socket.socket(socket.AF_UNIX) as hung:
        hung.bind(str(tmp_path / "bus"))
        if is_taken:
            hung.listen()
        try:
            assert await code("keyring", practice.surroundings(tmp_path)) == "keyring.bus_silent"
        finally:
            keyring.set_keyring(before)


# --- the network


async def test_a_proxy_that_answers_and_authorities_that_lead_to_a_root_are_good(
    practice: Practice, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"127.0.0.1:{proxy.getsockname()[1]}"
        sections = {"network": {"proxy": f"http://{address}"}, "trust": {"authorities": str(store().chain)}}
        surroundings = practice.surroundings(tmp_path, sections)
        found = await result("proxy", surroundings)
        assert (found.code, found.params["proxy"]) == ("proxy.ok", address)
    assert await code("chain", surroundings) == "chain.ok"
    assert await code("revocation", practice.surroundings(tmp_path, {"trust": {"revocation": "offline"}})) == (
        "skipped.offline"
    )


async def test_a_proxy_of_the_desktop_is_shown_without_its_password(
    practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", f"http://martin:motdepasse@127.0.0.1:{free_port()}")
    found = await result("proxy", practice.surroundings(tmp_path, {"network": {"proxy": "environment"}}))
    assert found.code == "proxy.unreachable"
    assert "motdepasse" not in found.sentence("fr") + str(found.params)
    monkeypatch.setenv("https_proxy", f"http://{'a' * 100}:1")  # a name that none can have
    assert await code("proxy", practice.surroundings(tmp_path, {"network": {"proxy": "environment"}})) == found.code


@pytest.mark.parametrize("address", ["http://martin:motdepasse@127.0.0.1:3l28", "http://[::1", "http://:3128"])
async def test_a_proxy_of_the_desktop_whose_address_is_none_is_told_by_its_variable(
    practice: Practice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("https_proxy", address)
    found = await result("proxy", practice.surroundings(tmp_path, {"network": {"proxy": "environment"}}))
    assert (found.code, found.params) == ("proxy.invalid", {"variable": "https_proxy"})
    assert await code("proxy", practice.surroundings(tmp_path, OUTSIDE)) == "skipped.no_proxy"


# --- browsers


async def test_a_browser_that_was_told_of_the_portal_asks_no_more(tmp_path: Path) -> None:
    root = with_files(tmp_path, "usr/lib/chromium/chromium")
    text = '[web]\nallowed_origins = ["https://portail.example"]\n'
    surroundings = replace(configured(tmp_path, text), root=root)
    assert await code("browser_policy", surroundings) == "browser_policy.asks"
    Policies(root).apply(["https://portail.example"])
    assert await code("browser_policy", surroundings) == "browser_policy.ok"
    [file] = (root / "etc/chromium/policies/managed").iterdir()
    file.write_text('{"LoopbackNetworkAllowedForUrls"')
    assert await code("browser_policy", surroundings) == "browser_policy.unreadable"


async def test_what_pkcs11_lacks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    nothing = replace(configured(tmp_path, ""), root=tmp_path / "elsewhere")
    assert await code("pkcs11", nothing) == "pkcs11.client_missing"
    assert await code("pkcs11", configured(tmp_path, "[p11]\nenabled = false\n")) == "skipped.no_p11"
    (tmp_path / "snap/chromium/current").mkdir(parents=True)
    found = await result("sandboxes", nothing)
    assert (found.code, found.params["program"]) == ("sandboxes.snap", "chromium")


# --- a remote desktop


async def test_a_sessions_own_pcsc_that_answers_is_good_and_one_without_is_not_looked_at(
    practice: Practice, tmp_path: Path
) -> None:
    surroundings = practice.surroundings(tmp_path)
    with as_installed(practice):
        assert await code("remote", surroundings) == "remote.ok"
    assert await code("lending", surroundings) == "skipped.own_readers"
    for check in ("remote", "lending"):
        assert await code(check, replace(surroundings, environment={})) == "skipped.no_remote"
