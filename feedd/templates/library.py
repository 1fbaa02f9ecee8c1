"""Every tag and filter that a template may use.

To add one: a function in a module of `tags/` or `filters/`, registered with the module's `register`; its row in
`docs/template-reference.md`. Django's own tags are named here, its filters in `filters/built_in.py`; everything that is
not named does not exist.
"""

import importlib
import pkgutil

from django.template import Library, defaulttags

from feedd.templates import filters, tags
from feedd.templates.bounded import kept
from feedd.templates.loops import bounded_for, kept_apart_ifchanged

DJANGO_TAGS = (
    "autoescape", "comment", "cycle", "filter", "firstof", "if", "ifchanged", "now", "regroup", "resetcycle",
    "spaceless", "templatetag", "verbatim", "widthratio", "with",
)  # fmt: skip


def build() -> Library:
    """One library of all of them; ours take the place of Django's of the same name."""
    library = Library()
    library.tags.update({name: defaulttags.register.tags[name] for name in DJANGO_TAGS})
    library.tags["for"] = bounded_for
    library.tags["ifchanged"] = kept_apart_ifchanged
    for package in (tags, filters):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            register: Library = importlib.import_module(module.name).register
            library.tags.update(register.tags)
            library.filters.update(
                {name: kept(function) for name, function in register.filters.items()}
            )
    return library
