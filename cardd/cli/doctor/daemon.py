"""The daemon: its configuration, port, socket, dialogs and audit log, and what only itself can tell."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from cardd.agent.assuan import Assuan, Refusal
from cardd.agent.pinentry import conversation, exposed_pinentry, find_pinentry
from cardd.cli.doctor.check import Finding, failure, ok, warning
from cardd.cli.doctor.surroundings import Surroundings, Unknowable, in_time
from cardd.client import CarddClient
from cardd.config.loading import load
from cardd.errors import (
    AuditBroken,
    DaemonUnreachable,
    Forbidden,
    MethodUnavailable,
    PromptUnavailable,
)
from cardd.i18n import N_
from cardd.secret import Secret
from cardd.system import loopback_tls

ANSWER_LIMIT = 5.0  # seconds
VERIFY_LIMIT = 25.0
HTTPS_ENDS_SOON = timedelta(days=14)
OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
ROOT = 0
CLOCKS_MAY_DIFFER = 60.0  # seconds; beyond that the provider's tokens look as if they were of another time


async def config(surroundings: Surroundings) -> Finding:
    """Check whether the configuration can be used. Raises ConfigInvalid, which tells what is wrong with it."""
    load(surroundings.config_file)
    return ok(N_("Valid."))


async def port(surroundings: Surroundings) -> Finding:
    """Check whether the API's TCP port is cardd's, on both loopback families, or still free."""
    number = surroundings.config.listen.tcp
    if not number:
        raise Unknowable("no_port")
    owners = {await _owner(host, number) for host in ("127.0.0.1", "[::1]")}
    if "other" in owners:
        return failure(
            "taken",
            N_("Another program has taken port {port}."),
            N_("Find it (“ss -ltnp sport = :{port}”) and stop it, then restart cardd.socket."),
            port=number,
        )
    return (
        ok(N_("cardd answers on port {port}."), outcome="ours", port=number)
        if "cardd" in owners
        else warning(
            "free",
            N_("Nobody listens on port {port}: cardd does not run."),
            N_("Start it: “systemctl start cardd.socket”."),
            port=number,
        )
    )


async def _owner(host: str, number: int) -> str:
    """Return ``cardd``, ``other`` or, when nobody listens, an empty string."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host.strip("[]"), number), ANSWER_LIMIT)
    except OSError:
        return ""
    writer.close()
    try:
        async with asyncio.timeout(ANSWER_LIMIT), CarddClient(f"http://{host}:{number}") as client:
            return "cardd" if (await client.status()).name == "cardd" else "other"
    except (DaemonUnreachable, TimeoutError):
        return "other"


async def https(surroundings: Surroundings) -> Finding:
    """Check whether the certificate that the daemon shows over https is good, and for how long."""
    number = surroundings.config.listen.https
    if not number:
        raise Unknowable("no_https")
    try:
        certificate = await asyncio.to_thread(loopback_tls.shown, number, ANSWER_LIMIT)
    except OSError:
        return failure(
            "unanswered",
            N_("Nothing answers over https on port {port}."),
            N_("Make the certificate with “sudo cardctl https install”; if there is one, restart cardd."),
            port=number,
        )
    begin, end = loopback_tls.validity(certificate)
    now, anew = surroundings.now(), N_("Make a new one: “sudo cardctl https install”, then restart the browsers.")
    if now < begin:
        remedy = N_("Check the date of this workstation: it is probably wrong.")
        return failure("not_yet_valid", N_("Not valid before {date}."), remedy, date=f"{begin:%Y-%m-%d}")
    if now > end:
        return failure("expired", N_("Expired since {date}."), anew, date=f"{end:%Y-%m-%d}")
    if end - now < HTTPS_ENDS_SOON:
        sentence = N_("Valid until {date}; days left: {days}.")
        return warning("ending", sentence, anew, date=f"{end:%Y-%m-%d}", days=(end - now).days)
    return ok(N_("Valid until {date}."), date=f"{end:%Y-%m-%d}")


