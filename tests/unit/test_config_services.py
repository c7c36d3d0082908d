"""The sections of services: Pro Santé Connect, upstreams and the DMP, and what of them could never work."""

from __future__ import annotations

import pytest

from cardd.config import Exchange
from cardd.config.loading import parse
from cardd.config.reference import explain
from tests.unit.test_config import refusal


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("version=5.0", '"version=3.0", "version=4.0"'),
        ("version", '"version=3.0", "version=4.0"'),
        ("versoin=4.0", '"version=…"'),
    ],
)
def test_a_point_that_no_profile_of_the_dmp_has_is_refused(written: str, expected: str) -> None:
    error = refusal(f'[dmp]\npoints = ["{written}"]')
    assert (error.params["key"], error.params["why"]) == ("dmp.points", "choice")
    assert expected in str(error.params["expected"])


def test_points_and_labels_of_the_dmp_are_names_with_values() -> None:
    dmp = parse('[dmp]\npoints = ["version=4.0"]\nlabels = ["10=Médecin = docteur"]').dmp
    assert (dmp.changes, dmp.words) == ({"version": "4.0"}, {"10": "Médecin = docteur"})


def test_the_apis_of_psc_are_tables_with_names() -> None:
    written = '[[psc.apis]]\nname = "ins"\naudience = "https://api.example"\n'
    assert parse(written).psc.apis == (Exchange(name="ins", audience="https://api.example"),)


@pytest.mark.parametrize("written", ['audience = "x"', 'name = ""', "name = 1", 'name = "a"\nother = "b"'])
def test_an_api_of_psc_that_is_not_understood_is_refused(written: str) -> None:
    error = refusal(f"[[psc.apis]]\n{written}")
    assert error.params["why"] == "type"
    assert '{ name = "…", endpoint = "…"' in str(error.params["expected"])


@pytest.mark.parametrize(
    "written", ["http://lps.example", "https://", "https://lps.example?a=b", "https://u@lps.example"]
)
def test_the_editor_s_server_is_an_https_address(written: str) -> None:
    assert refusal(f'[psc]\nproxy = "{written}"').params["why"] == "https"


@pytest.mark.parametrize("written", ["http://psc.example/realm", "psc.example", "https://psc.example/realm#x"])
def test_the_issuer_is_an_https_address(written: str) -> None:
    assert refusal(f'[psc]\nissuer = "{written}"').params["why"] == "https"


@pytest.mark.parametrize("written", ["callback", "", "/a?b", "/a#b", "/é", "/a b"])
def test_where_the_browser_comes_back_to_is_a_path(written: str) -> None:
    assert refusal(f'[psc]\nredirect_path = "{written}"').params["why"] == "path"


PSC = '[psc]\nissuer = "https://psc.example/realm"\n'


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ('[psc]\nmode = "proxy"\nclient_id = "x"', "psc.proxy"),
        ('[psc]\nmode = "proxy"\nproxy = "https://lps.example"', "psc.client_id"),
        (PSC, "psc.client_id"),
        (PSC + 'client_id = "x"\nauthentication = "tls"', "psc.certificate"),
        (PSC + 'client_id = "x"\nauthentication = "private_key_jwt"', "psc.certificate"),
    ],
)
def test_a_login_through_psc_that_could_never_succeed_is_refused(written: str, key: str) -> None:
    assert (refusal(written).params["key"], refusal(written).params["why"]) == (key, "missing")


@pytest.mark.parametrize(
    "written",
    [
        PSC + 'client_id = "x"',
        PSC + 'client_id = "x"\nauthentication = "tls"\norganisation = true',
        PSC + 'client_id = "x"\nauthentication = "private_key_jwt"\ncertificate = "/a.p12"',
        '[psc]\nmode = "proxy"\nproxy = "https://lps.example"\nclient_id = "x"\nauthentication = "tls"',
    ],
)
def test_a_login_through_psc_that_is_whole_is_taken(written: str) -> None:
    assert parse(written).psc.client_id == "x"


@pytest.mark.parametrize(
    ("written", "by_proxy", "is_agreed", "is_test"),
    [
        ('proxy = "https://lps.example"', True, True, False),
        ('proxy = "https://localhost:17481"', True, True, True),
        ('issuer = "https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet"', False, False, False),
        (
            'issuer = "https://auth.esw.esante.gouv.fr/auth/realms/esante-wallet"\ndirect_agreed = true',
            False,
            True,
            False,
        ),
        ('issuer = "https://auth.bas.psc.esante.gouv.fr/auth/realms/esante-wallet"', False, True, True),
        ('issuer = "https://auth.bas.psc.esante.gouv.fr.example/realm"', False, False, False),
        ('issuer = "https://localhost:17480/realm"', False, True, True),
        ('issuer = "https://localhost.example/realm"', False, False, False),
        ('issuer = "https://keycloak.example/realm"\nsandbox = true', False, True, True),
        ('mode = "direct"\nissuer = "https://psc.example/realm"\nproxy = "https://lps.example"', False, False, False),
        ('mode = "proxy"\nissuer = "https://psc.example/realm"\nproxy = "https://lps.example"', True, True, False),
    ],
)
def test_the_editor_s_server_needs_no_agreement_and_a_workstation_of_its_own_does(
    written: str, by_proxy: bool, is_agreed: bool, is_test: bool
) -> None:
    psc = parse(f'[psc]\nclient_id = "x"\n{written}').psc
    assert (psc.by_proxy, psc.is_agreed, psc.is_test_environment, psc.is_configured) == (
        by_proxy,
        is_agreed,
        is_test,
        True,
    )


