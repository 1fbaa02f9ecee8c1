"""Tells the service manager how the daemon is: ready, reloading, stopping, alive (sd_notify(3)).

Without a service manager that asked for it nothing is sent, and nothing that goes wrong with its socket hurts the daemon.
"""

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping

SEND_WITHIN_S = 2.0


class Notifier:
    """A line to the service manager; `watchdog_s` is how often it wants to hear that feedd is alive, None for never."""

    def __init__(self, address: str | None = None, *, watchdog_s: float | None = None) -> None:
        self._address = address
        self.watchdog_s = watchdog_s if address else None

    def ready(self, status: str) -> None:
        """Started, or reloaded; `status` is what `systemctl status` shows."""
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` says that it is done.

        The time tells the manager which reload this belongs to (systemd.service(5), notify-reload).
        """
        now_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1_000
        self._send("RELOADING=1", f"MONOTONIC_USEC={now_us}")

    def stopping(self) -> None:
        """On its way out."""
        self._send("STOPPING=1", "STATUS=Stopping")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def extend(self, seconds: float, status: str) -> None:
        """What is going on takes up to so long from now; it is not stuck."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}", f"STATUS={status}")

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        message = "\n".join(" ".join(line.split("\n")) for line in lines).encode()
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.settimeout(SEND_WITHIN_S)
            line.sendto(message, self._address)


def take_notifier(environ: MutableMapping[str, str]) -> Notifier:
    """The service manager's socket out of the environment, and out of it for good: children must not answer for feedd."""
    address = environ.pop("NOTIFY_SOCKET", "")
    interval_us = environ.pop("WATCHDOG_USEC", "")
    process = environ.pop("WATCHDOG_PID", "")
    if not address.startswith(("/", "@")):  # vsock: is for whole machines
        return Notifier()
    if address.startswith("@"):  # in the abstract namespace, unix(7)
        address = "\0" + address[1:]
    meant = process in ("", str(os.getpid()))
    watchdog_s = int(interval_us) / 1e6 if meant and interval_us.isdecimal() else 0
    return Notifier(address, watchdog_s=watchdog_s or None)