async def socket_rights(surroundings: Surroundings) -> Finding:
    """Check whether the daemon's socket is there, answers this user, and stands where nobody else could replace it."""
    path = surroundings.socket
    try:
        mode, owner = path.stat().st_mode, path.stat().st_uid
    except FileNotFoundError:
        return failure(
            "absent",
            N_("{path} does not exist: cardd does not run."),
            N_("Start it: “systemctl start cardd.socket”."),
            path=str(path),
        )
    except PermissionError:
        return _refused(path)
    if not stat.S_ISSOCK(mode):
        return failure(
            "not_socket", N_("{path} is no socket."), N_("Remove it and restart cardd.socket."), path=str(path)
        )
    directory = path.parent.stat()
    if directory.st_uid not in (ROOT, owner) or directory.st_mode & OTHERS_MAY_WRITE:
        return failure(
            "directory",
            N_("Others than the service may change what is in {path}."),
            N_("Give the directory to the service alone (mode 0755), and restart cardd.socket."),
            path=str(path.parent),
        )
    return await _reachable(path)


def _refused(path: Path) -> Finding:
    return failure(
        "refused",
        N_("This user may not use {path}."),
        N_("Restart cardd.socket, which sets the rights; do not change them by hand."),
        path=str(path),
    )


async def _reachable(path: Path) -> Finding:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except PermissionError:
            return _refused(path)
        except OSError:
            return failure(
                "dead",
                N_("Nobody listens at {path} any more."),
                N_("Restart it: “systemctl restart cardd.socket”."),
                path=str(path),
            )
    try:
        async with asyncio.timeout(ANSWER_LIMIT), CarddClient(path) as client:
            status = await client.status()
    except (DaemonUnreachable, TimeoutError):
        return failure(
            "silent",
            N_("Whoever listens at {path} does not answer as cardd."),
            N_("Restart cardd: “systemctl restart cardd”, and look into “journalctl -u cardd”."),
            path=str(path),
        )
    return ok(N_("cardd {version} answers at {path}."), path=str(path), version=status.version)


async def pinentry(surroundings: Surroundings) -> Finding:
    """Check whether a pinentry can be found, starts, and answers."""
    configured = surroundings.config.prompt.pinentry
    program = find_pinentry(str(configured) if configured else None, os.environ)
    exposed = exposed_pinentry(os.environ) if program is None else None
    if exposed:
        return failure(
            "exposed",
            N_("{program} is not used: others than root can change it, and a pinentry sees the PIN."),
            N_(
                "Install one for all users: “apt install pinentry-gnome3” (or pinentry-qt, pinentry-curses). "
                "A daemon or agent of your own takes this one from [prompt] pinentry or --pinentry."
            ),
            program=exposed,
        )
    if program is None:
        return failure(
            "absent",
            N_("No pinentry program is installed."),
            N_("Install one: “apt install pinentry-gnome3” (or pinentry-qt, pinentry-curses)."),
        )
    try:
        async with asyncio.timeout(ANSWER_LIMIT), conversation(program) as talk:
            return ok(N_("{program} {version} answers."), program=program, version=await _version(talk))
    except (PromptUnavailable, TimeoutError) as fault:
        why = fault.params["why"] if isinstance(fault, PromptUnavailable) else "–"
        return failure(
            "broken",
            N_("{program} does not answer as a pinentry ({why})."),
            N_("Install it again, or name another one in [prompt] pinentry."),
            program=program,
            why=why,
        )


async def _version(talk: Assuan) -> str:
    """Return the pinentry's version; nothing for one that answers, but not to this question."""
    with Secret() as answer:
        with contextlib.suppress(Refusal):
            await talk.command("GETINFO", "version", into=answer)
        with answer.view() as told:
            return bytes(told).decode("utf-8", "replace")


