"""How a name in a template is looked up: keys of dicts, places in lists, parts of dates, and nothing else.

Django would go on to attributes and call what it finds. Values here have no methods worth calling and the names of a
template reach none: a dict's `items`, `keys` and `values` are lists made here.
"""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

from django.template.base import FilterExpression, Variable, VariableDoesNotExist
from django.template.context import BaseContext
from django.template.defaulttags import GroupedResult
from django.utils.safestring import SafeData, mark_safe
from django.utils.timezone import template_localtime

from feedd.templates.moments import AsWritten, Moment, localtime

_VIEWS: dict[str, Callable[[dict[Any, Any]], list[Any]]] = {
    "items": lambda each: list(each.items()),
    "keys": list,
    "values": lambda each: list(each.values()),
}
_DATE = frozenset({"year", "month", "day"})
_TIME = frozenset({"hour", "minute", "second", "microsecond"})
_PARTS: dict[type, frozenset[str]] = {
    datetime: _DATE | _TIME,
    Moment: _DATE | _TIME,
    AsWritten: _DATE | _TIME,
    date: _DATE,
    time: _TIME,
    timedelta: frozenset({"days", "seconds"}),
    GroupedResult: frozenset({"grouper", "list"}),
}


def part(value: Any, name: str) -> Any:
    """What a value has under a name.

    Raises:
        VariableDoesNotExist: nothing that a template may see.
    """
    if isinstance(value, dict):
        try:
            return value[name]
        except KeyError:
            view = _VIEWS.get(name)
            if view is not None:
                return view(value)
    elif name in _PARTS.get(type(value), ()):
        return getattr(localtime(value) if isinstance(value, datetime) else value, name)
    if isinstance(value, dict | list | tuple | str) and name.isdecimal():
        try:
            return value[int(name)]
        except (IndexError, KeyError, ValueError):
            pass
    raise VariableDoesNotExist("nothing is called %s there", (name,))


class Name(Variable):
    """A variable that is looked up by `part`."""

    __slots__ = ()

    def _resolve_lookup(self, context: Any) -> Any:
        lookups = self.lookups
        if isinstance(context, BaseContext):
            first = lookups[0]
            for values in reversed(context.dicts):
                if first in values:
                    current = values[first]
                    break
            else:
                raise VariableDoesNotExist("nothing is called %s", (first,))
            lookups = lookups[1:]
        else:
            current = context
        for bit in lookups:
            current = part(current, bit)
        return current


class Expression(FilterExpression):
    """A variable and its filters: Django's, with names looked up as above, and what does not change found out once."""

    __slots__ = ("steps",)
    var: Any

    def __init__(self, token: str, parser: Any) -> None:
        super().__init__(token, parser)
        if self.is_var:
            self.var = Name(self.var.var)
        self.steps = [
            (
                func,
                [(lookup, Name(arg.var) if lookup else mark_safe(arg)) for lookup, arg in args],
                getattr(func, "expects_localtime", False),
                getattr(func, "needs_autoescape", False),
                getattr(func, "needs_message", False),
                getattr(func, "is_safe", False),
            )
            for func, args in self.filters
        ]

    def resolve(self, context: Any, ignore_failures: bool = False) -> Any:
        """The value, after the filters; a missing one is an empty string, or None where `ignore_failures`."""
        if self.is_var:
            try:
                value = self.var.resolve(context)
            except VariableDoesNotExist:
                value = None if ignore_failures else context.template.engine.string_if_invalid
        else:
            value = self.var
        for func, args, in_zone, autoescape, needs_message, is_safe in self.steps:
            given = [_argument(arg, context) if lookup else arg for lookup, arg in args]
            if in_zone:
                value = template_localtime(value, context.use_tz)
            more: dict[str, Any] = {}
            if autoescape:
                more["autoescape"] = context.autoescape
            if needs_message:
                more["message"] = context.message
            new = func(value, *given, **more)
            value = mark_safe(new) if is_safe and isinstance(value, SafeData) else new
        return value


def _argument(name: Name, context: Any) -> Any:
    try:
        return name.resolve(context)
    except (
        VariableDoesNotExist
    ):  # Django would fail; here what is missing is blank, wherever it stands
        return context.template.engine.string_if_invalid
