"""What it costs to make stored items of decoded records, on one core and in CPU time.

    python tests/benchmarks/normalizing.py [RECORDS]

Prints records a second of the normalizer, and of what follows it for each new record (canonical text, digest, encoded
warnings), and how many times the floor both together take: decoding the same records from JSON with msgspec, measured
in the same run. Machines differ and are noisy: read the ratios.
"""

import gc
import random
import sys
from collections.abc import Callable
from time import process_time
from typing import Any

import msgspec

from feedd import diff
from feedd.model import Item
from feedd.normalize import Plan, compile_plan
from feedd.schema import load_schema

_WORDS = """
    cotton shirt blue large winter leather boots soft classic wool warm water light jacket men's women kids outdoor
    city everyday"""
WORDS = _WORDS.split()
BRANDS = [f"{first} {second}" for first in ("North", "Blue", "Old") for second in WORDS]
CATEGORIES = [
    f"{top} > {middle} > {low}"
    for top in ("Shoes", "Clothing", "Home & Garden")
    for middle in ("Women", "Men", "Kids")
    for low in WORDS
]


RUNS = 3
BATCH = 500


def words(chance: random.Random, count: int) -> str:
    return " ".join(chance.choices(WORDS, k=count))


def google_record(number: int) -> dict[str, Any]:
    """A record as Google-Merchant XML decodes: all text, a description of about 500 characters."""
    chance = random.Random(number)
    record: dict[str, Any] = {
        "g:id": f"SKU-{number}",
        "g:title": words(chance, 6),
        "g:description": words(chance, 80) + ".",
        "g:link": f"https://shop.example/products/{number}?variant=1&utm_source=feed",
        "g:image_link": f"https://cdn.shop.example/images/{number}.jpg",
        "g:additional_image_link": [
            f"https://cdn.shop.example/images/{number}-{n}.jpg" for n in (1, 2, 3)
        ],
        "g:price": f"{chance.randrange(5, 400)}.99 USD",
        "g:availability": chance.choice(["in stock", "in_stock", "out of stock"]),
        "g:brand": chance.choice(BRANDS),
        "g:condition": "new",
        "g:gtin": f"{4006381000000 + number}",
        "g:mpn": f"LB-{number}",
        "g:product_type": chance.choice(CATEGORIES),
        "g:google_product_category": str(chance.randrange(1, 6000)),
        "g:color": chance.choice(WORDS),
        "g:size": str(chance.randrange(34, 46)),
        "g:item_group_id": f"LB-{number // 8}",
        "g:shipping": {"g:country": "US", "g:service": "Standard", "g:price": "4.95 USD"},
        "g:custom_label_0": chance.choice(WORDS),
        "g:shipping_weight": f"{chance.randrange(1, 90) / 10} kg",
        "g:age_group": "adult",
        "g:gender": "unisex",
    }
    if number % 3 == 0:
        record["g:sale_price"] = f"{chance.randrange(1, 5)}.49 USD"
    return record


def canonical_record(number: int) -> dict[str, Any]:
    """A record under canonical names, as JSON: numbers, lists, an object that no schema knows; about 0.9 KB."""
    chance = random.Random(number)
    return {
        "id": f"sku-{number}",
        "title": words(chance, 6),
        "description": words(chance, 70),
        "link": f"https://shop.example/products/{number}",
        "image_link": f"https://cdn.shop.example/images/{number}.jpg",
        "additional_image_links": [
            f"https://cdn.shop.example/images/{number}-{n}.jpg" for n in (1, 2)
        ],
        "price": chance.randrange(100, 90_000) / 100,
        "currency": "USD",
        "availability": chance.choice(["in stock", "out of stock"]),
        "inventory_quantity": number % 40,
        "brand": chance.choice(BRANDS),
        "categories": ["clothing", "men", chance.choice(WORDS)],
        "shipping": {"country": "EG", "price": 5, "days": [2, 3]},
        "rating": {"average": chance.randrange(10, 50) / 10, "count": number % 300},
    }


def shopify_record(number: int) -> dict[str, Any]:
    """A product of a shop's /products.json: HTML, four variants, three images."""
    chance = random.Random(number)
    moment = "2026-02-11T09:30:02-05:00"
    return {
        "id": 8_104_377_254_141 + number,
        "title": words(chance, 4),
        "handle": f"product-{number}",
        "body_html": f"<p>{words(chance, 30)}</p>\n<ul><li>{words(chance, 3)}</li></ul>",
        "published_at": moment,
        "created_at": moment,
        "updated_at": moment,
        "vendor": chance.choice(BRANDS),
        "product_type": chance.choice(WORDS),
        "tags": chance.choices(WORDS, k=4),
        "variants": [
            {
                "id": number * 10 + n,
                "title": size,
                "option1": size,
                "option2": None,
                "sku": f"P{number}-{size}",
                "requires_shipping": True,
                "available": n % 2 == 0,
                "price": f"{chance.randrange(10, 90)}.00",
                "grams": 90,
                "compare_at_price": None if n else "95.00",
                "position": n,
                "product_id": 8_104_377_254_141 + number,
                "created_at": moment,
            }
            for n, size in enumerate(("S", "M", "L", "XL"))
        ],
        "images": [
            {"id": n, "position": n, "src": f"https://cdn.shop.example/{number}-{n}.jpg?v=1"}
            for n in range(3)
        ],
        "options": [{"name": "Size", "position": 1, "values": ["S", "M", "L", "XL"]}],
    }


SHAPES: tuple[tuple[str, Callable[[int], dict[str, Any]]], ...] = (
    ("google-product", google_record),
    ("item", canonical_record),
    ("shopify-product", shopify_record),
)


def run(plan: Plan, raws: list[bytes]) -> tuple[float, float, float]:
    """The CPU seconds of decoding, of normalizing, and of what a sync does before it writes the rows; batch by batch."""
    floor = normalizing = storing = 0.0
    for first in range(0, len(raws), BATCH):
        began = process_time()
        records = [msgspec.json.decode(raw) for raw in raws[first : first + BATCH]]
        decoded = process_time()
        made = [plan.normalize(number, record) for number, record in enumerate(records, 1)]
        normalized = process_time()
        for item in made:
            assert isinstance(item, Item)
            diff.digest(diff.canonical(item.fields))
            if item.warnings:
                msgspec.json.encode(item.warnings)
        storing += process_time() - normalized
        normalizing += normalized - decoded
        floor += decoded - began
    return floor, normalizing, storing


def measure(schema: str, records: list[dict[str, Any]]) -> str:
    plan = compile_plan(load_schema(schema, base_dir=None).document, default_currency="USD")
    plan = plan.within([[] for _ in plan.wanted], base="https://shop.example/feed.xml")
    raws = [msgspec.json.encode(record) for record in records]
    floor, normalizing, storing = (
        min(times) for times in zip(*(run(plan, raws) for _ in range(RUNS)), strict=True)
    )
    return (
        f"{schema:16} {len(raws[0]) / 1000:4.1f} KB {len(records) / normalizing:10,.0f} items/s"
        f" {normalizing / floor:6.1f} x decoding; text and digest {len(records) / storing:10,.0f} items/s"
        f" {storing / floor:5.1f} x; together {(normalizing + storing) / floor:5.1f} x"
    )


def main() -> None:
    gc.set_threshold(50_000, 20, 20)  # as every command does
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    for schema, make in SHAPES:
        print(measure(schema, [make(number) for number in range(count)]))


if __name__ == "__main__":
    main()
