"""Bodies of requests."""

import threading

import anyio
import pytest

from feedd.api.body import LARGE_BYTES, apart


@pytest.mark.parametrize("size", [10, LARGE_BYTES, LARGE_BYTES + 1])
def test_what_is_large_is_decoded_beside_the_event_loop(size: int) -> None:
    decoded_by = anyio.run(apart, threading.current_thread, b"x" * size)
    assert (decoded_by is threading.current_thread()) == (size <= LARGE_BYTES)
