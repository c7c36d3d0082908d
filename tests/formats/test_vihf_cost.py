"""What an assertion costs beside its signature, and what asking for one loads."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.formats.issuing import prepare

LIMIT = 0.005  # seconds above a raw signature


def test_a_vihf_costs_less_than_five_milliseconds_above_its_signature() -> None:
    def cost() -> float:
        begun = time.process_time()
        prepare().finish(bytes(256)).close()
        return time.process_time() - begun

    assert sorted(cost() for _ in range(40))[20] < LIMIT


def test_request_and_profiles_load_no_xml_library() -> None:
    heavy = "{'lxml', 'cryptography', 'signxml'} & set(sys.modules)"
    program = f"import sys, cardd.formats.saml.request, cardd.formats.saml.profiles; print({heavy})"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)

    assert loaded.stdout == "set()\n"
