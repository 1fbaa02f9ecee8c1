"""Seeded products as feeds: two versions of a shop in three formats, streamed to files once and kept.

A product is a pure function of its number and version, so neither version is ever held in memory. The second version has
1 % of the products updated, 0.2 % removed and 0.3 % added, and stands in another order.
"""

import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple
from xml.sax.saxutils import escape

import msgspec

FORMATS = ("json", "jsonl", "xml")
VERSIONS = (1, 2)
GENERATION = 1  # counts up when the data changes, so that files of the old kind are not used
GOOGLE = "http://base.google.com/ns/1.0"
FLUSH_BYTES = 1 << 20

BRANDS = ("Aldwych", "Bärenfuß", "Černý & syn", "Dunmore", "Étoile", "Fjällräv", "Gül", "Howe's")
KINDS = ("jacket", "rain boots", "T-shirt", "wool jumper", "backpack", "sandals", "tea mug", "lamp")
COLOURS = ("black", "navy blue", "off-white", "grün", "rosé", "أزرق", "אדום", "红色")
SIZES = ("XS", "S", "M", "L", "XL", "38", "40 2/3", "one size")
MATERIALS = ("cotton", "merino wool", "waxed canvas", "full-grain leather", "oak", "stoneware")
TYPES = (
    "Apparel & Accessories > Clothing > Outerwear > Coats & Jackets",
    "Apparel & Accessories > Shoes > Boots",
    "Home & Garden > Kitchen & Dining > Tableware > Drinkware > Mugs",
    "Luggage & Bags > Backpacks",
    "Home & Garden > Lighting > Lamps",
)
SENTENCES = (
    "Made to be worn every day, in every weather, and mended rather than thrown away.",
    "The seams are taped & the zips are covered, so that rain stays where it belongs: outside.",
    "Washes at 30 °C; please do not tumble dry, and iron it on the left side only.",
    "“The best one I have ever owned”, says a customer who has owned quite a few of them.",
    "Ein Lieblingsstück für draußen: robust, atmungsaktiv und schön genug für die Straße.",
    "Fits true to size; if you are < 165 cm tall or between two sizes, take the smaller one.",
    "Comes in a box of recycled cardboard with a spare button, thread and a small care card.",
    "Une coupe droite, une matière souple et des finitions soignées jusqu'à la dernière couture.",
)


class Feed(NamedTuple):
    """One version of the shop in one format, as a file."""

    format: str
    items: int
    version: int
    path: Path

    @property
    def size_bytes(self) -> int:
        return self.path.stat().st_size

    @property
    def records(self) -> int:
        """How many products stand in it."""
        return self.items if self.version == 1 else expected(self.items)["live"]


def expected(items: int) -> dict[str, int]:
    """What the second version changes, by count, and how many products it has."""
    updated = sum(_is_updated(n) for n in range(100)) * items // 100
    removed = sum(1 for n in range(items) if _is_removed(n))
    added = items * 3 // 1000
    return {
        "updated": updated,
        "removed": removed,
        "added": added,
        "live": items - removed + added,
    }


def _is_updated(number: int) -> bool:
    return number % 100 == 37


def _is_removed(number: int) -> bool:
    return number % 500 == 11


