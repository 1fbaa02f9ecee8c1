"""A tag while its spelling is mended: its characters, and where each of them stood in the source. Pure."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from difflib import get_close_matches

STRING = r"""(?:"\x1a*"|'\x1a*')"""
"""A quoted text, as `Draft.masked` shows it."""
VALUE = rf"(?:{STRING}|[\w.]+)"
"""A quoted text, a name or a number."""

_QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|' + r"'[^'\\]*(?:\\.[^'\\]*)*'")


def nearest(name: str, known: Collection[str], likeness: float) -> str | None:
    """The known name that is most like one, if any is: two letters that have changed places make no difference."""
    if len(name) > 40:
        return None
    low = name.lower()
    swapped = next((each for each in known if len(each) > 2 and sorted(each) == sorted(low)), None)
    return swapped or next(iter(get_close_matches(low, known, 1, likeness)), None)


@dataclass(frozen=True)
class Finding:
    """What is wrong at a place of the source (a character's number from 0), `length` characters long."""

    at: int
    length: int
    message: str
    hint: str | None = None
    severity: str = "error"


@dataclass
class Draft:
    """A whole tag, with its braces. Rules look at `masked`, whose quoted texts are blotted out, and mend `text`."""

    text: str
    start: int = 0
    findings: list[Finding] = field(default_factory=list)
    places: list[int] = field(init=False)
    form: str | None = None

    def __post_init__(self) -> None:
        self.places = list(range(self.start, self.start + len(self.text) + 1))

    @property
    def masked(self) -> str:
        """The text, of whose quoted parts only the quotes are left; as long as the text."""
        return _QUOTED.sub(lambda m: m[0][0] + "\x1a" * (len(m[0]) - 2) + m[0][0], self.text)

    @property
    def is_block(self) -> bool:
        """Whether this is a `{% … %}`."""
        return self.text.startswith("{%")

    @property
    def inner(self) -> str:
        """What stands between the braces."""
        return self.text[2:-2].strip()

    @property
    def command(self) -> str:
        """The first word of a `{% … %}`."""
        words = self.inner.split(None, 1) if self.is_block else []
        return words[0] if words else ""

    def swap(self, start: int, end: int, new: str) -> None:
        """Put other characters in the place of some."""
        old = self.text[start:end]
        if old == new:
            return
        if len(old) != len(new):
            self.places[start:end] = [self.places[start]] * len(new)
        self.text = self.text[:start] + new + self.text[end:]

    def tell(self, start: int, end: int, message: str, hint: str | None = None) -> None:
        """Note what is wrong with some characters. Without a hint, the mended tag is the hint."""
        at = self.places[start]
        length = max(1, self.places[min(end, len(self.places) - 1)] - at)
        self.findings.append(Finding(at, length, message, hint))

    def mend(self, start: int, end: int, new: str, message: str, hint: str | None = None) -> None:
        """Note what is wrong, and put what is right in its place."""
        self.tell(start, end, message, hint)
        self.swap(start, end, new)

    def tell_once(self) -> None:
        """Keep the first of several findings that say the same."""
        first: dict[str, Finding] = {}
        for each in sorted(self.findings, key=lambda each: each.at):
            first.setdefault(each.message, each)
        self.findings = list(first.values())

    def replace(self, new: str, message: str, form: str) -> None:
        """Note that there is no such tag. `form` is the hint, with `@` for what `new` is mended to."""
        self.findings = []  # what else is wrong with it does not count
        self.tell(0, len(self.text), message)
        self.swap(0, len(self.text), new)
        self.form = form

    def rewrite(self, new: str, message: str, hint: str | None = None) -> None:
        """Note that the whole tag is wrong, and put another in its place."""
        self.mend(0, len(self.text), new, message, hint)
