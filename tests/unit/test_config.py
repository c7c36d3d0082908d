"""The configuration: what is accepted, what is refused and how the refusal is told."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from cardd.config import Config
from cardd.config.kinds import Why
from cardd.config.loading import load, parse
from cardd.config.reference import explain, keys
from cardd.errors import ConfigInvalid
from tests.repository.rules import ROOT
from tests.rig import other_user


def refusal(text: str) -> ConfigInvalid:
    with pytest.raises(ConfigInvalid) as caught:
        parse(text)
    return caught.value


def test_an_empty_file_gives_the_defaults() -> None:
    assert parse("") == Config()
    assert Config().listen.tcp == 17463
    assert Config().session.idle == 30 * 60
    assert Config().session.max_age == 4 * 3600
    assert Config().web.unknown_origins == "refuse"


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("30", 30), ("2.5", 2.5), ('"30 min"', 1800), ('"4 h"', 14400), ('"90s"', 90), ('"1.5 min"', 90)],
)
def test_durations_are_seconds_or_carry_a_unit(written: str, seconds: float) -> None:
    assert parse(f"[session]\nmax_age = {written}").session.max_age == seconds


def test_a_card_can_be_held_for_milliseconds_or_not_at_all() -> None:
    assert parse('[card]\nhold = "250 ms"').card.hold == 0.25
    assert parse("[card]\nhold = 0").card.hold == 0


@pytest.mark.parametrize("written", ['"soon"', '"-5 min"', '"5 days"', '"5 min "', "true", "inf", "nan", "[]", '""'])
def test_what_is_no_duration_is_refused(written: str) -> None:
    assert refusal(f"[session]\nidle = {written}").params["why"] == "duration"


@pytest.mark.parametrize("written", ["0", "-1", '"48 h"'])
def test_a_duration_has_limits(written: str) -> None:
    assert refusal(f"[session]\nidle = {written}").params["why"] == "range"


@pytest.mark.parametrize(
    ("written", "port"),
    [
        ('"127.0.0.1:17463"', 17463),
        ('"[::1]:9000"', 9000),
        ('"localhost:9000"', 9000),
        ("9000", 9000),
        ('"9000"', 9000),
        ("0", 0),
    ],
)
def test_a_loopback_address_or_a_port_alone_names_the_port(written: str, port: int) -> None:
    assert parse(f"[listen]\ntcp = {written}").listen.tcp == port


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0:17463",
        "[::]:17463",
        "*:17463",
        ":17463",
        "192.168.1.10:17463",
        "127.0.0.2:17463",
        "127.1:17463",
        "[::ffff:127.0.0.1]:17463",
        "example.org:17463",
        "localhost.example.org:17463",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:17463 ",
        "2130706433:17463",
    ],
)
def test_listening_beyond_this_machine_is_refused(address: str) -> None:
    assert refusal(f'[listen]\ntcp = "{address}"').params["why"] == "loopback"


def test_a_port_above_the_last_is_refused() -> None:
    assert refusal("[listen]\ntcp = 65536").params["why"] == "range"


@pytest.mark.parametrize(
    "origin",
    ["https://lps.example", "https://lps.example:8443", "https://xn--mdecin-bva.example", "https://[2001:db8::1]:8443"],
)
def test_an_exact_https_origin_is_accepted(origin: str) -> None:
    assert parse(f'[web]\nallowed_origins = ["{origin}"]').web.allowed_origins == (origin,)


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "*",
        "",
        "lps.example",
        "https://*.lps.example",
        "https://lps.example/",
        "https://lps.example/path",
        "https://lps.example?x",
        "https://user@lps.example",
        "https://LPS.example",
        "HTTPS://lps.example",
        "https://lps.example:443",
        "https://lps.example:0",
        "https://lps.example:08443",
        "https://lps.example:65536",
        "https://lps.example:",
        "https://médecin.example",
        "https://lps.example.",
        "https://-lps.example",
        "https://lps.example\\\\@other.example",
        "https://lps.example https://other.example",
        "https://",
        "wss://lps.example",
        "file://lps",
        "chrome-extension://abcdef",
    ],
)
def test_what_no_browser_sends_as_an_origin_is_refused(origin: str) -> None:
    assert refusal(f'[web]\nallowed_origins = ["{origin}"]').params["why"] == "origin"


def test_an_origin_that_is_no_text_is_refused() -> None:
    assert refusal("[web]\nallowed_origins = [1]").params["why"] == "type"
    assert refusal('[web]\nallowed_origins = "https://lps.example"').params["why"] == "type"


def test_an_http_origin_needs_the_development_switch() -> None:
    text = '[web]\nallowed_origins = ["http://localhost:5173"]\n'
    assert refusal(text).params["why"] == "insecure_origin"
    assert parse(text + "allow_insecure_origins = true").web.allowed_origins == ("http://localhost:5173",)
    portal = "[web]\nallow_insecure_origins = true\n[portals.a]\norigin = 'http://localhost:3000'"
    assert parse(portal).portals["a"].origin == "http://localhost:3000"


def test_an_unknown_key_is_told_with_the_nearest_known_one() -> None:
    error = refusal("[session]\nidel = 5")
    assert error.params == {"file": "cardd.toml", "key": "session.idel", "why": "unknown", "expected": "session.idle"}


def test_an_unknown_section_is_told_with_the_nearest_known_one() -> None:
    assert refusal("[sesion]\nidle = 5").params["expected"] == "session"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("listen = 5", "type"),
        ('[listen]\nmax_body = "16 MiB"', "type"),
        ("[listen]\nmax_body = true", "type"),
        ("[listen]\nmax_body = 1.5", "type"),
        ("[listen]\nmax_body = 0", "range"),
        ("[listen]\nsocket = 5", "type"),
        ('[listen]\nsocket = "cardd.sock"', "path"),
        ('[prompt]\npinentry = "pinentry"', "path"),
        ('[session]\npin = "never"', "choice"),
        ("[web]\nallow_insecure_origins = 1", "type"),
        ("[consent]\nbatch_max = 0", "range"),
        ("session = ", "toml_value"),
        ("a = " + "[" * 10_000, "toml_bracket"),
        ("idle", "toml_statement"),
        ("[session]\nidle = 4 h", "toml_more"),
        ('[session]\npin = "ask', "toml_text"),
        ("[session", "toml_bracket"),
        ("[session]\n[session]", "toml_twice"),
        ('[listen]\nsocket = "/run/a"\nagent_socket = "/run/a"', "same_path"),
        ('[drivers.pkcs11]\nmodules = ["cps"]\nunconfined = ["csp"]', "choice"),
    ],
)
def test_a_wrong_value_is_refused_with_its_reason(text: str, why: str) -> None:
    assert refusal(text).params["why"] == why


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[session]\nidle = 4 h", "cardd.toml : TOML incorrect en 2:10 (ligne:colonne) : "),
        ("[session]\nidle = ", "cardd.toml : TOML incorrect en 2:7 (ligne:colonne) : "),
        ("[web]\nallow_insecure_origins = 1", "type incorrect ; attendu : booléen"),
        ("[drivers.pkcs11]\nmodules = 1", "type incorrect ; attendu : liste de textes"),
    ],
)
def test_what_is_wrong_is_told_in_french_to_the_last_word(text: str, told: str) -> None:
    assert told in explain(refusal(text), "fr").replace("\N{NARROW NO-BREAK SPACE}", " ")


def test_a_folder_is_no_configuration_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        load(tmp_path)
    assert refused.value.params["why"] == "folder"


def test_no_pinentry_is_written_as_an_empty_text() -> None:
    assert parse('[prompt]\npinentry = ""').prompt.pinentry is None
    assert parse('[prompt]\npinentry = "/usr/bin/pinentry"').prompt.pinentry == Path("/usr/bin/pinentry")


def test_the_agent_socket_and_the_audit_log_follow_their_neighbours() -> None:
    config = parse('[listen]\nsocket = "/tmp/x/cardd.sock"\n[state]\ndirectory = "/tmp/x/state"')
    assert config.listen.agent_socket == Path("/tmp/x/agent.sock")
    assert config.audit.directory == Path("/tmp/x/state/audit")


def test_drop_ins_replace_single_keys_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "cardd.toml").write_text('[session]\nidle = 60\npin = "ask"\n')
    drop_ins = tmp_path / "cardd.toml.d"
    drop_ins.mkdir()
    (drop_ins / "20-site.toml").write_text("[session]\nidle = 90\n")
    (drop_ins / "10-vendor.toml").write_text("[session]\nidle = 70\nmax_age = 100\n")
    (drop_ins / "README").write_text("not TOML")
    session = load(directory=tmp_path).session
    assert (session.idle, session.max_age, session.pin) == (90, 100, "ask")


def test_a_fault_names_the_file_it_stands_in(tmp_path: Path) -> None:
    (tmp_path / "cardd.toml").write_text("[session]\nidle = 60\n")
    (tmp_path / "cardd.toml.d").mkdir()
    culprit = tmp_path / "cardd.toml.d" / "50-site.toml"
    culprit.write_text('[web]\nallowed_origins = ["http://lps.example"]\n')
    with pytest.raises(ConfigInvalid) as caught:
        load(directory=tmp_path)
    assert caught.value.params["file"] == str(culprit)


def test_no_file_at_all_gives_the_defaults_but_a_named_one_must_exist(tmp_path: Path) -> None:
    assert load(directory=tmp_path) == Config()


def test_a_directory_that_may_not_be_looked_into_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(_: Path) -> bool:
        raise PermissionError

    monkeypatch.setattr(Path, "exists", closed)  # root, as whom tests may run, looks into all
    with pytest.raises(ConfigInvalid) as refused:
        load(directory=tmp_path)
    assert (refused.value.params["file"], refused.value.params["why"]) == (str(tmp_path), "forbidden")
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path / "absent.toml")
    assert caught.value.params["why"] == "absent"
    assert explain(caught.value, "fr").endswith("ce fichier n'existe pas")


@other_user.needs_root
def test_drop_ins_that_may_not_be_listed_are_no_defaults(tmp_path: Path) -> None:
    drop_ins = tmp_path / "cardd.toml.d"
    drop_ins.mkdir()
    (drop_ins / "site.toml").write_text("[audit]\nsealed = true\n")
    other_user.open_to_everybody(tmp_path)
    drop_ins.chmod(0o700)
    told = other_user.run(
        "from cardd.errors import ConfigInvalid\n"
        "try:\n    print(load(directory=Path(sys.argv[1])).audit.sealed)\n"
        "except ConfigInvalid as refused:\n    print(refused.params['file'], refused.params['why'])",
        tmp_path,
        imports="from pathlib import Path\nfrom cardd.config.loading import load",
    )
    assert told.split() == [str(drop_ins), "forbidden"]


def test_a_file_in_place_of_the_drop_ins_is_told(tmp_path: Path) -> None:
    (tmp_path / "cardd.toml.d").write_text("")
    with pytest.raises(ConfigInvalid) as caught:
        load(directory=tmp_path)
    assert caught.value.params["why"] == "unreadable"


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "latin1.toml").write_bytes('[state]\ndirectory = "/é"'.encode("latin-1"))
    with pytest.raises(ConfigInvalid) as caught:
        load(tmp_path / "latin1.toml")
    assert caught.value.params["why"] == "unreadable"


def test_a_file_that_an_editor_of_windows_marked_is_read(tmp_path: Path) -> None:
    (tmp_path / "marked.toml").write_bytes(b'\xef\xbb\xbf[prompt]\npinentry = "/usr/bin/pinentry"\r\n')
    assert load(tmp_path / "marked.toml").prompt.pinentry == Path("/usr/bin/pinentry")


def test_a_refusal_is_one_sentence_in_french_and_in_english() -> None:
    error = refusal("[session]\nidel = 5")
    assert explain(error, "en") == "cardd.toml: session.idel: unknown key; the nearest one is session.idle"
    assert "clé inconnue" in explain(error, "fr")


REFUSED = [
    ("[session]\nidel = 5", "unknown", "session.idle"),
    ("listen = 5", "type", "[listen]"),
    ("[listen]\nmax_body = 0", "range", "1024–1073741824"),
    ('[session]\nidle = "48 h"', "range", "1–86400 s"),
    ('[session]\nidle = "soon"', "duration", "30 min"),
    ('[session]\npin = "never"', "choice", '"hold", "ask"'),
    ('[listen]\nsocket = "cardd.sock"', "path", "/…"),
    ('[psc]\nissuer = "http://psc.example"', "https", "https://host[:port][/path]"),
    ('[timestamp]\nurl = "ftp://x"', "http", "https://host[:port][/path]"),
    ('[listen]\ntcp = "0.0.0.0:17463"', "loopback", "127.0.0.1:17463"),
    ('[web]\nallowed_origins = ["https://a.example", "https://a.example/"]', "origin", "'https://a.example/'"),
    ('[web]\nallowed_origins = ["http://a.example"]', "insecure_origin", "http://a.example"),
    ("[psc]\nmode = 'proxy'", "missing", "https://…"),
    ("[psc]\nparameters = ['nonce=x']", "own", "nonce"),
    ("[network]\nproxy = 'http://user:secret@proxy.example:3128'", "proxy", "http://proxy.example:3128"),
    ("[psc]\nissuer = 'https://auth.esw.esante.gouv.fr/r'\nsandbox = true", "production", "esw.esante.gouv.fr"),
    ("[upstreams.a]\nurl = 'https://a.example'\nheaders = ['X-SSL-Client-DN']", "forging", "X-SSL-Client-DN"),
    ("[portals.a]\nrights = ['sign']", "missing", "https://host[:port]"),
    ("[portals.a]\norigin = 'http://a.example'", "insecure_origin", "http://a.example"),
    (
        "[portals.a]\norigin = 'https://a.example'\n[portals.b]\norigin = 'https://a.example'",
        "same_origin",
        "portals.a",
    ),
    ("[portals.a]\norigin = 'https://a.example'\nrights = ['all']", "choice", '"detect"'),
    ("[psc]\nextra_hosts = ['https://psc.example']", "host", "psc.example"),
    ('[listen]\nsocket = "/run/a"\nagent_socket = "/run/a"', "same_path", "/run/a"),
    ("[listen]\nhttps = 17463", "same_port", "17463"),
    ("session = ", "toml_value", "1:10"),
    ("session", "toml_statement", "1:8"),
    ("[session]\nidle = 4 h", "toml_more", "2:10"),
    ("[session]\n\npin = 'ask", "toml_text", "3:11"),
    ("[session", "toml_bracket", "1:9"),
    ("[session]\n[session]", "toml_twice", "2:9"),
]


@pytest.mark.parametrize(("text", "why", "expected"), REFUSED)
def test_a_refusal_tells_the_file_the_reason_and_what_would_do_in_each_language(
    text: str, why: str, expected: str
) -> None:
    error = refusal(text)
    sentences = {explain(error, language) for language in ("fr", "en")}
    assert error.params["why"] == why
    assert len(sentences) == 2
    for sentence in sentences:
        assert "cardd.toml" in sentence
        assert str(error.params["key"]) in sentence
        assert expected in sentence


def test_each_reason_is_shown_by_one_of_these_refusals() -> None:
    # of files that cannot be read, of what no known complaint of tomllib is, and of a socket that systemd passed or not
    elsewhere = {"absent", "forbidden", "folder", "no_file", "unreadable", "toml", "inherited", "not_passed"}
    assert {why for _, why, _ in REFUSED} | elsewhere == ConfigInvalid.words["why"].keys() == set(get_args(Why))


def test_the_reference_lists_defaults_that_the_loader_reads_back_as_the_defaults() -> None:
    written = ""
    fixed = [key for key in keys() if ".NAME." not in key.name]  # an upstream has an address of its own
    for key in fixed:
        section, _, name = key.name.partition(".")
        written += f"[{section}]\n" if f"[{section}]\n" not in written else ""
        written += f"{name} = {key.default}\n"
    assert len(tomllib.loads(written)) == len({key.name.partition(".")[0] for key in fixed})
    assert parse(written) == Config()


def test_each_key_has_a_kind_and_a_meaning_in_both_languages() -> None:
    for key in keys():
        assert key.kind
        assert key.kind_fr != key.kind or '"' in key.kind or key.kind == "port"
        assert key.en.endswith(".")
        assert key.fr.endswith(".")
        assert key.en != key.fr


def test_the_page_on_the_configuration_has_every_key_as_it_is_declared() -> None:
    rows = "".join(
        f"| `{key.name}` | {key.kind.replace('|', '&#124;')} | `{key.default}` | {key.en} |\n" for key in keys()
    )
    page = (ROOT / "docs/configuration.md").read_text()
    assert page.endswith(f"\n| key | kind | default | meaning |\n|---|---|---|---|\n{rows}")


def test_the_page_on_the_configuration_lists_what_a_reload_takes() -> None:
    page = " ".join((ROOT / "docs/configuration.md").read_text().split())
    assert f"for open sessions too: {', '.join(f'`{key.name}`' for key in keys() if key.live)}. " in page


def test_a_list_that_may_not_be_empty_says_what_belongs_into_it() -> None:
    error = refusal("[upstreams.a]\nurl = 'https://a.example'\npaths = []")
    assert (error.params["why"], error.params["expected"]) == ("path", "[/…]")


def test_importing_the_configuration_loads_no_event_loop_and_no_library_but_the_one_that_checks_it() -> None:
    code = "import cardd.config.loading, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"asyncio", "aiohttp", "cryptography", "difflib", "dbus_fast"} & set(loaded)
