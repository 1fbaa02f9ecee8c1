"""One message: a template and values in, HTML, text and subject out."""

from collections.abc import Mapping
from datetime import UTC, datetime
from traceback import walk_tb
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from django.template import Node, TemplateSyntaxError
from django.utils import timezone, translation

from feedd.templates.check import first_problem
from feedd.templates.engine import OurTemplate, compiled
from feedd.templates.failures import LookupFailed, TooMuch
from feedd.templates.feeds import Feeds
from feedd.templates.message import Answer, Message, Rendering, too_large
from feedd.templates.outputs.links import absolute
from feedd.templates.outputs.plain_text import plain_text
from feedd.templates.outputs.styles import inline
from feedd.templates.outputs.subject import subject_line
from feedd.templates.wire import Account, Done, Failed, Limits, Load, Position, Work

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Template:
    """A template's parts, each compiled when it is first rendered."""

    def __init__(self, load: Load) -> None:
        self.parts = {
            name: source
            for name in ("html", "text", "subject", "preview_text")
            if (source := getattr(load, name)) is not None
        }
        self._compiled: dict[str, OurTemplate] = {}

    def part(self, name: str) -> OurTemplate:
        """A part, compiled. Raises TemplateSyntaxError, also for what Django's tags fail at while they read their words."""
        found = self._compiled.get(name)
        if found is None:
            try:
                found = self._compiled[name] = compiled(self.parts[name])
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                if isinstance(error.__cause__, RecursionError):
                    raise error.__cause__ from None
                raise TemplateSyntaxError(str(error)) from error
        return found


class Renderer:
    """Renders for one account, with one set of bounds."""

    def __init__(self, account: Account, limits: Limits, answer: Answer) -> None:
        self._account = account
        self._limits = limits
        self._answer = answer
        self._zone = ZoneInfo(account.timezone)
        self._language = account.locale.replace("_", "-").lower()

    def render(self, template: Template, work: Work, position: Position) -> Done | Failed:
        """The message, or why there is none. TooSlow and MemoryError are the caller's."""
        message = Message(
            account=self._account,
            now=datetime.fromtimestamp(work.now, UTC).astimezone(self._zone),
            answer=self._answer,
            limits=self._limits,
            links=work.links,
            position=position,
            seed=work.seed,
        )
        feeds = Feeds(message)
        known = {"feeds": feeds, "web_feeds": feeds.about}
        done: dict[str, str] = {}
        part = "html"
        try:
            values = known | cleaned(_decode(work.values))
            with timezone.override(self._zone), translation.override(self._language):
                for part in ("preview_text", "html", "text", "subject"):
                    if part in template.parts and (part != "text" or work.wants_text):
                        done[part] = self._part(template.part(part), values, message, part)
                    if part == "preview_text" and part in done:
                        message.preview_text = done[part] = subject_line(done[part])
            part = "html"
            return self._finished(done, message, work)
        except TemplateSyntaxError as error:
            return refused(error, part, template.parts[part])
        except LookupFailed as error:
            return failed("lookup", error.reason, error, part, template.parts[part])
        except TooMuch as error:
            return failed("limit", error.code, error, part, template.parts[part])
        except RecursionError as error:
            return failed("limit", "too_deep", error, part, template.parts[part])
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 whatever a template makes Django do fails this message only
            return failed("error", "template_failed", error, part, template.parts[part])

    def _part(
        self, template: OurTemplate, values: dict[str, Any], message: Message, part: str
    ) -> str:
        # a copy: what one part sets is not there in the others
        context = Rendering(dict(values), message, autoescape=part == "html")
        text: str = template.render(context) + ""  # a plain string again
        encoded = text.encode("utf-8", "replace")  # half a surrogate pair cannot be sent
        if len(encoded) > self._limits.output_bytes:
            raise too_large(self._limits)
        return encoded.decode()

    def _finished(self, done: dict[str, str], message: Message, work: Work) -> Done:
        """What is sent: styles in their elements where that is wanted, links that work, a text, a subject in one line."""
        html, text, subject = done["html"], done.get("text"), done.get("subject")
        if work.inlines:
            html = inline(html)
        if "\0" in html:
            # as parsers of HTML do; some leave it out, also of the name of a scheme
            html = html.replace("\0", "\ufffd")
        html = absolute(html, self._account.website)
        encoded = html.encode("utf-8", "replace")
        if len(encoded) > self._limits.output_bytes:
            raise too_large(self._limits)
        if text is None and work.wants_text:
            text = plain_text(html)
        return Done(
            html=encoded,
            text=text,
            subject=None if subject is None else subject_line(subject),
            preview_text=done.get("preview_text"),
            items=tuple(message.items),
            feeds=tuple(message.feeds),
        )


def cleaned(value: Any) -> Any:
    """A value without the names that begin with an underscore, however deep they lie."""
    if type(value) is dict:
        return {
            key: cleaned(each) if type(each) in (dict, list) else each
            for key, each in value.items()
            if not key.startswith("_")
        }
    if type(value) is list:
        return [cleaned(each) for each in value]
    return value


def refused(error: TemplateSyntaxError, part: str, source: str) -> Failed:
    """What is wrong with a template, in words for its author."""
    found = first_problem(source)
    if found is None:
        return failed("syntax", "template_syntax", error, part, source)
    return Failed(
        kind="syntax",
        code="template_syntax",
        message=found.message,
        hint=found.hint,
        line=found.line,
        column=found.column,
        part=part,
    )


TOO_DEEP = "what stands in one another is nested too deep"
_MESSAGES: Mapping[str, str] = {"too_deep": TOO_DEEP}
_LONGEST = 1000  # characters of a message, which may hold a value


def failed(kind: str, code: str, error: BaseException, part: str, source: str) -> Failed:
    """Why there is no message, with the place in the source where it is known."""
    token = getattr(error, "token", None) or _innermost(error)
    line, column = (None, None)
    if token is not None and token.position is not None:
        line, column = place(source, token.position[0])
    message = _MESSAGES.get(code) or str(error) or type(error).__name__
    return Failed(
        kind=kind,
        code=code,
        message=message[:_LONGEST].encode("utf-8", "replace").decode(),
        hint=getattr(error, "hint", None),
        line=line,
        column=column,
        part=part,
    )


def _innermost(error: BaseException) -> Any:
    """The token of the innermost tag that was being rendered; None where none was."""
    token = None
    for frame, _ in walk_tb(error.__traceback__):
        node = frame.f_locals.get("self")
        if isinstance(node, Node):
            token = node.token or token
    return token


def place(source: str, start: int) -> tuple[int, int]:
    """The line and the column of a character, both from 1."""
    before = source[:start]
    return before.count("\n") + 1, start - (before.rfind("\n") + 1) + 1
