"""`feedd demo`: the real daemon on a fresh state directory, a shop to watch, and the terminal that shows both."""

from feedd.cli.demo.show import run_demo

__all__ = ["run_demo"]
