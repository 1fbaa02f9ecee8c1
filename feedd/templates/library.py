"""Every tag and filter that a template may use.

To add one: a function in a module of `tags/` or `filters/`, registered with the module's `register`; its row in
`docs/template-reference.md`. What is Django's own is named here; everything that is not named does not exist.
"""

import importlib
import pkgutil

from django.template import Library, defaultfilters, defaulttags

from feedd.templates import filters, tags
from feedd.templates.loops import bounded_for

DJANGO_TAGS = (
    "autoescape", "comment", "cycle", "filter", "firstof", "if", "ifchanged", "now", "regroup", "resetcycle",
    "spaceless", "templatetag", "verbatim", "widthratio", "with",
)  # fmt: skip
DJANGO_FILTERS: tuple[str, ...] = tuple(
    sorted(set(defaultfilters.register.filters) - {"pprint", "random"})
)


def build() -> Library:
    """One library of all of them; ours take the place of Django's of the same name."""
    library = Library()
    library.tags.update({name: defaulttags.register.tags[name] for name in DJANGO_TAGS})
    library.tags["for"] = bounded_for
    library.filters.update({name: defaultfilters.register.filters[name] for name in DJANGO_FILTERS})
    for package in (tags, filters):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            register: Library = importlib.import_module(module.name).register
            library.tags.update(register.tags)
            library.filters.update(register.filters)
    return library