def test_two_addresses_without_a_mode_are_refused() -> None:
    written = '[psc]\nclient_id = "x"\nissuer = "https://psc.example/realm"\nproxy = "https://lps.example"'
    assert refusal(written).params["key"] == "psc.mode"


def test_what_psc_is_asked_for_beside_the_usual_is_configurable() -> None:
    psc = parse(
        '[psc]\nacr = "eidas2"\nscope = "openid scope_all"\nkc_idp_hint = "hopital"\nparameters = ["ui_locales=fr=x"]'
    ).psc
    assert (psc.acr, psc.kc_idp_hint, psc.extra_parameters) == ("eidas2", "hopital", {"ui_locales": "fr=x"})
    assert parse('[psc]\nacr = ""').psc.acr is None


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ('parameters = ["nonce=x"]', "psc.parameters"),  # cardd's own: nobody may foresee it
        ('parameters = ["client_assertion=x"]', "psc.parameters"),
        ('parameters = ["REDIRECT_URI=x"]', "psc.parameters"),
        ('parameters = ["kc_idp_hint=x"]', "psc.parameters"),  # has a key of its own
        ('parameters = ["ui_locales"]', "psc.parameters"),
        ('parameters = ["=x"]', "psc.parameters"),
        ('scope = "scope_all"', "psc.scope"),  # no ID token would come
        ('acr = "eidas1 eidas2"', "psc.acr"),
    ],
)
def test_what_cardd_itself_says_to_psc_is_not_configurable(written: str, key: str) -> None:
    assert refusal(f"[psc]\n{written}").params["key"] == key


def test_each_upstream_is_a_section_of_its_own_name() -> None:
    config = parse(
        '[upstreams.dmp]\nurl = "https://dmp.example/si/"\n[upstreams.autre]\nurl = "https://a.example:8443"'
    )
    assert {name: upstream.url for name, upstream in config.upstreams.items()} == {
        "dmp": "https://dmp.example/si",
        "autre": "https://a.example:8443",
    }
    assert config.upstreams["dmp"].paths == ("/",)


@pytest.mark.parametrize(
    ("written", "key", "why"),
    [
        ("[upstreams.dmp]\ntls = '1.2'", "upstreams.dmp.url", "missing"),
        ("[upstreams.dmp]\nurl = 'http://dmp.example'", "upstreams.dmp.url", "https"),
        ("[upstreams.dmp]\nurl = 'https://u:p@dmp.example'", "upstreams.dmp.url", "https"),
        ("[upstreams.dmp]\nurl = 'https://dmp.example?a=b'", "upstreams.dmp.url", "https"),
        ("[upstreams.dmp]\nurl = 'https://d.example'\nuri = ''", "upstreams.dmp.uri", "unknown"),
        ("[upstreams.dmp]\nurl = 'https://d.example'\ntls = '1.1'", "upstreams.dmp.tls", "choice"),
        ("[upstreams.dmp]\nurl = 'https://d.example'\npaths = ['a']", "upstreams.dmp.paths", "path"),
        ("[upstreams.dmp]\nurl = 'https://d.example'\npaths = ['/a/../b']", "upstreams.dmp.paths", "path"),
        ("[upstreams.dmp]\nurl = 'https://d.example'\npaths = []", "upstreams.dmp.paths", "path"),
        ("[upstreams.dmp]\nurl = 'https://d.example'\nmethods = ['CONNECT']", "upstreams.dmp.methods", "choice"),
        (
            "[upstreams.dmp]\nurl = 'https://d.example'\nheaders = ['X-SSL-Client-DN']",
            "upstreams.dmp.headers",
            "forging",
        ),
        (
            "[upstreams.dmp]\nurl = 'https://d.example'\nheaders = ['X-Forwarded-For']",
            "upstreams.dmp.headers",
            "forging",
        ),
        ("[upstreams.dmp]\nurl = 'https://d.example'\nheaders = ['a b']", "upstreams.dmp.headers", "type"),
        ("[upstreams.'a b']\nurl = 'https://d.example'", "upstreams.a b", "unknown"),
        ("[upstreams]\nurl = 'https://d.example'", "upstreams.url", "type"),
    ],
)
def test_an_upstream_that_is_not_understood_is_refused(written: str, key: str, why: str) -> None:
    error = refusal(written)
    assert (error.params["key"], error.params["why"]) == (key, why)
    assert explain(error, "fr") != explain(error, "en")
