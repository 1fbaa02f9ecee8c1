"""Runs Django's own tests of its template language against feedd's engine: our parser, names, tags and filters in the place of Django's.

    python tests/django_suite.py [--sdist PATH] [--verbose]

They come with the source distribution of the Django that is installed, which pip fetches where none is named. Run are the tests of
all filters and of the tags that templates here may use; DELIBERATE says what is otherwise on purpose, and why. Exit code 1 if anything else
fails, or if something in that table does not fail any more.
"""

import argparse
import fnmatch
import importlib
import subprocess
import sys
import tarfile
import tempfile
import unittest
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import django

from feedd.templates.engine import OurEngine, OurTemplate  # it configures Django
from feedd.templates.library import build
from feedd.templates.message import Message
from feedd.templates.wire import Account, Limits

# tests of tags that templates here do not have, or have otherwise
NOT_RUN = {
    "test_cache": "{% cache %}",
    "test_debug": "{% debug %}",
    "test_extends": "{% extends %}",
    "test_include": "{% include %}",
    "test_load": "{% load %}, which does nothing here",
    "test_lorem": "{% lorem %}",
    "test_numpy": "NumPy's values, which no template sees",
    "test_querystring": "{% querystring %}",
    "test_setup": "the test suite itself",
    "test_static": "{% static %}",
    "test_url": "{% url %}",
}
_MAKERS = (
    ("django.template.engine", "Template", OurTemplate),
    ("django.template.loaders.base", "Template", OurTemplate),
)
_METHODS = "names reach values, never methods, attributes or functions"
_ABSENT = "a tag that there is not: include, extends, block, blocktranslate"
_LOAD = "no other libraries are loaded"
_ARGUMENT = "an argument that is missing is blank, wherever it stands"
_HIDDEN = "values whose names begin with _ are taken out before a template sees them"
DELIBERATE: dict[str, str] = {
    "test_basic.*.test_access_class_property_if_getitem_is_defined_in_metaclass": _METHODS,
    "test_basic.*.test_basic_syntax09": _METHODS,
    "test_basic.*.test_basic_syntax10": _METHODS,
    "test_basic.*.test_basic_syntax20b": _METHODS,
    "test_basic.*.test_basic_syntax3[78]": _METHODS,
    "test_basic.*.test_unclosed_block": _ABSENT,
    "test_builtins.*.test_builtins03": "a value that is None is blank, as a missing one is",
    "test_cycle.*.test_cycle24": _ABSENT,
    "test_dictsort*.FunctionTests.test_invalid_args": _HIDDEN,
    "test_exceptions.*.test_exception0[12]": _ABSENT,
    "test_filter_syntax.*.test_filter_syntax14": _METHODS,
    "test_filter_syntax.*.test_filter_syntax2[345]": _METHODS,
    "test_filter_syntax.*.test_type_error_attribute": _METHODS,
    "test_for.*.test_for_tag_context": _ABSENT,
    "test_for.*.test_for_tag_filter_ws": _LOAD,
    "test_if.*.test_if_tag_badarg0[14]": _ARGUMENT,
    "test_if.*.test_if_tag_shortcircuit01": _METHODS,
    "test_if_changed.*.test_ifchanged_concurrency": _METHODS,
    "test_if_changed.*.test_ifchanged_filter_ws": _LOAD,
    "test_invalid_string.*.test_invalidstr07": _ABSENT,
    "test_named_endblock.*.test_namedendblocks0[167]": _ABSENT,
    "test_simple_tag.*.test_simpletag_renamed0[12]": _LOAD,
    "test_width_ratio.*.test_widthratio14b": "what cannot be calculated with is blank",
    "test_width_ratio.*.test_widthratio15": _LOAD,
    "test_wordwrap.FunctionTests.test_wrap_long_text": "what grows is bounded: a value has 1 MB at most",
}
"""Tests (`module.Class.test`, with `*`) that fail on purpose, and why."""


class SuiteEngine(OurEngine):
    """Our engine with the options that Django's tests ask for."""

    def __init__(
        self,
        libraries: Any = None,
        loaders: Any = None,
        string_if_invalid: str = "",
        debug: bool = False,
    ) -> None:
        super().__init__()
        self.loaders = loaders
        self.string_if_invalid = string_if_invalid
        self.debug = debug
        self.template_libraries = self.get_template_libraries(libraries or {})


class Tally(unittest.TestResult):
    """What came out, by the name of the test."""

    def __init__(self) -> None:
        super().__init__()
        self.passed: list[str] = []
        self.failed: dict[str, str] = {}

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802 unittest's names
        self.passed.append(_name(test))

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:  # noqa: N802
        self.failed[_name(test)] = f"{err[0].__name__}: {err[1]}"

    addError = addFailure  # noqa: N815


