"""A decoded record becomes an Item or a Reject, as its schema says. Pure."""

from feedd.normalize.paths import Path, Template, parse_path, parse_source, reach
from feedd.normalize.plan import NORMALIZER_VERSION, Plan, compile_plan

__all__ = [
    "NORMALIZER_VERSION",
    "Path",
    "Plan",
    "Template",
    "compile_plan",
    "parse_path",
    "parse_source",
    "reach",
]
