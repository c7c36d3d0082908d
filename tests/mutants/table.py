"""The modules whose mutants are tried, and the tests that are asked: in this process, without other programs."""

from __future__ import annotations

MODULES: dict[str, tuple[str, ...]] = {
    "cardd/core/attempts.py": ("tests/core/test_attempts.py",),
    "cardd/core/card_access.py": ("tests/core/test_card_pins.py", "tests/core/test_card_access.py"),
    "cardd/core/card_transaction.py": (
        *("tests/core/test_card_transaction.py", "tests/core/test_card_pins.py", "tests/core/test_card_access.py"),
    ),
    "cardd/core/clients.py": ("tests/core/test_clients.py",),
    "cardd/core/consents.py": ("tests/core/test_consents.py",),
    "cardd/core/inserted_card.py": ("tests/core/test_inserted_card.py",),
    "cardd/core/lifecycle.py": ("tests/core/test_lifecycle.py",),
    "cardd/core/news.py": ("tests/core/test_news_alone.py",),
    "cardd/core/origins.py": ("tests/core/test_origins.py", "tests/core/test_site_decisions.py"),
    "cardd/core/owners.py": ("tests/core/test_owners.py",),
    "cardd/core/page_consents.py": ("tests/core/test_origins.py", "tests/core/test_site_decisions.py"),
    "cardd/core/page_keys.py": ("tests/core/test_page_keys.py",),
    "cardd/core/page_passes.py": ("tests/core/test_page_passes.py",),
    "cardd/core/pin.py": (
        *("tests/core/test_pin.py", "tests/core/test_pin_entry.py", "tests/core/test_pinpad.py"),
        *("tests/core/test_pin_life.py", "tests/core/test_pin_dialogs.py"),
    ),
    "cardd/core/pin_guard.py": ("tests/core/test_pin_guard.py",),
    "cardd/core/presence.py": ("tests/core/test_presence.py",),
    "cardd/core/programs.py": ("tests/core/test_programs.py",),
    "cardd/core/readers.py": (
        *("tests/core/test_readers.py", "tests/core/test_readers_told.py", "tests/core/test_reinsertion.py"),
    ),
    "cardd/core/session.py": ("tests/core/test_session_life.py", "tests/core/test_session_states.py"),
    "cardd/core/sessions.py": ("tests/core/test_session_life.py", "tests/core/test_session_states.py"),
    "cardd/core/signing.py": (
        *("tests/core/test_signing.py", "tests/core/test_signing_rows.py", "tests/core/test_signing_pins.py"),
        "tests/core/test_pinpad.py",
    ),
    "cardd/core/totp.py": ("tests/core/test_totp.py",),
    "cardd/core/trace.py": ("tests/core/test_trace.py",),
    "cardd/documents/judging.py": ("tests/formats/test_judging.py",),
    "cardd/formats/cms.py": ("tests/formats/test_cms_crafted.py",),
    "cardd/formats/jws.py": (
        "tests/formats/test_verifying_jws.py",
        *(
            f"tests/formats/test_jws.py::{name}"
            for name in (
                "test_a_short_payload_goes_to_the_key_whole_for_cards_that_hash_it",
                "test_the_compact_form_takes_no_timestamp",
                "test_an_empty_or_too_long_payload_is_not_signed",
            )
        ),
    ),
    "cardd/formats/raw.py": ("tests/formats/test_raw.py",),
    "cardd/formats/timestamp.py": ("tests/formats/test_timestamps.py",),
    "cardd/formats/trust.py": ("tests/formats/test_trust.py",),
    "cardd/formats/xades_read.py": ("tests/formats/test_xml_crafted.py",),
    "cardd/formats/xmldsig.py": ("tests/formats/test_xml_crafted.py", "tests/formats/test_verifying_xades.py"),
}

# the functions of a large module that decide, where the others are not tried: each mutant takes a card
DECIDING: dict[str, tuple[str, ...]] = {
    "cardd/core/card_access.py": (
        *("use", "pin_state", "ensure_presentable", "change_pin", "unblock_pin"),
        *("logout", "lost", "close", "_use", "_one_turn", "_give_back"),
    ),
}
