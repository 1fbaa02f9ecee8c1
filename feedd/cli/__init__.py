"""The command line: what people type, over the running daemon or, without one, over the state directory itself.

To add a command: a function in the module that it belongs to, its line in `main.build`, its part in `docs/cli.md`
and its tests in `tests/test_cli.py`.
"""

from feedd.cli.main import main

__all__ = ["main"]
