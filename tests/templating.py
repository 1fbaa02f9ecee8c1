"""Templates rendered in this process, with any values."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.utils import timezone, translation

from feedd.templates.engine import compiled
from feedd.templates.message import Message, Rendering
from feedd.templates.wire import Account, Limits, Links, Question

LINKS = Links(
    unsubscribe="https://feedd.example.com/unsubscribe?a=1&b=2",
    manage_preferences="https://feedd.example.com/preferences",
    web_view="https://feedd.example.com/view",
)
NOW = "2026-03-31T18:05:00"


def no_answer(question: Question) -> Any:
    raise AssertionError(question)


def message(**more: Any) -> Message:
    """A message of an account with these settings, at `now`, a time in the account's zone."""
    account = {
        name: more.pop(name) for name in ("timezone", "currency", "locale") if name in more
    } | {"organization": "Example Shop"}
    now = datetime.fromisoformat(more.pop("now", NOW))
    settings = Account(**account)
    return Message(
        account=settings,
        now=now.replace(tzinfo=ZoneInfo(settings.timezone)),
        answer=no_answer,
        limits=Limits(),
        links=LINKS,
        **more,
    )


def shown(
    source: str, values: dict[str, Any] | None = None, *, autoescape: bool = True, **more: Any
) -> str:
    """What a template gives."""
    about = message(**more)
    language = about.account.locale.lower()
    with timezone.override(about.now.tzinfo), translation.override(language):
        return str(compiled(source).render(Rendering(values or {}, about, autoescape=autoescape)))
