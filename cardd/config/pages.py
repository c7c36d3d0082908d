"""Settings of web pages: which sites may call, what their pages may do, and which programs are browsers."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from cardd.config.kinds import BrowserPath, Origin, Section, Unfit
from cardd.i18n import N_
from cardd.model import Right


class Web(Section, frozen=True):
    """Which web pages may call."""

    LIVE = frozenset(("allowed_origins", "unknown_origins", "rights", "remember_days", "allow_insecure_origins"))

    allowed_origins: Annotated[
        tuple[Origin, ...],
        Meta(description=N_("Origins of the pages that may call, each written exactly as the browser sends it.")),
    ] = ()
    unknown_origins: Annotated[
        Literal["refuse", "ask"],
        Meta(description=N_("What an origin that is not listed gets: a refusal, or a question to the user.")),
    ] = "refuse"
    rights: Annotated[
        tuple[Right, ...],
        Meta(
            min_length=1,
            description=N_(
                "What pages of allowed_origins may do: see that a card is there, read the holder, log in, have "
                "documents signed, act at other services in the person's name."
            ),
        ),
    ] = tuple(Right)
    remember_days: Annotated[
        int,
        Meta(
            ge=0,
            le=3650,
            description=N_(
                "For how many days a user may let a browser's pages of a site in; 0: only for the present, 12 hours at "
                "most."
            ),
        ),
    ] = 180
    browsers: Annotated[
        tuple[BrowserPath, ...],
        Meta(
            description=N_(
                "Programs whose requests are taken for a page's: “known” browsers, others by the path of the program "
                "itself (* for a part that changes), or “any”, which believes what every program says of itself."
            )
        ),
    ] = ("known",)
    allow_insecure_origins: Annotated[
        bool,
        Meta(description=N_("Accept http:// in allowed_origins and [portals.NAME]. For development only.")),
    ] = False

    def faults(self) -> Iterator[tuple[str, Unfit]]:
        """Find origins without TLS."""
        insecure = [origin for origin in self.allowed_origins if origin.startswith("http:")]
        if insecure and not self.allow_insecure_origins:
            yield "allowed_origins", Unfit("insecure_origin", insecure[0])


class Portal(Section, frozen=True):
    """One site with rights of its own; ``name`` is the one in its section's title."""

    LIVE = frozenset(("origin", "rights"))

    name: str = ""
    origin: Annotated[
        Origin,
        Meta(description=N_("The site's origin, over https, exactly as the browser sends it. Required.")),
    ] = ""
    rights: Annotated[
        tuple[Right, ...],
        Meta(min_length=1, description=N_("What its pages may do, instead of what [web] rights says.")),
    ] = tuple(Right)

    def faults(self) -> Iterator[tuple[str, Unfit]]:
        """Find a site without an origin."""
        if not self.origin:
            yield "origin", Unfit("missing", "https://host[:port]")
