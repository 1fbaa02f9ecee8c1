"""Shows a message in a browser: in a page of its own, which runs nothing."""

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

from feedd.cli.show import say
from feedd.errors import Unavailable

STARTS_WITHIN_S = 3.0  # who opens browsers has said by then that there is none
# what a mail client would show: no scripts, no forms, nothing framed. The file is UTF-8, whatever the message says of itself
_POLICY = (
    '<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src * data:;'
    " style-src 'unsafe-inline' *; font-src *; form-action 'none'\">"
)
# what may stand before a DOCTYPE, read no further than a browser does: space as HTML knows it, comments, and XML's own first line
_SPACE = r"[ \t\n\r\f]*"
_DOCTYPE = re.compile(
    rf"{_SPACE}(?:(?:<!--(?!-?>)(?:(?!--!?>).)*-->|<\?[^>]*>){_SPACE})*<!doctype[^>]*>",
    re.DOTALL | re.IGNORECASE,
)


def page_of(text: str) -> str:
    """A page that shows a plain text as it is."""
    return f'<!DOCTYPE html><title>Plain text</title><pre style="white-space:pre-wrap">{escape(text)}</pre>'


def confined(html: str) -> str:
    """The page with a policy that keeps it from running anything.

    It stands behind the DOCTYPE, before anything else that counts: there it begins the head, and the page is shown as the standards say.
    """
    found = _DOCTYPE.match(html)
    end = 0 if found is None else found.end()
    return f"{html[:end]}{_POLICY}{html[end:]}"


def show_page(html: str) -> None:
    """Show a page in a browser, and say on stderr where it is. Who looks at it deletes it, or the system does.

    Raises:
        Unavailable: there is no browser here.
    """
    with tempfile.NamedTemporaryFile(
        "w", suffix=".html", prefix="feedd-", delete=False, encoding="utf-8"
    ) as file:
        file.write(confined(html))
    path = Path(file.name)
    if not _opened(path):
        raise Unavailable("no browser can be opened here", hint=f"The message is in {path}.")
    say(f"{path}", stderr=True)


def _opened(path: Path) -> bool:
    """Whether a browser is shown the file, as far as can be told."""
    opener = shutil.which("open" if sys.platform == "darwin" else "xdg-open")
    if opener is None:
        return False
    process = subprocess.Popen(  # noqa: S603 the desktop's own program
        [opener, str(path)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    with contextlib.suppress(subprocess.TimeoutExpired):  # it is the browser itself
        return process.wait(STARTS_WITHIN_S) == 0
    return True
