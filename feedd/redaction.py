"""What must not be shown: secrets, what a URL carries beside its address, and characters that command a terminal."""

import re
from collections.abc import Iterable
from urllib.parse import quote

MASK = "***"

_SHORTEST_SECRET = 4  # masking anything shorter would mask half of the log
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"'<>`]+", re.IGNORECASE)
# C0 and C1 controls, line and paragraph separators, lone surrogates, and what reorders the text around it
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


_secrets: frozenset[str] = frozenset()


def register_secrets(values: Iterable[str]) -> None:
    """Mask these values wherever text is redacted from now on, as they are and as a URL spells them."""
    global _secrets  # noqa: PLW0603 the log is one for the process, and so is what must not be in it
    fresh = {value for value in values if len(value) >= _SHORTEST_SECRET}
    _secrets |= fresh | {quote(value, safe="") for value in fresh}


def redact_text(text: str) -> str:
    """Text without registered secrets, and with the URLs in it without user names, passwords and query values."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return _URL.sub(lambda match: redact_url(match.group()), text) if "://" in text else text


def redact_url(url: str) -> str:
    """A URL without user name and password, and without the values of its query and fragment."""
    scheme, _, rest = url.partition("://")
    end = re.search(r"[/?#]|$", rest)
    split = end.start() if end else len(rest)
    host = rest[:split].rpartition("@")[2]
    path, hash_mark, _ = rest[split:].partition("#")
    path, question_mark, query = path.partition("?")
    shown = "&".join(_masked_parameter(part) for part in query.split("&"))
    return (
        f"{scheme}://{host}{path}{question_mark}{shown if query else ''}"
        f"{hash_mark}{MASK if hash_mark else ''}"
    )


def _masked_parameter(part: str) -> str:
    name, equals, _ = part.partition("=")
    return f"{name}={MASK}" if equals else MASK


def escaped(text: str) -> str:
    """Text without control characters and without what reorders the text around it: `\\x1b` in their place."""
    return _UNSAFE.sub(lambda match: match.group().encode("unicode_escape").decode(), text)
