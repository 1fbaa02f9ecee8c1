"""What is doubtful in a source besides its tags: notation of other services, notes. Pure."""

import re
from collections.abc import Iterator
from itertools import islice
from urllib.parse import unquote

from feedd.templates.spelling.draft import Finding

MAILCHIMP = {
    "ARCHIVE": "{% web_view_link %}", "CURRENT_YEAR": "{% current_year %}", "EMAIL": "{{ email }}",
    "FNAME": "{{ first_name }}", "LNAME": "{{ last_name }}", "LIST:ADDRESS": "{{ organization.full_address }}",
    "LIST:COMPANY": "{{ organization.name }}", "LIST:NAME": "{{ organization.name }}",
    "MC_PREVIEW_TEXT": "{% render_variable preview_text %}", "PHONE": "{{ person.phone_number }}",
    "UNSUB": "{% unsubscribe_link %}", "UPDATE_PROFILE": "{% manage_preferences_link %}",
}  # fmt: skip
PEOPLE = {
    "email": "email", "emailaddress": "email", "firstname": "first_name", "fname": "first_name", "fullname": "full_name",
    "lastname": "last_name", "lname": "last_name", "name": "first_name",
}  # fmt: skip
"""What others call the names of the person that a message is for, in small letters and without `_`."""
_MAILCHIMP = re.compile(r"\*\|([A-Z][A-Z0-9_]{0,40})((?::[A-Z0-9_]{0,40})*)[^|*\n]{0,80}\|\*")
_MARKS = re.compile(
    r"%%\s?=?v?\(?@?(?P<percent>[A-Za-z]\w{1,40})\)?=?\s?%%|\[\[\s?(?P<square>[A-Za-z][\w.]{1,40})\s?\]\]"
    r"|\$\{\s?(?P<dollar>[A-Za-z][\w.]{1,40})\s?\}"
)
_CODE = (("<script", "</script", 20_000), ("<style", "</style", 20_000), ("{{", "}}", 200), ("{%", "%}", 200))  # fmt: skip
"""Where text is no text, from where to where, and within how many characters that is looked for."""
_MOST_MARKS = 200
_RUBY = re.compile(r"<%=?\s?([^%\n]{1,80}?)\s?%>")
_NOTE = re.compile(r"\{#(?=[\s-])[^{}\n]{0,500}\n(?:[^#]|#(?!\})){0,2000}#\}")
_BRACE, _CLOSING = "(?:%7B|&#123;|&lbrace;|&lcub;)", "(?:%7D|&#125;|&rbrace;|&rcub;)"
_ENCODED = re.compile(
    rf"{_BRACE}(?:{_BRACE}|(%(?:25)?(?!7)))((?:(?!{_BRACE})[^<>\"'{{}}\n]){{1,200}}?)(?:{_CLOSING}|%25|%(?=%)){_CLOSING}",
    re.IGNORECASE,
)
_TWICE = re.compile(
    r"(https?://)\{\{\s*(organization\.url|catalog_item\.url|event\.(?:\w+\.)*\w*(?:url|URL|Url|_link))\s*\}\}"
)
_LINK_IN_LINK = re.compile(
    r"<a\s[^<>]{1,500}>(?:[^<{]|<(?!/a|a\s)|\{(?!%)){0,300}?(\{%\s*(unsubscribe|manage_preferences|web_view)\b[^%]{0,100}%\})"
)
_UNSUBSCRIBES = re.compile(r"unsubscribe|\{%\s*manage_preferences", re.IGNORECASE)


