"""``cardctl bundle``: one file for support, shown before it is written, encrypted where it is configured to whom."""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
from datetime import UTC, datetime
from pathlib import Path

from cardd.cli.bundle import Part, gathered, zipped
from cardd.cli.command import Command, Context
from cardd.cli.parser import PATH, Exit, Parser
from cardd.cli.terminal import table
from cardd.cli.waiting import agreed, can_ask, said_by
from cardd.errors import BundleKeyUnusable, CarddError, ConfigInvalid, InvalidRequest
from cardd.files import SMALL, new_file, read_file
from cardd.i18n import N_, Domain

_ = Domain("cli")

PATIENCE = 30.0  # seconds for openssl
HEADS = (N_("FILE"), N_("BYTES"), N_("WHAT IT IS"))
MEANINGS = {
    "versions.json": N_("versions of cardd, of what it stands on, of the system"),
    "doctor.json": N_("what “cardctl doctor” finds: codes and numbers"),
    "configuration.json": N_("settings that were changed: numbers and choices, of others that they are set"),
    "log.json": N_("the log's last lines, masked, and where the time of requests went"),
    "audit.json": N_("how your last acts ended: no program, no document, no name"),
    "metrics.txt": N_("counts and times since the service started"),
}
INSIDE = N_("This is what the bundle has. No PIN, no name of a person, a patient or a document, no secret is in it.")
PLAIN = N_("No key of support is configured (support.bundle_key): the file is not encrypted.")
ENCRYPTED = N_("Encrypted to {file}: only who has the key of this certificate can read it.")
UNKNOWN_KEY = N_("The configuration cannot be read, and so whether the file is to be encrypted: it is not.")
QUESTION = N_("Write {file}? [y/N] ")


def _arguments(parser: Parser) -> None:
    """Declare where it is written, and whether that is asked."""
    parser.add_argument("file", metavar=N_("FILE"), nargs="?", type=Path, help=N_("the new file; one is named here"))
    parser.add_argument("--yes", action="store_true", help=N_("write it without a question"))
    parser.add_argument("--show", action="store_true", help=N_("show all that would be in it, and write nothing"))
    parser.add_argument("--config", metavar=PATH, type=Path, help=N_("a configuration file, in place of /etc/cardd"))


async def _bundle(context: Context) -> int:
    """Gather, show, ask and write.

    Raises, before anything is gathered, BundleKeyUnusable, InvalidRequest, and ConfigInvalid where nobody is asked
    whether the file may be written though it is not known to whom it was to be encrypted.
    """
    asked, language = context.arguments, context.language
    if not (asked.yes or asked.show or can_ask(context)):
        raise InvalidRequest(where="--yes", why="missing")
    key, fault = await asyncio.to_thread(_key, context)
    if fault and asked.yes and not asked.show:
        raise fault
    parts = await gathered(context)
    if asked.show:
        shown = [line for part in parts for line in (f"=== {part.name}", *part.text.rstrip("\n").split("\n"), "")]
        context.answer({part.name: part.text for part in parts}, shown)
        return Exit.OK
    file = asked.file or Path(f"cardd-support-{datetime.now(UTC):%Y%m%d-%H%M%S}{'.zip.p7m' if key else '.zip'}")
    if not context.wants_json:
        context.terminal.say(_inside(context, parts))
    kept = ENCRYPTED if key else UNKNOWN_KEY if fault else PLAIN
    context.terminal.tell([_(kept, language, file=str(key))])
    if not asked.yes and not await agreed(context, _(QUESTION, language, file=str(file))):
        context.terminal.tell([_("Nothing was written.", language)])
        return Exit.FAILED
    content = zipped(parts)
    await asyncio.to_thread(_write, file, await _encrypted(content, key) if key else content)
    told = {"file": str(file), "encrypted": key is not None, "parts": {part.name: part.size for part in parts}}
    context.answer(told, [_("Written: {file}", language, file=str(file))])
    return Exit.OK


def _inside(context: Context, parts: list[Part]) -> list[str]:
    """Return the list of what is inside."""
    rows = [[part.name, str(part.size), _(MEANINGS[part.name], context.language)] for part in parts]
    return [_(INSIDE, context.language), "", *table([_(head, context.language) for head in HEADS], rows), ""]


def _key(context: Context) -> tuple[Path | None, ConfigInvalid | None]:
    """Return the certificate to encrypt to, and why the configuration does not tell. Raises BundleKeyUnusable."""
    from cardd.config.loading import load  # noqa: PLC0415 - few commands need it

    try:
        file = load(context.arguments.config).support.bundle_key
    except ConfigInvalid as fault:
        return None, fault
    if file is not None:
        _parameters(file)
    return file, None


def _parameters(file: Path) -> list[str]:
    """Return how openssl is to encrypt to this certificate. Raises BundleKeyUnusable."""
    from cardd.formats.certificate import facts_of  # noqa: PLC0415 - where a key is configured

    if shutil.which("openssl") is None:
        raise BundleKeyUnusable(file=str(file), why="no_openssl")
    try:
        facts = facts_of(ssl.PEM_cert_to_DER_cert(read_file(file, SMALL).decode("ascii").strip()))
    except OSError:
        raise BundleKeyUnusable(file=str(file), why="unreadable") from None
    except (ValueError, CarddError):
        raise BundleKeyUnusable(file=str(file), why="no_certificate") from None
    if not facts.not_before <= datetime.now(UTC) <= facts.not_after:
        raise BundleKeyUnusable(file=str(file), why="expired")
    is_rsa = facts.key.startswith("rsa")
    return ["-recip", str(file), *(["-keyopt", "rsa_padding_mode:oaep"] if is_rsa else [])]


async def _encrypted(content: bytes, key: Path) -> bytes:
    """Return the content as CMS, encrypted and authenticated (RFC 5083, AES-256-GCM). Raises BundleKeyUnusable."""
    command = ["openssl", "cms", "-encrypt", "-binary", "-outform", "DER", "-aes-256-gcm"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, *_parameters(key), stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        made, _told = await said_by(process, PATIENCE, content)
    except TimeoutError:
        raise BundleKeyUnusable(file=str(key), why="refused") from None
    if process.returncode != 0 or not made:
        raise BundleKeyUnusable(file=str(key), why="refused")
    return made


def _write(file: Path, content: bytes) -> None:
    """Write a new file of this user's own, whole or not at all. Raises OSError."""
    descriptor = new_file(file)
    try:
        with os.fdopen(descriptor, "wb") as written:
            written.write(content)
    except OSError as fault:
        file.unlink(missing_ok=True)
        raise OSError(fault.errno, fault.strerror, str(file)) from None


COMMANDS = {"bundle": Command(_bundle, _arguments)}
