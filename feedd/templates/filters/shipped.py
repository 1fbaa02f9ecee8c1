"""Filters of the libraries that Django ships beside its own, which are there without `{% load %}`."""

from django.contrib.humanize.templatetags import humanize
from django.template import Library
from django.templatetags import l10n, tz

register = Library()

for _library, _names in (
    (humanize.register, ("apnumber", "intcomma", "intword", "ordinal")),  # those that ask no clock
    (tz.register, ("localtime", "utc")),
    (l10n.register, ("localize", "unlocalize")),
):
    for _name in _names:
        register.filters[_name] = _library.filters[_name]
