"""PKCS#11's numbers, as far as they are spoken here (OASIS PKCS#11 3.0; names as there, without CK…_)."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Rv(IntEnum):
    """What a function returns (CKR_…)."""

    OK = 0x0
    HOST_MEMORY = 0x2
    SLOT_ID_INVALID = 0x3
    GENERAL_ERROR = 0x5
    FUNCTION_FAILED = 0x6
    ARGUMENTS_BAD = 0x7
    NO_EVENT = 0x8
    ATTRIBUTE_SENSITIVE = 0x11
    ATTRIBUTE_TYPE_INVALID = 0x12
    DATA_INVALID = 0x20
    DATA_LEN_RANGE = 0x21
    DEVICE_ERROR = 0x30
    DEVICE_REMOVED = 0x32
    ENCRYPTED_DATA_INVALID = 0x40
    ENCRYPTED_DATA_LEN_RANGE = 0x41
    FUNCTION_CANCELED = 0x50
    FUNCTION_NOT_SUPPORTED = 0x54
    KEY_HANDLE_INVALID = 0x60
    KEY_FUNCTION_NOT_PERMITTED = 0x68
    KEY_TYPE_INCONSISTENT = 0x63
    MECHANISM_INVALID = 0x70
    MECHANISM_PARAM_INVALID = 0x71
    OBJECT_HANDLE_INVALID = 0x82
    OPERATION_ACTIVE = 0x90
    OPERATION_NOT_INITIALIZED = 0x91
    PIN_INCORRECT = 0xA0
    PIN_LOCKED = 0xA4
    SESSION_COUNT = 0xB1
    SESSION_HANDLE_INVALID = 0xB3
    SESSION_PARALLEL_NOT_SUPPORTED = 0xB4
    TOKEN_NOT_PRESENT = 0xE0
    TOKEN_NOT_RECOGNIZED = 0xE1
    TOKEN_WRITE_PROTECTED = 0xE2
    USER_ALREADY_LOGGED_IN = 0x100
    USER_NOT_LOGGED_IN = 0x101
    USER_TYPE_INVALID = 0x103
    RANDOM_SEED_NOT_SUPPORTED = 0x120
    BUFFER_TOO_SMALL = 0x150
    CRYPTOKI_NOT_INITIALIZED = 0x190
    CRYPTOKI_ALREADY_INITIALIZED = 0x191
    FUNCTION_REJECTED = 0x200


class Refused(Exception):
    """A call comes to nothing, for the reason that PKCS#11 has for that."""

    def __init__(self, rv: Rv) -> None:
        super().__init__(rv.name)
        self.rv = rv


class SlotFlag(IntFlag):
    """CKF_… of a slot."""

    TOKEN_PRESENT = 0x1
    REMOVABLE_DEVICE = 0x2
    HW_SLOT = 0x4


class TokenFlag(IntFlag):
    """CKF_… of a token."""

    RNG = 0x1
    WRITE_PROTECTED = 0x2
    LOGIN_REQUIRED = 0x4
    USER_PIN_INITIALIZED = 0x8
    PROTECTED_AUTHENTICATION_PATH = 0x100
    TOKEN_INITIALIZED = 0x400


class SessionFlag(IntFlag):
    """CKF_… of a session."""

    RW = 0x2
    SERIAL = 0x4


class MechanismFlag(IntFlag):
    """CKF_… of a mechanism."""

    HW = 0x1
    DECRYPT = 0x200
    SIGN = 0x800
    EC_F_P = 0x100000
    EC_NAMEDCURVE = 0x800000
    EC_UNCOMPRESS = 0x1000000


class UserType(IntEnum):
    """Who logs in (CKU_…)."""

    SO = 0
    USER = 1
    CONTEXT_SPECIFIC = 2


class ObjectClass(IntEnum):
    """What an object is (CKO_…)."""

    CERTIFICATE = 1
    PUBLIC_KEY = 2
    PRIVATE_KEY = 3


class KeyType(IntEnum):
    """What a key is (CKK_…)."""

    RSA = 0
    EC = 3


class Attribute(IntEnum):
    """What is told of an object (CKA_…)."""

    CLASS = 0x0
    TOKEN = 0x1
    PRIVATE = 0x2
    LABEL = 0x3
    VALUE = 0x11
    CERTIFICATE_TYPE = 0x80
    ISSUER = 0x81
    SERIAL_NUMBER = 0x82
    TRUSTED = 0x86
    CERTIFICATE_CATEGORY = 0x87
    KEY_TYPE = 0x100
    SUBJECT = 0x101
    ID = 0x102
    SENSITIVE = 0x103
    ENCRYPT = 0x104
    DECRYPT = 0x105
    WRAP = 0x106
    UNWRAP = 0x107
    SIGN = 0x108
    SIGN_RECOVER = 0x109
    VERIFY = 0x10A
    VERIFY_RECOVER = 0x10B
    DERIVE = 0x10C
    MODULUS = 0x120
    MODULUS_BITS = 0x121
    PUBLIC_EXPONENT = 0x122
    PRIVATE_EXPONENT = 0x123
    PRIME_1 = 0x124
    PRIME_2 = 0x125
    EXPONENT_1 = 0x126
    EXPONENT_2 = 0x127
    COEFFICIENT = 0x128
    PUBLIC_KEY_INFO = 0x129
    EXTRACTABLE = 0x162
    LOCAL = 0x163
    NEVER_EXTRACTABLE = 0x164
    ALWAYS_SENSITIVE = 0x165
    MODIFIABLE = 0x170
    EC_PARAMS = 0x180
    EC_POINT = 0x181
    ALWAYS_AUTHENTICATE = 0x202
    WRAP_WITH_TRUSTED = 0x210


# what only the card has, and nobody gets
SECRET = frozenset(
    (
        Attribute.PRIVATE_EXPONENT,
        Attribute.PRIME_1,
        Attribute.PRIME_2,
        Attribute.EXPONENT_1,
        Attribute.EXPONENT_2,
        Attribute.COEFFICIENT,
        Attribute.VALUE,
    )
)


class Mechanism(IntEnum):
    """What a key does (CKM_…)."""

    @property
    def shown(self) -> str:
        """The name that the standard gives it."""
        return f"CKM_{self.name}"

    RSA_PKCS = 0x1
    RSA_PKCS_PSS = 0xD
    SHA256_RSA_PKCS = 0x40
    SHA384_RSA_PKCS = 0x41
    SHA512_RSA_PKCS = 0x42
    SHA256_RSA_PKCS_PSS = 0x43
    SHA384_RSA_PKCS_PSS = 0x44
    SHA512_RSA_PKCS_PSS = 0x45
    SHA256 = 0x250
    SHA384 = 0x260
    SHA512 = 0x270
    ECDSA = 0x1041
    ECDSA_SHA256 = 0x1044
