"""The tags that say what day it is, in the account's time zone. Names are English, as Klaviyo's are; `date` translates."""

import re
from typing import Any

from django.template import Library
from django.template.defaultfilters import date
from django.template.defaulttags import NowNode
from django.template.defaulttags import now as django_now

register = Library()

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_DIRECTIVE = re.compile(r"%(-?[aAbBcdDeFfGHIjmMnpRSTtUuVwWxXyYzZ%])")


@register.simple_tag(takes_context=True)
def today(context: Any, form: Any = "%Y-%m-%d") -> str:
    """This day, by a format of strftime."""
    # a format may also name a width, and a width may be anything: only what is known is handed on
    return _DIRECTIVE.sub(lambda match: context.message.now.strftime(match[0]), str(form))


@register.simple_tag(takes_context=True)
def current_day(context: Any) -> int:
    """The day of the month."""
    day: int = context.message.now.day
    return day


@register.simple_tag(takes_context=True)
def current_weekday(context: Any) -> str:
    """The name of the day."""
    return WEEKDAYS[context.message.now.weekday()]


@register.simple_tag(takes_context=True)
def current_month(context: Any) -> int:
    """The number of the month."""
    month: int = context.message.now.month
    return month


@register.simple_tag(takes_context=True)
def current_month_name(context: Any) -> str:
    """The name of the month."""
    return MONTHS[context.message.now.month - 1]


@register.simple_tag(takes_context=True)
def current_year(context: Any) -> int:
    """The year."""
    year: int = context.message.now.year
    return year


class NowOfMessage(NowNode):
    """Django's `{% now %}`, at the moment of the message."""

    def render(self, context: Any) -> str:
        """The moment by the tag's format, or nothing where it is given a name."""
        shown: str = date(context.message.now, self.format_string)
        if self.asvar is None:
            return shown
        context[self.asvar] = shown
        return ""


@register.tag
def now(parser: Any, token: Any) -> NowOfMessage:
    """The moment, by a format of `date`."""
    found = django_now(parser, token)
    return NowOfMessage(found.format_string, found.asvar)
