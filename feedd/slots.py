"""Memory that a process shares with another, in slots: what lies in one goes through no pipe. Linux only.

A pipe copies what goes through it into pages of the kernel and out of them, a bit at a time, and wakes both sides for each bit.
Here it is copied once, and the pipe says where it lies: that halves what asking and answering costs the process that asks.
"""

import mmap
import os
from multiprocessing import reduction
from multiprocessing.connection import Connection

SLOT_BYTES = 1024 * 1024
SLOTS = 16


class Slots:
    """The memory behind a descriptor. Who has made it gives its slots out; the other side knows them by their numbers.

    The slot that came back last is given out first, so that few pages are ever touched.
    """

    def __init__(self, descriptor: int, count: int, slot_bytes: int) -> None:
        self._memory = mmap.mmap(descriptor, count * slot_bytes)
        self._slot_bytes = slot_bytes
        self._free = list(range(count))

    def take(self, size: int) -> int | None:
        """A free slot that holds so many bytes; None if there is none."""
        return self._free.pop() if self._free and size <= self._slot_bytes else None

    def give(self, slot: int) -> None:
        """Have a slot that was taken be free again."""
        self._free.append(slot)

    def put(self, slot: int, content: bytes) -> bool:
        """Write something into a slot; false where it is too long for it."""
        if len(content) > self._slot_bytes:
            return False
        start = slot * self._slot_bytes
        self._memory[start : start + len(content)] = content
        return True

    def view(self, slot: int, size: int) -> memoryview:
        """The first bytes of a slot, as they are there. To be released before the memory is closed."""
        start = slot * self._slot_bytes
        return memoryview(self._memory)[start : start + size]

    def close(self) -> None:
        """Let the memory go; the other side still has it."""
        self._memory.close()


def share(pipe: Connection) -> Slots | None:
    """New slots, shared with the process at the other end of a pipe, which calls `shared`; None where the system has none.

    Raises:
        OSError: that process has gone.
    """
    try:
        descriptor = os.memfd_create("feedd-slots")
    except OSError:
        pipe.send(None)
        return None
    try:
        os.ftruncate(descriptor, SLOTS * SLOT_BYTES)
        slots = Slots(descriptor, SLOTS, SLOT_BYTES)
        pipe.send((SLOTS, SLOT_BYTES))
        reduction.send_handle(pipe, descriptor, 0)
    finally:
        os.close(descriptor)
    return slots


def shared(pipe: Connection) -> Slots | None:
    """The slots that the process at the other end of a pipe shares, if it does."""
    form: tuple[int, int] | None = pipe.recv()
    if form is None:
        return None
    descriptor = reduction.recv_handle(pipe)
    try:
        return Slots(descriptor, *form)
    finally:
        os.close(descriptor)
