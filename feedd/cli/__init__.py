"""The command line: what people type, over the running daemon or, without one, over the state directory itself.

To add a command: see `commands`.
"""

from feedd.cli.main import main

__all__ = ["main"]
