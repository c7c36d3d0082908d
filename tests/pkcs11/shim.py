"""Modules that misbehave: SoftHSM2 with some of its functions replaced, compiled for the test."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

# places in CK_FUNCTION_LIST, after its version (PKCS#11 v2.40, pkcs11f.h)
GET_SLOT_LIST, GET_SLOT_INFO, GET_TOKEN_INFO, LOGIN, LOGOUT, SIGN, WAIT_FOR_SLOT_EVENT = 4, 5, 6, 18, 19, 43, 67

SOURCE = """
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
typedef unsigned long ulong;
typedef unsigned char byte;
typedef ulong (*function)();
static struct list { byte version[2]; function functions[68]; } mine, *real;
#define REAL(place) real->functions[place]
static int there(const char *name) {
    char path[4096];
    return access(strcat(strcat(strcpy(path, DIRECTORY), "/"), name), F_OK) == 0;
}
REPLACED
ulong C_GetFunctionList(struct list **found) {
    function get = (function)dlsym(dlopen(SOFTHSM, RTLD_NOW), "C_GetFunctionList");
    get(&real);
    mine = *real;
    INSTALLED
    *found = &mine;
    return 0;
}
"""


def compiled(directory: Path, module: str, functions: Mapping[int, str]) -> str:
    """The path of a module in ``directory`` that is ``module`` with these functions, each a C parameter list and body.

    ``there("name")`` in a body is whether that file is in ``directory``; ``REAL(place)`` is the function replaced.
    """
    replaced = "\n".join(f"static ulong replaced{place}{code}" for place, code in functions.items())
    installed = "\n    ".join(f"mine.functions[{place}] = (function)replaced{place};" for place in functions)
    source, library = directory / "shim.c", directory / "shim.so"
    source.write_text(SOURCE.replace("REPLACED", replaced).replace("INSTALLED", installed))
    names = (f'-DSOFTHSM="{module}"', f'-DDIRECTORY="{directory}"')
    subprocess.run(
        ["gcc", "-std=gnu17", "-shared", "-fPIC", "-w", *names, "-o", str(library), str(source)], check=True, timeout=60
    )
    return str(library)


SIGN_PARAMETERS = "(ulong session, byte *data, ulong size, byte *signature, ulong *length)"
REAL_SIGN = f"return REAL({SIGN})(session, data, size, signature, length);"


def signing(what: str) -> dict[int, str]:
    """A C_Sign that does this first while the file ``ill`` is there."""
    return {SIGN: f'{SIGN_PARAMETERS} {{ if (there("ill")) {{ {what}; }} {REAL_SIGN} }}'}


def flagged(flags: int) -> dict[int, str]:
    """A C_GetTokenInfo that tells these flags besides."""
    # three texts of 32, 32 and 16 bytes and one of 16 stand before them (CK_TOKEN_INFO)
    body = f"ulong code = REAL({GET_TOKEN_INFO})(slot, info); *(ulong *)(info + 96) |= {flags:#x}; return code;"
    return {GET_TOKEN_INFO: f"(ulong slot, byte *info) {{ {body} }}"}


KEYPAD = 0x100
# a keypad on which the holder always types this PIN
TYPED = f"""(ulong session, ulong user, byte *pin, ulong size) {{
    return pin ? 0x05 : REAL({LOGIN})(session, user, "2468", 4ul);
}}"""
REMOVABLE = {
    GET_SLOT_LIST: f"""(byte present, ulong *list, ulong *count) {{
        if (present && there("removed")) {{ *count = 0; return 0; }}
        return REAL({GET_SLOT_LIST})(present, list, count);
    }}""",
    GET_TOKEN_INFO: f"""(ulong slot, byte *info) {{
        return there("removed") ? 0xE0 : REAL({GET_TOKEN_INFO})(slot, info);
    }}""",
}
# a card that does not answer
MUTE = {
    GET_TOKEN_INFO: f"""(ulong slot, byte *info) {{
        return there("mute") ? 0xE1 : REAL({GET_TOKEN_INFO})(slot, info);
    }}""",
}


# one that notes in the file ``lists`` how often it is asked how many tokens there are
COUNTING = {
    GET_SLOT_LIST: f"""(byte present, ulong *slots, ulong *count) {{
        int noted = open(DIRECTORY "/lists", O_WRONLY | O_APPEND | O_CREAT, 0600);
        if (!slots) write(noted, "!", 1);
        close(noted);
        return REAL({GET_SLOT_LIST})(present, slots, count);
    }}""",
}


def going_round(pcscd: Path) -> dict[int, str]:
    """A C_Initialize that has the module speak to pcscd itself, by this socket."""
    return {0: f'(void *arguments) {{ setenv("PCSCLITE_CSOCK_NAME", "{pcscd}", 1); return REAL(0)(arguments); }}'}


# an event is a byte in the pipe ``slot``
TELLING = {
    WAIT_FOR_SLOT_EVENT: """(ulong flags, ulong *slot, void *reserved) {
        static int pipe = -1;
        byte event;
        if (pipe < 0) pipe = open(DIRECTORY "/slot", O_RDWR);
        return read(pipe, &event, 1) == 1 ? 0 : 0x05;
    }"""
}
# one that always tells of a token that came or went
ALWAYS_TELLING = {WAIT_FOR_SLOT_EVENT: "(ulong flags, ulong *slot, void *reserved) { return 0; }"}
FIRST_SLOT = f"ulong slots[9], count = 9; REAL({GET_SLOT_LIST})(1, slots, &count);"
# the first token a thousand times over, each time with another number
A_THOUSAND = {
    GET_SLOT_LIST: """(byte present, ulong *list, ulong *count) {
        for (ulong slot = 0; list && slot < 1000; slot++) list[slot] = slot;
        *count = 1000;
        return 0;
    }""",
    GET_SLOT_INFO: f"(ulong slot, byte *info) {{ {FIRST_SLOT} return REAL({GET_SLOT_INFO})(slots[0], info); }}",
    GET_TOKEN_INFO: f"""(ulong slot, byte *info) {{
        {FIRST_SLOT}
        ulong code = REAL({GET_TOKEN_INFO})(slots[0], info);
        snprintf((char *)info + 80, 16, "%015lu", slot);
        return code;
    }}""",
}
# as Cryptolib's: the reader is no removable device after the first look, and nobody can wait for a token
FORGETFUL = {
    GET_SLOT_INFO: f"""(ulong slot, byte *info) {{
        static int looks = 0;
        ulong code = REAL({GET_SLOT_INFO})(slot, info);
        if (looks++) *(ulong *)(info + 96) &= ~0x02ul;
        return code;
    }}""",
    WAIT_FOR_SLOT_EVENT: "(ulong flags, ulong *slot, void *reserved) { return 0x54; }",
}
