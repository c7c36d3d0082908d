"""The modules whose mutants are tried, and the tests that are asked: in this process, without other programs."""

from __future__ import annotations

MODULES: dict[str, tuple[str, ...]] = {
    "cardd/core/attempts.py": ("tests/core/test_attempts.py",),
    "cardd/core/audit.py": ("tests/unit/test_audit_chain.py",),
    "cardd/core/card_access.py": ("tests/core/test_card_pins.py", "tests/core/test_card_access.py"),
    "cardd/core/card_transaction.py": (
        *("tests/core/test_card_transaction.py", "tests/core/test_card_pins.py", "tests/core/test_card_access.py"),
    ),
    "cardd/core/clients.py": ("tests/core/test_clients.py",),
    "cardd/core/consents.py": ("tests/core/test_consents.py",),
    "cardd/core/dialog_lines.py": ("tests/core/test_dialog_lines.py",),
    "cardd/core/events.py": ("tests/core/test_events.py",),
    "cardd/core/fair_lock.py": ("tests/core/test_fair_lock.py",),
    "cardd/core/inserted_card.py": ("tests/core/test_inserted_card.py",),
    "cardd/core/known_cards.py": (
        "tests/drivers/test_known_cards.py::test_cards_with_another_answer_to_reset_or_of_another_driver_are_others",
        "tests/drivers/test_known_cards.py::test_the_card_that_was_used_longest_ago_makes_room",
        "tests/drivers/test_known_cards.py::test_a_card_that_is_forgotten_is_unknown_and_the_others_are_not",
    ),
    "cardd/core/leases.py": ("tests/core/test_leases.py",),
    "cardd/core/lifecycle.py": ("tests/core/test_lifecycle.py",),
    "cardd/core/masks.py": ("tests/core/test_masks.py",),
    "cardd/core/news.py": ("tests/core/test_news_alone.py",),
    "cardd/core/observer.py": ("tests/core/test_observer.py",),
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
    "cardd/core/recording.py": (
        "tests/core/test_recorded_work.py",
        "tests/core/test_recording.py",
        "tests/core/test_signing_rows.py::test_the_row_keeps_of_a_documents_name_what_the_settings_say",
    ),
    "cardd/core/register.py": ("tests/core/test_register.py",),
    "cardd/core/session.py": ("tests/core/test_session_life.py", "tests/core/test_session_states.py"),
    "cardd/core/sessions.py": ("tests/core/test_session_life.py", "tests/core/test_session_states.py"),
    "cardd/core/signing.py": (
        *("tests/core/test_signing.py", "tests/core/test_signing_rows.py", "tests/core/test_signing_pins.py"),
        "tests/core/test_pinpad.py",
    ),
    "cardd/core/state_file.py": (
        "tests/core/test_state_file.py",
        "tests/system/test_upgrade.py::test_each_shape_is_brought_forward_step_by_step",
        "tests/system/test_upgrade.py::test_a_document_that_no_step_understands_is_damaged",
        "tests/system/test_upgrade.py::test_a_document_of_a_newer_cardd_is_refused_and_left_as_it_is",
    ),
    "cardd/core/status_pages.py": ("tests/core/test_status_pages.py",),
    "cardd/core/support.py": ("tests/api/test_support.py", "tests/core/test_support_codes.py"),
    "cardd/core/totp.py": ("tests/core/test_totp.py",),
    "cardd/core/trace.py": ("tests/core/test_trace.py",),
    "cardd/core/trail.py": ("tests/core/test_trail.py",),
    "cardd/core/trays.py": ("tests/core/test_trays.py",),
    "cardd/documents/formats.py": ("tests/formats/test_recognised.py",),
    "cardd/documents/judging.py": ("tests/formats/test_judging.py",),
    "cardd/documents/report.py": ("tests/formats/test_report.py",),
    "cardd/documents/verdicts.py": ("tests/formats/test_judging.py", "tests/formats/test_report.py"),
    "cardd/documents/verification.py": tuple(
        f"tests/formats/test_trust_verdicts.py::{name}"
        for name in (
            "test_with_no_authority_at_all_none_of_the_system_s_is_taken",
            "test_the_simulation_s_authorities_are_trusted_only_where_they_are_given",
            "test_authorities_that_cannot_be_read_are_a_fault_of_the_configuration",
            "test_a_timestamp_is_the_time_that_counts",
            "test_a_timestamp_of_an_unknown_authority_does_not_count",
            "test_offline_it_is_not_known_and_the_verdict_says_so",
            "test_the_slow_documents_of_one_user_keep_neither_others_nor_signing_waiting",
            "test_the_slow_documents_of_many_users_do_not_keep_signing_waiting",
        )
    ),
    "cardd/formats/ber.py": ("tests/formats/test_ber.py",),
    "cardd/formats/certificate.py": ("tests/formats/test_certificate.py", "tests/formats/test_time_zones.py"),
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
    "cardd/formats/pades.py": ("tests/formats/test_pdf_places.py",),
    "cardd/formats/pdf/fields.py": ("tests/formats/test_pdf_places.py",),
    "cardd/formats/pdf/updates.py": ("tests/formats/test_pdf_crafted.py",),
    "cardd/formats/raw.py": ("tests/formats/test_raw.py",),
    "cardd/formats/revocation.py": (
        *("tests/formats/test_revocation_crafted.py", "tests/formats/test_trust_revocation.py"),
        "tests/formats/test_judging.py",
    ),
    **{
        f"cardd/formats/saml/{name}.py": ("tests/formats/test_saml_crafted.py", *more)
        for name, more in {
            "assertion": (
                "tests/formats/test_vihf_signature.py::test_an_assertion_is_finished_once",
                "tests/formats/test_vihf_signature.py::test_an_assertion_takes_no_timestamp",
            ),
            "checks": ("tests/formats/test_time_zones.py",),
            "insi": ("tests/formats/test_insi.py::test_what_will_not_do_is_refused",),
            "request": (),
            "roles": (),
            "vihf": (
                "tests/formats/test_vihf_refusals.py",
                "tests/formats/test_vihf_profiles.py::test_a_changed_point_is_seen_and_nothing_else_has_it",
                "tests/formats/test_vihf_profiles.py::test_roles_may_leave_their_table_unnamed",
            ),
        }.items()
    },
    "cardd/formats/timestamp.py": ("tests/formats/test_timestamps.py",),
    "cardd/formats/trust.py": ("tests/formats/test_trust.py",),
    "cardd/formats/verified.py": (
        *("tests/formats/test_judging.py", "tests/formats/test_time_zones.py", "tests/formats/test_xml_crafted.py"),
    ),
    "cardd/formats/xades_read.py": ("tests/formats/test_xml_crafted.py", "tests/formats/test_xml_properties.py"),
    "cardd/formats/xmldsig.py": ("tests/formats/test_xml_crafted.py", "tests/formats/test_verifying_xades.py"),
}

# the functions of a large module that decide, where the others are not tried: each mutant takes a card or a document
DECIDING: dict[str, tuple[str, ...]] = {
    "cardd/core/card_access.py": (
        *("use", "pin_state", "ensure_presentable", "change_pin", "unblock_pin"),
        *("logout", "lost", "close", "_use", "_one_turn", "_give_back"),
    ),
    "cardd/formats/pades.py": (
        *("verify_pades", "_verified", "_ranges", "_leaves_out_itself", "_message", "seek", "readinto"),
    ),
    "cardd/formats/pdf/fields.py": (
        *("open_pdf", "require_signable", "_locks", "_of", "listed", "_found", "_time"),
        *("_require_new", "_names", "_visible_part", "_require_inside"),
    ),
}
