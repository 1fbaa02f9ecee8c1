"""Filters of the libraries that Django ships beside its own, which are there without `{% load %}`."""

from typing import Any

from django.contrib.humanize.templatetags import humanize
from django.template import Library
from django.templatetags import l10n, tz
from django.utils import formats

from feedd.templates.bounded import number_of

register = Library()

for _library, _names in (
    (humanize.register, ("apnumber", "intword", "ordinal")),  # those that ask no clock
    (tz.register, ("localtime", "utc")),
    (l10n.register, ("localize", "unlocalize")),
):
    for _name in _names:
        register.filters[_name] = _library.filters[_name]


@register.filter(is_safe=True)
def intcomma(value: Any) -> Any:
    """A number in groups of digits, as the account writes it; a text that is a number keeps its decimals."""
    number = number_of(value) if isinstance(value, str) else None
    if number is None:
        return humanize.intcomma(value)
    exponent = number.as_tuple().exponent
    places = max(-exponent, 0) if isinstance(exponent, int) else 0
    return formats.number_format(number, places, force_grouping=True)
