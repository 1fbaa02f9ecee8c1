"""Whole syncs without the network: first load, nothing changed, 1.5 % changed, everything changed.

    .venv/bin/python tests/benchmarks/syncing.py [ITEMS]

Prints items a second, and how many times longer each took than two floors measured in the same run: the SHA-256 of the
body, and decoding every record with msgspec. Machines differ and are noisy: read the ratios.
"""

import hashlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent.parent))

from feeds import take_in

from feedd import intake
from feedd.store.migrate import migrate


def products(count: int, changed: Callable[[int], bool] = lambda _: False) -> list[dict[str, Any]]:
    return [
        {
            "id": f"sku-{n}",
            "title": f"Product {n}, in a colour that sells",
            "description": "What it is made of, and what it is good for. " * 8,
            "link": f"https://shop.example/p/{n}",
            "image_link": f"https://shop.example/i/{n}.jpg",
            "price": f"{n % 900 + (1 if changed(n) else 0)}.90 EUR",
            "availability": "in stock",
            "inventory_quantity": n % 40,
            "brand": "Example",
            "categories": ["Home > Kitchen > Mugs"],
        }
        for n in range(count)
    ]


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    bodies = {
        "first load": msgspec.json.encode(products(count)),
        "same records, other white space around": msgspec.json.encode(products(count)) + b"\n",
        "1.5 % changed": msgspec.json.encode(products(count, lambda n: n % 67 == 0)),
        "everything changed": msgspec.json.encode(products(count, lambda n: n % 67 != 0)),
    }
    body = bodies["first load"]
    sha = timed(lambda: hashlib.sha256(body).digest())
    decode = timed(lambda: msgspec.json.decode(body))
    print(
        f"{count:,} items, {len(body) / 1e6:.0f} MB; floors: SHA-256 {sha:.2f} s, decoding {decode:.2f} s"
    )
    with tempfile.TemporaryDirectory() as folder:
        place = intake.Place(state_dir=folder)
        catalog = place.open_catalog()
        migrate(catalog)
        for name, content in bodies.items():
            took = timed(lambda content=content: take_in(catalog, Path(folder), content))  # type: ignore[misc]
            print(
                f"{name:<40} {took:6.2f} s  {count / took:9,.0f} items/s"
                f"  {took / sha:6.1f} x SHA-256  {took / decode:5.1f} x decoding"
            )
        catalog.close()
    print(
        f"peak memory of all this, bodies included: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
    )


if __name__ == "__main__":
    main()
