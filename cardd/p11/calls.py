"""The functions of PKCS#11 that are served, each with its number and its signatures in p11-kit's RPC protocol.

A function that is not here is answered with CKR_FUNCTION_NOT_SUPPORTED.
"""

from __future__ import annotations

from enum import StrEnum

from cardd.values import Value


class Of(StrEnum):
    """What the first value of a call names: nothing, a slot, or a session, in whose order it is answered."""

    NOTHING = "nothing"
    SLOT = "slot"
    SESSION = "session"


class Call(Value):
    """One function: the signatures of its request and of its answer, and whether it ``lasts`` until an event comes."""

    number: int
    name: str
    request: bytes
    answer: bytes
    of: Of
    lasts: bool = False


CALLS = {
    call.number: call
    for call in (
        Call(1, "initialize", b"ayyay", b"", Of.NOTHING),
        Call(2, "finalize", b"", b"", Of.NOTHING),
        Call(3, "get_info", b"", b"vsusv", Of.NOTHING),
        Call(4, "get_slot_list", b"yfu", b"au", Of.NOTHING),
        Call(5, "get_slot_info", b"u", b"ssuvv", Of.SLOT),
        Call(6, "get_token_info", b"u", b"ssssuuuuuuuuuuuvvs", Of.SLOT),
        Call(7, "get_mechanism_list", b"ufu", b"au", Of.SLOT),
        Call(8, "get_mechanism_info", b"uu", b"uuu", Of.SLOT),
        Call(10, "open_session", b"uu", b"u", Of.SLOT),
        Call(11, "close_session", b"u", b"", Of.SESSION),
        Call(12, "close_all_sessions", b"u", b"", Of.SLOT),
        Call(13, "get_session_info", b"u", b"uuuu", Of.SESSION),
        Call(18, "login", b"uuay", b"", Of.SESSION),
        Call(19, "logout", b"u", b"", Of.SESSION),
        Call(20, "create_object", b"uaA", b"u", Of.SESSION),
        Call(24, "get_attribute_value", b"uufA", b"aAu", Of.SESSION),
        Call(26, "find_objects_init", b"uaA", b"", Of.SESSION),
        Call(27, "find_objects", b"ufu", b"au", Of.SESSION),
        Call(28, "find_objects_final", b"u", b"", Of.SESSION),
        Call(33, "decrypt_init", b"uMu", b"", Of.SESSION),
        Call(34, "decrypt", b"uayfy", b"ay", Of.SESSION),
        Call(42, "sign_init", b"uMu", b"", Of.SESSION),
        Call(43, "sign", b"uayfy", b"ay", Of.SESSION),
        Call(44, "sign_update", b"uay", b"", Of.SESSION),
        Call(45, "sign_final", b"ufy", b"ay", Of.SESSION),
        Call(63, "seed_random", b"uay", b"", Of.SESSION),
        Call(64, "generate_random", b"ufy", b"ay", Of.SESSION),
        Call(65, "wait_for_slot_event", b"u", b"u", Of.NOTHING, lasts=True),
    )
}