def _name(test: unittest.TestCase) -> str:
    return test.id().removeprefix("template_tests.").partition(".")[2]


def unpacked(sdist: Path | None, folder: Path) -> Path:
    """The tests of the source distribution of the Django that is installed."""
    if sdist is None:
        version = django.get_version()
        words = ["download", "--quiet", "--no-deps", "--no-binary", ":all:", f"Django=={version}"]
        subprocess.run([sys.executable, "-m", "pip", *words, "--dest", str(folder)], check=True)
        sdist = next(folder.glob("*.tar.gz"))
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return next(folder.glob("*/tests"))


def modules(tests: Path) -> Iterator[Any]:
    """The test modules that are run, with our filters in the place of Django's."""
    for kind in ("filter_tests", "syntax_tests"):
        for path in sorted((tests / "template_tests" / kind).glob("test_*.py")):
            if path.stem not in NOT_RUN:
                yield ours(importlib.import_module(f"template_tests.{kind}.{path.stem}"))


def ours(module: Any) -> Any:
    """A test module whose functions of Django's filters are our filters."""
    from django.template import defaultfilters

    filters = build().filters
    theirs = {
        getattr(function, "__wrapped__", function): name
        for name, function in defaultfilters.register.filters.items()
    }
    for name, value in list(vars(module).items()):
        if callable(value) and getattr(value, "__module__", "") == "django.template.defaultfilters":
            filter_name = theirs.get(getattr(value, "__wrapped__", value))
            if filter_name in filters:
                setattr(module, name, with_message(filters[filter_name]))
    return module


def with_message(function: Any) -> Any:
    """A filter that can be called without a template."""
    if not getattr(function, "needs_message", False):
        return function
    return lambda *given: function(*given, message=message())


def message() -> Message:
    """What a render knows, with bounds that no test comes near."""
    limits = Limits(iterations=10**9, output_bytes=10**9)
    return Message(account=Account(), now=datetime.now(UTC), answer=lambda _: None, limits=limits)


def prepare(tests: Path) -> None:
    """Put our engine in the place of Django's."""
    from django.conf import settings
    from django.template import Context
    from django.test.utils import setup_test_environment

    sys.path.insert(0, str(tests))
    setup_test_environment(debug=False)
    settings.USE_TZ = False  # as Django runs them
    for module, name, wanted in _MAKERS:
        setattr(importlib.import_module(module), name, wanted)
    importlib.import_module("template_tests.utils").Engine = SuiteEngine
    Context.message = property(lambda _: message())  # type: ignore[attr-defined]


def run(tests: Path) -> Tally:
    """All of it."""
    prepare(tests)
    suite = unittest.TestSuite()
    for module in modules(tests):
        suite.addTests(unittest.defaultTestLoader.loadTestsFromModule(module))
    tally = Tally()
    suite.run(tally)
    return tally


def reason_for(name: str) -> str | None:
    """Why a test fails on purpose."""
    return next(
        (why for pattern, why in DELIBERATE.items() if fnmatch.fnmatch(name, pattern)), None
    )


def main() -> int:
    """Run it and tell."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--sdist", type=Path, help="the source distribution of Django, else pip fetches it"
    )
    parser.add_argument("--verbose", action="store_true", help="what deliberate failures said, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tally = run(unpacked(options.sdist, Path(folder)))
    total = len(tally.passed) + len(tally.failed)
    deliberate = {name: why for name in tally.failed if (why := reason_for(name))}
    for name, said in sorted(tally.failed.items()):
        why = deliberate.get(name)
        if why is None or options.verbose:
            print(f"{'DELIBERATE' if why else 'FAILED'} {name}\n    {' '.join(said.split())[:300]}")
    reasons = sorted(set(deliberate.values()))
    for why in reasons:
        print(f"{sum(each == why for each in deliberate.values()):4} {why}")
    stale = [
        pattern
        for pattern in DELIBERATE
        if not any(fnmatch.fnmatch(name, pattern) for name in tally.failed)
    ]
    for pattern in stale:
        print(f"does not fail any more: {pattern}")
    faults = len(tally.failed) - len(deliberate)
    print(
        f"Django {django.get_version()}: {len(tally.passed)} of {total} tests pass ({len(tally.passed) / total:.1%}),"
        f" {len(deliberate)} fail on purpose, {faults} by fault; {len(tally.skipped)} skipped"
    )
    return 1 if faults or stale else 0


if __name__ == "__main__":
    sys.exit(main())
