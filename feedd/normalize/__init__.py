"""A decoded record becomes an Item or a Reject, as its schema says. Pure."""

from feedd.normalize.mapping import Path, parse_path
from feedd.normalize.plan import NORMALIZER_VERSION, Plan, compile_plan

__all__ = ["NORMALIZER_VERSION", "Path", "Plan", "compile_plan", "parse_path"]