def doubts(source: str) -> Iterator[Finding]:
    """What is shown as it stands, or works otherwise than it looks."""
    for found in _MAILCHIMP.finditer(source):
        yield _warning(
            found.start(), found.end(), f"{found[0]} is Mailchimp: it is shown as it stands",
            _of_mailchimp(found[1], found[2]),
        )  # fmt: skip
    yield from _marks(source)
    for found in _RUBY.finditer(source):
        yield _warning(
            found.start(), found.end(), f"{found[0]} is not read: it is shown as it stands",
            f"write {{{{ {found[1]} }}}}",
        )  # fmt: skip
    for found in _NOTE.finditer(source):
        yield _warning(
            *found.span(), "a note {# … #} must stand on one line: over lines it is shown",
            "write {% comment %}…{% endcomment %}",
        )  # fmt: skip
    yield from _addresses(source)
    yield from _unsubscribing(source)


def _addresses(source: str) -> Iterator[Finding]:
    for found in _ENCODED.finditer(source):
        name = unquote(found[2]).strip()
        right = f"{{% {name} %}}" if found[1] else f"{{{{ {name} }}}}"
        yield _warning(
            *found.span(), "an editor has encoded the braces: they are no tag, and stand in the mail", f"write {right}"
        )  # fmt: skip
    for found in _TWICE.finditer(source):
        yield _warning(
            *found.span(1), f"{found[2]} has its own https:// where it is a whole address",
            f"write {{{{ {found[2]} }}}}",
        )  # fmt: skip
    for found in _LINK_IN_LINK.finditer(source):
        yield _warning(
            *found.span(1), f"{{% {found[2]} %}} gives a whole link, and stands within one",
            f'write <a href="{{% {found[2]}_link %}}">…</a>',
        )  # fmt: skip


def _of_mailchimp(name: str, more: str) -> str:
    """What is written for a merge tag, of which `more` is what follows its name, with the colons."""
    right = MAILCHIMP.get(f"{name}{more}") or (MAILCHIMP.get(name) if not more else None)
    if right:
        return f"write {right}"
    asked = more[1:].partition(":")[0]
    known = MAILCHIMP.get(asked, "")
    value = known.strip("{} ") if known.startswith("{{") else f"person.{asked}"
    if name in ("IF", "ELSEIF", "IFNOT") and asked:
        negation = "not " if name == "IFNOT" else ""
        return f"write {{% {'elif' if name == 'ELSEIF' else 'if'} {negation}{value} %}}"
    if name == "ELSE":
        return "write {% else %}"
    if name == "END":
        return "write {% endif %}"
    if name == "DATE":
        return 'write {% now "F j, Y" %}'
    if more or name == "MC":
        return "leave it out"
    return f"write {{{{ person.{name} }}}}, with the name that the property has here"


def _marks(source: str) -> Iterator[Finding]:
    """`%%FIRSTNAME%%`, `[[name]]` and `${name}`."""
    for found in islice(_MARKS.finditer(source), _MOST_MARKS):
        if _is_code(source, found.start()):
            continue
        name = found[found.lastgroup or 0]
        first, dot, _ = name.partition(".")
        known = PEOPLE.get(name.replace("_", "").lower())
        right = known or (
            name if dot and first in ("person", "event", "organization") else f"person.{name}"
        )
        yield _warning(
            *found.span(), f"{found[0]} is not read: it is shown as it stands", f"write {{{{ {right} }}}}"
        )  # fmt: skip


def _is_code(source: str, at: int) -> bool:
    spans = ((begin, end, max(0, at - most)) for begin, end, most in _CODE)
    return any(
        source.rfind(begin, first, at) > source.rfind(end, first, at) for begin, end, first in spans
    )


def _unsubscribing(source: str) -> Iterator[Finding]:
    whole = re.search(r"<html[\s>]", source, re.IGNORECASE)
    if whole and not _UNSUBSCRIBES.search(source):
        end = re.search(r"</body", source, re.IGNORECASE)
        at = end.start() if end else whole.start()
        yield _warning(
            at, at + 6, "nobody can unsubscribe from this mail",
            "write {% unsubscribe %}, or <a href=\"{% unsubscribe_link %}\">…</a>, where a mail is sent to many",
        )  # fmt: skip


def _warning(start: int, end: int, message: str, hint: str) -> Finding:
    return Finding(start, end - start, message, hint, "warning")
