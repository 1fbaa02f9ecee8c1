"""A subject line from the text of a render: one line, with nothing in it that a header cannot hold. Pure."""

import re
from html import unescape

MOST_CHARACTERS = 998  # RFC 5322, 2.1.1: the most that a line may have

# Control characters, line ends of Unicode, what turns the direction of writing, and halves of characters
_NO_TEXT = re.compile(
    "[\x00-\x20\x7f-\xa0\u00ad\u1680\u2000-\u200a\u200b\u200e\u200f\u2028-\u202f\u205f-\u2069\u3000\ufdd0-\ufdef\ufeff\ufff9-\ufffc\ufffe\uffff\ud800-\udfff]+"
)
_ENCODED_WORD = re.compile(r"=\?(?=[^?\s]{1,60}\?[bBqQ]\?)")


def subject_line(text: str) -> str:
    """The subject, from a text that was rendered without escaping.

    What is left of character references is read. Control characters and line ends become a space, several one. A text in the form of an
    encoded word (RFC 2047) is taken apart with a space: some programs would decode it, and find line ends or headers in it. Never raises.
    """
    text = _NO_TEXT.sub(" ", _plain(text)).strip()
    text = _ENCODED_WORD.sub("= ?", text)
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1].rstrip() + "…"


def _plain(text: str) -> str:
    try:
        return unescape(text)
    except ValueError:  # a number of thousands of digits
        return text