async def psc(surroundings: Surroundings) -> Finding:
    """Check whether a login by e-CPS could begin: credentials, provider, clocks. Nobody's mobile is woken."""
    async with _daemon(surroundings) as cardd:
        try:
            found = await cardd.check_ecps()
        except MethodUnavailable:
            raise Unknowable("no_psc") from None
    if found.clock is not None and abs(found.clock) > CLOCKS_MAY_DIFFER:
        return failure(
            "clock",
            N_("Its clock and this workstation's differ by {seconds} s: its answers would be refused."),
            N_("Set the clock, and turn automatic time on: “timedatectl set-ntp true”."),
            seconds=round(abs(found.clock)),
        )
    if not found.mobile:
        return warning(
            "no_ciba",
            N_("Answers, but does not announce the login by mobile (CIBA)."),
            N_("Log in by the browser; the vendor can ask ANS to enable CIBA for the service."),
        )
    return (
        ok(N_("Answers; login by e-CPS can begin, and sessions outlive the service."))
        if found.resumes
        else ok(
            N_("Answers; login by e-CPS can begin. Without a keyring, sessions end with the service."),
            outcome="not_kept",
        )
    )


async def support(surroundings: Surroundings) -> Finding:
    """Check whether the codes of support that are demanded can be given."""
    async with _daemon(surroundings) as cardd:
        standing = await cardd.support()
    if not standing.demanded:
        raise Unknowable("no_support")
    if standing.locked:
        return warning(
            "locked",
            N_("Locked for {seconds} s after wrong codes."),
            N_("Wait, and ask who tried: “cardctl audit tail” has each attempt."),
            seconds=standing.locked,
        )
    return (
        ok(N_("Demanded, and the workstation is enrolled."))
        if standing.enrolled
        else warning(
            "not_enrolled",
            N_("Demanded, but the workstation is not enrolled: what needs a code is refused."),
            N_("Enrol it (“sudo cardctl support enrol”), or set [support] totp = false."),
        )
    )


@asynccontextmanager
async def _daemon(surroundings: Surroundings) -> AsyncIterator[CarddClient]:
    """Open the daemon, which tells these things on its Unix socket only. Raises Unknowable."""
    try:
        async with surroundings.daemon() as cardd:
            yield cardd
    except DaemonUnreachable:
        raise Unknowable("no_daemon") from None
    except Forbidden:
        raise Unknowable("no_socket") from None


async def audit(surroundings: Surroundings) -> Finding:
    """Check whether the audit log's chain is whole."""
    from cardd.system.audit_file import AuditReader  # noqa: PLC0415 - sqlite3
    from cardd.system.audit_heads import KEY, SECOND  # noqa: PLC0415
    from cardd.system.secrets import service_secret  # noqa: PLC0415

    directory = surroundings.config.audit.directory
    try:
        is_there = directory.exists()  # one that was taken away is told by the head that stands elsewhere
    except PermissionError:
        raise Unknowable("no_rights") from None
    if is_there and not os.access(directory, os.R_OK | os.X_OK):
        raise Unknowable("no_rights")
    try:
        reader = AuditReader(directory, surroundings.config.state.directory / SECOND, service_secret(KEY))
        head = await in_time(reader.verify, VERIFY_LIMIT)
        breaks = await in_time(reader.breaks, VERIFY_LIMIT)
    except AuditBroken as broken:
        return failure(
            "broken",
            N_("{path} was changed at row {row}."),
            N_("Keep the files as they are and tell your security officer."),
            row=broken.params["row"],
            path=str(directory),
        )
    if breaks:
        return warning(
            "went_on",
            N_("Whole; rows: {rows}. Row {row} tells that it was broken before."),
            N_("If your security officer does not know: “cardctl audit verify” tells what was found."),
            rows=head.number,
            row=breaks[-1].number,
        )
    return ok(N_("Whole; rows: {rows}."), rows=head.number) if head.number else ok(N_("Empty."), outcome="empty")
