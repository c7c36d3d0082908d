"""Forms as they are sent: tokens go into the body and nowhere else."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import pytest

from cardd.oidc.http import encoded
from cardd.oidc.tokens import Token


@pytest.mark.parametrize("value", ["eyJ.a-b_c~", "a b&c=d+e/f", "é%20", "", "x" * 5000])
def test_a_form_with_a_token_is_encoded_as_any_other(value: str) -> None:
    form = {"grant type": "urn:x", "token": value, "last": "é"}
    sent = bytes(encoded({**form, "token": Token(value)})).decode()
    assert parse_qsl(sent, keep_blank_values=True) == list(form.items())
    assert parse_qsl(urlencode(form), keep_blank_values=True) == parse_qsl(sent, keep_blank_values=True)
