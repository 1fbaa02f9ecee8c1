"""What a tag is mended by: rules that know how others spell, from Liquid, Jinja, Handlebars and word processors.

A rule is a function of a `Draft`: it tells what is wrong and puts what is right in its place. To add one: a function in
the file of its kind, in that file's `RULES` (their order counts), and its row in `docs/templates.md`. Pure.
"""

from collections.abc import Callable, Collection

from feedd.templates.spelling import (
    characters,
    conditions,
    expressions,
    filters,
    handlebars,
    loops,
    tags,
)
from feedd.templates.spelling.draft import Draft, Finding

__all__ = ["Draft", "Finding", "rules"]

Rule = Callable[[Draft], None]


def rules(known_tags: Collection[str], known_filters: Collection[str]) -> tuple[Rule, ...]:
    """The rules for tags that do not compile, in their order."""
    return (
        *characters.RULES,
        *handlebars.RULES,
        tags.in_wrong_braces(known_tags),
        *tags.RULES,
        *loops.RULES,
        *conditions.RULES,
        filters.doubled(known_filters),
        expressions.conditions_within,
        *filters.RULES,
        *expressions.RULES,
        expressions.unclosed_quote,
        filters.names(known_filters),
        tags.names(known_tags),
    )
