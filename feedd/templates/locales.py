"""The account's locale, as Babel knows it."""

from functools import cache

from babel import Locale, UnknownLocaleError


@cache
def locale_of(name: str) -> Locale:
    """A locale by its name, such as `de-DE`; American English where it is not known."""
    try:
        return Locale.parse(name.replace("-", "_"))
    except (UnknownLocaleError, ValueError):
        return Locale("en", "US")
