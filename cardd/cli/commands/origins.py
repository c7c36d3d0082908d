"""``cardctl origins`` and ``browser-policy``: which sites' pages may call, and which ones browsers let through."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from cardd.cli.command import Command, Context
from cardd.cli.parser import PATH, Exit, Parser
from cardd.cli.policies import Policies, Standing
from cardd.cli.policy_documents import BROWSERS
from cardd.cli.terminal import table
from cardd.cli.wording import word_for
from cardd.client import Origin
from cardd.i18n import N_, Domain
from cardd.model import Right

_ = Domain("cli")

HEADS = (N_("SITE"), N_("STATE"), N_("RIGHTS"), N_("KEY"), N_("SINCE"), N_("UNTIL"), N_("USED"))
STATES = {"listed": N_("listed"), "let in": N_("let in"), "refused": N_("refused"), "inactive": N_("not served")}
POLICY_HEADS = (N_("BROWSER"), N_("PACKAGE"), N_("INSTALLED"), N_("SITES"), N_("FILE"))
UNREAD = N_("not understood")
YES_NO = {"yes": N_("yes"), "no": N_("no")}
SITE = N_("SITE")
RESTART = N_("The browsers read it when they start again.")
KEY_SHOWN = 8  # characters of a key's name in the list


# --- origins


def _arguments(parser: Parser) -> None:
    """Declare the list, and what can be done to one site."""
    branch = parser.branches("action", required=False)
    branch("list", N_("list the sites that are listed, let in or refused"))
    allow = branch("allow", N_("let a site in, after a question in a dialog; its page may come within five minutes"))
    allow.add_argument("origin", metavar=SITE, help=N_("as the browser shows it: https://site.example"))
    allow.add_argument(
        "--right",
        dest="rights",
        action="append",
        default=[],
        choices=[right.value for right in Right],
        help=N_("what the site may do; may be repeated; by default to log you in and to ask for signatures"),
    )
    revoke = branch("revoke", N_("shut a site out; its sessions and event streams end at once"))
    revoke.add_argument("origin", metavar=SITE, help=N_("as the list has it"))
    revoke.add_argument("--key", metavar=N_("KEY"), help=N_("one browser only, by its key's name or beginning"))


async def _origins(context: Context) -> int:
    """List the sites, let one in, or shut one out."""
    given, language = context.arguments, context.language
    async with context.client() as cardd:
        match given.action:
            case "allow":
                made = await cardd.allow_origin(_origin_of(given.origin), given.rights)
                context.answer(made, [_("{site} is let in. Load its page now.", language, site=made.origin)])
            case "revoke":
                known = await cardd.origins()
                named = {site.origin for site in known}
                origin = given.origin if given.origin in named else _origin_of(given.origin)
                await cardd.revoke_origin(origin, _whole(given.key, origin, known))
                context.answer({"revoked": origin}, [_("Shut out.", language)])
            case _:
                _list(context, await cardd.origins())
    return Exit.OK


def _origin_of(address: str) -> str:
    """Return the origin of an https address as people copy it from a browser; all else as it was given."""
    try:
        parts = urlsplit(address if "://" in address else f"https://{address}")
        host, port = (parts.hostname or "").encode("idna").decode(), parts.port
    except ValueError:
        return address
    is_plain = parts.scheme == "https" and host and "@" not in parts.netloc and "[" not in parts.netloc
    return f"https://{host}{f':{port}' if port not in (None, 443) else ''}" if is_plain else address


def _whole(key: str | None, origin: str, known: Iterable[Origin]) -> str | None:
    """Return the whole name of the only key that begins so; else what was given, which the daemon does not know."""
    keys = [one.id for site in known if site.origin == origin for one in site.keys if key and one.id.startswith(key)]
    return keys[0] if len(keys) == 1 else key


def _list(context: Context, origins: Sequence[Origin]) -> None:
    rows = [row for origin in origins for row in _rows(context, origin)]
    heads = [_(head, context.language) for head in HEADS]
    context.answer({"origins": origins}, table(heads, rows) if rows else [_("No site.", context.language)])


def _rows(context: Context, origin: Origin) -> Iterable[list[str]]:
    state = word_for(_state(origin), STATES, context)
    if not origin.keys:
        yield [origin.origin, state, " ".join(origin.rights), "", "", "", ""]
    for key in origin.keys:
        rights = [right for right in key.rights if right in origin.rights]
        days = [day.isoformat() for day in (key.since.date(), key.until.date(), key.used)]
        yield [origin.origin, state, " ".join(rights), key.id[:KEY_SHOWN], *days]


def _state(origin: Origin) -> str:
    if origin.refused and not origin.keys:
        return "refused"
    if origin.listed:
        return "listed"
    return "let in" if origin.active else "inactive"


# --- browser-policy


def _policy_arguments(parser: Parser) -> None:
    """Declare what is shown, and what is written."""
    branch = parser.branches("action")
    _common(branch("show", N_("which sites each browser lets through, and by which file")))
    apply = branch("apply", N_("let these sites through, as root; what is in the files stays"))
    apply.add_argument("origins", metavar=SITE, nargs="+", help=N_("https://site.example"))
    apply.add_argument("--all", action="store_true", help=N_("for browsers too that are not installed yet"))
    _common(apply)
    remove = branch("remove", N_("take these sites out again, or all that were put in; the files are as they were"))
    remove.add_argument("origins", metavar=SITE, nargs="*", help=N_("https://site.example"))
    _common(remove)


def _common(parser: Parser) -> None:
    parser.add_argument(
        "--browser", dest="browsers", action="append", choices=BROWSERS, help=N_("this browser only; may be repeated")
    )
    parser.add_argument(
        "--root", metavar=PATH, type=Path, default=Path("/"), help=N_("another system's root, such as an image's")
    )


async def _policy(context: Context) -> int:
    """Show, write or take back the browsers' policies."""
    given = context.arguments
    policies = Policies(given.root, tuple(given.browsers or BROWSERS))
    match given.action:
        case "apply":
            policies.apply(given.origins, everywhere=given.all)
        case "remove":
            policies.remove(given.origins)
    standings = policies.standings()
    _show(context, standings, changed=given.action != "show")
    return Exit.OK if all(one.is_understood for one in standings) else Exit.FAILED


def _show(context: Context, standings: Sequence[Standing], *, changed: bool) -> None:
    rows = [
        [
            one.browser,
            one.package,
            word_for("yes" if one.is_installed else "no", YES_NO, context),
            (" ".join(one.sites) or "–") if one.is_understood else _(UNREAD, context.language),
            one.file,
        ]
        for one in standings
    ]
    heads = [_(head, context.language) for head in POLICY_HEADS]
    context.answer({"browsers": standings}, table(heads, rows))
    if changed and not context.wants_json:
        context.terminal.tell([_(RESTART, context.language)])


COMMANDS = {
    "origins": Command(_origins, _arguments),
    "browser-policy": Command(_policy, _policy_arguments),
}
