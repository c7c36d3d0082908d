"""What every error has: a code, a status, its sentences, and the params that fill them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import ClassVar, NamedTuple, Self, dataclass_transform

from cardd.i18n import N_, Domain

Param = str | int
Words = Mapping[str, Mapping[str, str]]  # by param: the sentence that each of its words stands for

_ = Domain("errors")
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)")


class Told(NamedTuple):
    """What a person reads of an error."""

    title: str
    detail: str
    remedy: str


@dataclass_transform(kw_only_default=True)
class CarddError(Exception):
    """Root of the tree; never raised itself.

    The annotations of a subclass are its params: they are given by name, filled into the sentences, and attributes of
    the error. One that has a default need not be given; None stands for what is not known.

    ``retryable`` says that the same request may do well soon; ``may_pass`` that it may once something was put right
    that has nothing to do with the request: the answer is none to keep.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    may_pass: ClassVar[bool] = False
    title: ClassVar[str] = ""
    detail: ClassVar[str] = ""
    remedy: ClassVar[str] = ""
    words: ClassVar[Words] = {}
    fields: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.fields = cls.fields | cls.__annotations__.keys()

    def __init__(self, **params: Param | None) -> None:
        wrong = [name for name in params if name not in self.fields]
        wrong += [name for name in self.fields if name not in params and not hasattr(type(self), name)]
        if wrong:
            raise TypeError(f"{type(self).__name__}: {', '.join(wrong)}")
        self._take(params)

    @classmethod
    def received(cls, **params: Param) -> Self:
        """Return an error that another program told: it may lack params, or have others and its sentences."""
        error = cls.__new__(cls)
        error._take(params)  # noqa: SLF001 - of its own class
        return error

    def _take(self, params: Mapping[str, Param | None]) -> None:
        super().__init__(self.code)
        self.params = {name: value for name, value in params.items() if value is not None}
        self.__dict__.update({name: value for name, value in params.items() if name in self.fields})

    def told(self, language: str) -> Told:
        """Return title, detail and remedy in ``fr`` or ``en``; what was received with sentences keeps them."""
        params = self.meant(language)
        own = {"title": self.title, "detail": self.detail, "remedy": self.remedy}
        return Told(*(str(self.params.get(part) or _(text, language, **params)) for part, text in own.items()))

    def meant(self, language: str) -> dict[str, Param]:
        """Return the params, with the sentence of each word in the place of the word."""
        found = {name: sentences.get(str(self.params.get(name))) for name, sentences in self.words.items()}
        return {name: _dated(value, language) for name, value in self.params.items()} | {
            name: _(text, language, **self.params) for name, text in found.items() if text
        }

    def __str__(self) -> str:
        told = ", ".join(f"{key}={value}" for key, value in self.params.items())
        return f"{self.code} ({told})" if told else self.code


def _dated(value: Param, language: str) -> Param:
    """Return a time as the day that people read; what is none as it is."""
    found = _TIME.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    year, month, day = found.groups()
    return f"{day}/{month}/{year}" if language == "fr" else f"{year}-{month}-{day}"


class InternalError(CarddError):
    """A fault of cardd's own; what happened is in the journal, not in the answer."""

    code = "internal"
    title = N_("Internal error")
    detail = N_("cardd met an unexpected fault, and gave no result.")
    remedy = N_(
        "Try again. If it comes back, give support the time of the error and the name of the request ({request}): the "
        "details are in the service's journal."
    )

    why: str = ""
    request: str = "–"


def every_error() -> Iterator[type[CarddError]]:
    """Yield each class of the tree that has a code of its own."""
    pending = [CarddError]
    while pending:
        found = pending.pop(0)
        pending.extend(found.__subclasses__())
        if "code" in vars(found) and found is not CarddError:
            yield found


@cache
def errors_by_code() -> dict[str, type[CarddError]]:
    """Return the classes by their codes."""
    return {error.code: error for error in every_error()}
