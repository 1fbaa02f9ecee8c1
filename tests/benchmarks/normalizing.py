"""How many flat 15-field records a second become items, on one core.

Run: python tests/benchmarks/normalizing.py [RECORDS]
"""

import sys
from time import perf_counter
from typing import Any

from feedd.model import Item
from feedd.normalize import compile_plan
from feedd.schema import load_schema


def google_record(number: int) -> dict[str, Any]:
    """A record as Google-Merchant XML decodes, all text."""
    return {
        "g:id": f"SKU-{number}",
        "g:title": f"Leather boot, model {number}",
        "g:description": f"A sturdy boot for wet days, number {number} in our range.",
        "g:link": f"https://shop.example/products/{number}?variant=1",
        "g:image_link": f"https://cdn.shop.example/images/{number}.jpg",
        "g:price": f"{number % 900 + 10}.99 USD",
        "g:availability": "in stock",
        "g:brand": "Example Boots",
        "g:condition": "new",
        "g:gtin": f"{4006381000000 + number}",
        "g:mpn": f"LB-{number}",
        "g:product_type": "Shoes > Women > Boots",
        "g:color": "brown",
        "g:size": str(36 + number % 8),
        "g:item_group_id": f"LB-{number // 8}",
    }


def canonical_record(number: int) -> dict[str, Any]:
    """The same as a JSON feed under canonical names."""
    record = {key.removeprefix("g:"): value for key, value in google_record(number).items()}
    record["categories"] = [record.pop("product_type")]
    record["price"] = number % 900 + 10.99
    return record


def measure(schema: str, records: list[dict[str, Any]]) -> float:
    """Records a second, the best of three runs."""
    plan = compile_plan(load_schema(schema, base_dir=None).document, default_currency="USD")
    best = 0.0
    for _ in range(3):
        started = perf_counter()
        made = [plan.normalize(position, record) for position, record in enumerate(records, 1)]
        best = max(best, len(records) / (perf_counter() - started))
        assert all(type(each) is Item and not each.warnings for each in made)
    return best


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000
    for schema, make in (("google-product", google_record), ("item", canonical_record)):
        rate = measure(schema, [make(number) for number in range(count)])
        print(f"{schema:16} {rate:9,.0f} records/s")


if __name__ == "__main__":
    main()
