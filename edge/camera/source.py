"""The source string, by which a station file or the command line names a camera.

::

    KIND:TARGET?NAME=VALUE&NAME=VALUE       v4l2:/dev/video0?width=1280&height=720
    rtsp://USER:PASSWORD@HOST/PATH#NAME=VALUE        a URL keeps its own query; options follow a #

A URL's fragment is never sent to a server (RFC 3986, 3.5), hence the ``#``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlsplit

from edge.camera.base import Camera
from models.errors import InputError
from models.nearest import nearest

__all__ = ["KINDS", "MAX_FPS", "MIN_FPS", "Factory", "Source", "mask", "parse_source"]

MAX_FPS = 1000.0
"""Hz; faster than any camera that this reads, and than any loop that could follow."""

MIN_FPS = 0.1
"""Hz; one picture in ten seconds. A slower line is better served by a trigger."""

TELLING_KEYS = frozenset({"camera", "channel", "profile", "stream", "subtype"})
"""Query keys of IP cameras that tell two cameras apart; every other value may be a secret."""


@dataclass(frozen=True)
class Source:
    """A source string, taken apart.

    Attributes
    ----------
    name
        The source as messages may show it: no options, no user, no password.
    kind
        What stands before the first colon, in lower case: a key of ``KINDS``.
    target
        Device, path, or the whole URL with its credentials; hence not in the ``repr``.
    options
        As written, in the order written.
    """

    name: str
    kind: str
    target: str = field(repr=False)
    options: tuple[tuple[str, str], ...] = ()

    def only(self, *known: str) -> None:
        """Refuse every option but the ``known`` ones, and those given twice.

        Raises
        ------
        InputError
            With the nearest known name.
        """
        seen: set[str] = set()
        for name, _ in self.options:
            if name not in known:
                raise InputError(f"{self.name}: unknown option {name!r}: {_suggest(name, known)}")
            if name in seen:
                raise InputError(f"{self.name}: option {name} is given twice: leave one out")
            seen.add(name)

    def text(self, name: str, default: str = "") -> str:
        """The value of an option as written."""
        return dict(self.options).get(name, default)

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """The value of an option that is a number from ``low`` to ``high``.

        Raises
        ------
        InputError
            It is no number, or out of bounds.
        """
        value = self.text(name)
        try:
            number = float(value) if name in dict(self.options) else default
        except ValueError:
            raise InputError(f"{self.name}: {name}={value!r}: must be a number") from None
        if name in dict(self.options) and not low <= number <= high:  # NaN fails this too
            raise InputError(f"{self.name}: {name}={value}: must be {low:g} to {high:g}")
        return number

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """The same for a whole number."""
        number = self.number(name, default, low, high)
        if number != int(number):
            raise InputError(f"{self.name}: {name}={self.text(name)}: must be a whole number")
        return int(number)

    def flag(self, name: str) -> bool:
        """Whether an option is 1; it is 0 where it is not given."""
        return self.integer(name, 0, 0, 1) == 1

    def fps(self, default: float = 0.0) -> float:
        """The option ``fps``: ``MIN_FPS`` to ``MAX_FPS``, or 0 for no fixed rate."""
        rate = self.number("fps", default, 0.0, MAX_FPS)
        if 0.0 < rate < MIN_FPS:
            raise InputError(f"{self.name}: fps={rate:g}: must be 0 or {MIN_FPS:g} to {MAX_FPS:g}")
        return rate


Factory = Callable[[Source], Camera]

KINDS: dict[str, Factory] = {}
"""Every kind of source there is, by what stands before the colon; see ``edge.camera.register``."""


def parse_source(text: str) -> Source:
    """Take a source string apart; touches no device.

    Raises
    ------
    InputError
        It is malformed or its kind is unknown.
    """
    text = text.strip()
    if not text or not text.isprintable():
        raise InputError(f"{mask(text)!r}: no camera source: write one like v4l2:/dev/video0")
    kind, colon, rest = text.partition(":")
    kind = kind.lower()
    if not colon:
        raise InputError(
            f"{mask(text)}: does not say what kind of source it is: begin with one of {_kinds()}"
        )
    if kind not in KINDS:
        raise InputError(
            f"{mask(text)}: unknown kind of source {kind!r}: {_suggest(kind, KINDS)} "
            f"(there are {_kinds()})"
        )
    if rest.startswith("//"):
        return _parse_url(kind, text)
    target, _, query = rest.partition("?")
    name = mask(f"{kind}:{target}")  # whatever the kind: a slash may be missing from a URL
    return Source(name, kind, target, _options(name, query))


def _parse_url(kind: str, text: str) -> Source:
    bare, _, fragment = text.partition("#")
    name = mask(text)
    try:
        parts = urlsplit(bare)
        sound = bool(parts.hostname) and parts.port != 0
        # The one @ there may be ends the credentials; any other is a character of a password.
        sound = sound and text.count("@") == parts.netloc.count("@") <= 1
    except ValueError:  # a port that is no number, a bracket that is not closed
        sound = False
    if not sound:
        raise InputError(
            f"{name}: malformed address: write {kind}://user:password@host:port/path, and in user, "
            "password and path %40 for @; in user and password %2F for /, %23 for #, %3F for ?"
        )
    return Source(name, kind, bare, _options(name, fragment))


def _options(name: str, query: str) -> tuple[tuple[str, str], ...]:
    try:
        return tuple(parse_qsl(query, keep_blank_values=True, strict_parsing=True) if query else ())
    except ValueError:
        raise InputError(f"{name}: malformed options: write NAME=VALUE&NAME=VALUE") from None


def mask(text: str) -> str:
    """``text`` fit to be shown: of a URL neither user, password, fragment nor secret query values.

    Whatever stands before the *last* ``@`` is taken for a credential, so that a password with an
    unescaped ``/``, ``#`` or ``@`` does not show either.

    >>> mask("rtsp://admin:p@ss/1@10.0.0.7:554/live?channel=2&token=abc")
    'rtsp://***@10.0.0.7:554/live?channel=2&token=***'
    """
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    head, separator, rest = text.partition("://")
    if not separator:
        # a URL with a slash missing is still a URL to whoever mistyped it
        return re.sub(r"^([^:]*:/*).*@", r"\1***@", text)
    _, at, rest = rest.rpartition("@") if "@" in rest else ("", "", rest)
    rest = rest.partition("#")[0]
    path, question, query = rest.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&")]
    shown = "&".join(
        f"{key}={value if key.lower() in TELLING_KEYS else '***'}" if equals else "***"
        for key, equals, value in pairs
    )
    return f"{head}://{'***@' if at else ''}{path}{question}{shown if question else ''}"


def _suggest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = nearest(name, names)
    if near is not None:
        return f"did you mean {near!r}?"
    return f"there is {', '.join(names)}" if names else "it takes none"


def _kinds() -> str:
    return ", ".join(f"{kind}:" for kind in KINDS)