def product(number: int, version: int) -> dict[str, Any]:
    """A product under the names that Google gives its fields."""
    # an odd multiplier spreads the numbers over 64 bits; its upper bits choose
    chance = ((number + 1) * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    chance ^= chance >> 29
    brand = BRANDS[chance >> 8 & 7]
    kind = KINDS[chance >> 11 & 7]
    colour = COLOURS[chance >> 14 & 7]
    size = SIZES[chance >> 17 & 7]
    cents = 499 + (chance >> 20) % 30_000
    in_stock = chance >> 36 & 7 != 0
    if version == 2 and _is_updated(number):
        cents += 100
        in_stock ^= number % 200 == 37
    slug = f"{chance >> 40:06x}-{number}"
    made: dict[str, Any] = {
        "id": f"{chance >> 8 & 0xFFF:03x}-{number:07d}",
        "title": f"{brand} {kind}, {colour}, {size}",
        "description": _description(number, chance),
        "link": f"https://shop.example/products/{slug}?variant={number}&utm_source=feed",
        "image_link": f"https://cdn.shop.example/images/{slug}/front.jpg",
        "additional_image_link": [
            f"https://cdn.shop.example/images/{slug}/{n}.jpg" for n in range(1 + (chance >> 52 & 1))
        ],
        "price": f"{cents // 100}.{cents % 100:02d} EUR",
        "availability": "in_stock" if in_stock else "out_of_stock",
        "brand": brand,
        "product_type": TYPES[chance % 5],
        "gtin": f"{4_000_000_000_000 + number}",
        "mpn": f"{slug[:6].upper()}",
        "condition": "new",
        "color": colour,
        "size": size,
        "material": MATERIALS[chance % 6],
        "item_group_id": f"G{number // 8:06d}",
    }
    if chance >> 53 & 3 == 0:
        cents = cents * 4 // 5
        made["sale_price"] = f"{cents // 100}.{cents % 100:02d} EUR"
    return made


def _description(number: int, chance: int) -> str:
    shifts = (40, 43, 46, 49)[: 3 + (chance >> 55 & 1)]
    return f"{' '.join(SENTENCES[chance >> shift & 7] for shift in shifts)} No. {number}."


def products(items: int, version: int) -> Iterator[dict[str, Any]]:
    """A version of the shop, product by product."""
    if version == 1:
        numbers: Any = range(items)
    else:
        numbers = [n for n in range(items) if not _is_removed(n)]
        numbers += range(items, items + expected(items)["added"])
        random.Random(items).shuffle(numbers)
    for number in numbers:
        yield product(number, version)


def feed(folder: Path, form: str, items: int, version: int) -> Feed:
    """A feed's file, written unless it is there."""
    path = folder / f"products-{GENERATION}-{items}-v{version}.{form}"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        with part.open("wb") as out:
            _WRITERS[form](out, products(items, version))
        part.rename(path)
    return Feed(form, items, version, path)


def link(made: Feed, path: Path) -> None:
    """Put a feed at a path. It may be the same file, so it is never written to."""
    path.unlink(missing_ok=True)
    try:
        path.hardlink_to(made.path)
    except OSError:  # on another disk
        shutil.copyfile(made.path, path)


def _write_json(out: BinaryIO, made: Iterator[dict[str, Any]]) -> None:
    encode = msgspec.json.Encoder().encode
    out.write(b"[\n")
    out.writelines(
        b",\n" + encode(each) if number else encode(each) for number, each in enumerate(made)
    )
    out.write(b"\n]\n")


def _write_jsonl(out: BinaryIO, made: Iterator[dict[str, Any]]) -> None:
    encode = msgspec.json.Encoder().encode
    out.writelines(encode(each) + b"\n" for each in made)


def _write_xml(out: BinaryIO, made: Iterator[dict[str, Any]]) -> None:
    out.write(
        f'<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0" xmlns:g="{GOOGLE}">\n<channel>\n'
        "<title>Shop</title>\n<link>https://shop.example</link>\n<description>All products</description>\n".encode()
    )
    out.writelines(_xml_item(each).encode() for each in made)
    out.write(b"</channel>\n</rss>\n")


def _xml_item(made: dict[str, Any]) -> str:
    lines = ["<item>\n"]
    for name, value in made.items():
        values = value if type(value) is list else (value,)
        lines += [f"<g:{name}>{escape(each)}</g:{name}>\n" for each in values]
    lines.append("</item>\n")
    return "".join(lines)


_WRITERS: dict[str, Callable[[BinaryIO, Iterator[dict[str, Any]]], None]] = {
    "json": _write_json,
    "jsonl": _write_jsonl,
    "xml": _write_xml,
}
