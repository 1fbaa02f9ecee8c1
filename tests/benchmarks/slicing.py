"""How fast bodies are cut into records, beside the floors of reading and hashing them.

    python tests/benchmarks/slicing.py [ITEMS]

Writes seeded products to a temporary directory (about 1 KB each, 100,000 unless said otherwise), JSON as several kinds of
programs write it, and prints the best processor time of three runs. Compare ratios, not figures: machines differ, and so do
their neighbours.
"""

import json
import random
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import xxhash

from feedd.formats import FORMATS, json_document, xml_document
from feedd.model import Layout, Slices

GOOGLE = "http://base.google.com/ns/1.0"
LAYOUT = Layout(items=("rss.channel.item", "data.products", "products"), namespaces={"g": GOOGLE})
WORDS = [
    "cotton",
    "shirt",
    "blue",
    "large",
    "winter",
    "جاكيت",
    "חולצה",
    "leather",
    "boots",
    "soft",
    "classic",
    "wool",
    "men's",
    "&",
    "more",
]
CHUNK = 256 * 1024
CDATA = re.compile(r"(<g:(?:title|description)>)(.*?)(?=</)")


def products(count: int) -> Iterator[dict[str, Any]]:
    """Seeded products with about 0.9 KB of JSON each."""
    chance = random.Random(7)
    for number in range(count):
        price = chance.randrange(100, 90_000) / 100
        yield {
            "id": f"sku-{number}",
            "title": " ".join(chance.choices(WORDS, k=6)),
            "description": " ".join(chance.choices(WORDS, k=70)),
            "link": f"https://shop.example/products/{number}",
            "image_link": f"https://cdn.shop.example/images/{number}.jpg",
            "additional_image_link": [f"https://cdn.shop.example/{number}-{n}.jpg" for n in (1, 2)],
            "price": price,
            "availability": chance.choice(["in stock", "out of stock"]),
            "brand": chance.choice(WORDS),
            "categories": ["clothing", "men", "shirts"],
            "shipping": {"country": "EG", "price": 5},
        }


def with_variants(product: dict[str, Any], number: int) -> dict[str, Any]:
    """A product as Shopify has it: what is nested in it starts as it does."""
    variants = [
        {"id": number * 9 + n, "title": f"v{n}", "option1": "S", "price": product["price"]}
        for n in range(4)
    ]
    images = [{"id": number * 9 + n, "src": product["image_link"]} for n in range(2)]
    text = product["description"]
    return {
        "id": number,
        "title": product["title"],
        "body_html": text,
        "variants": variants,
        "images": images,
    }


def write_styles(folder: Path, count: int) -> dict[str, Path]:
    """Products in JSON as programs write it: on one line, without white space, indented, deep inside, with variants."""
    alike = list(products(count))
    variants = [with_variants(product, number) for number, product in enumerate(alike)]
    styles: dict[str, tuple[Any, dict[str, Any]]] = {
        "one line": ({"products": alike}, {}),
        "no white space": ({"products": alike}, {"separators": (",", ":")}),
        "indented": ({"products": alike}, {"indent": 2}),
        "inside": ({"data": {"products": alike, "total": count}}, {}),
        "variants": ({"products": variants}, {"separators": (",", ":")}),
        "variants, indented": ({"products": variants}, {"indent": 2}),
    }
    paths = {}
    for style, (body, options) in styles.items():
        paths[style] = folder / f"{style}.json"
        with paths[style].open("w") as file:
            json.dump(body, file, ensure_ascii=False, **options)
    return paths


def write_xml_styles(folder: Path, count: int) -> dict[str, Path]:
    """Products in XML as programs write it: texts in CDATA sections, with comments, with attributes, as empty elements."""
    styles: dict[str, Callable[[dict[str, Any]], str]] = {
        "texts in CDATA": lambda product: CDATA.sub(
            r"\1<![CDATA[<p>\2</p>]]>", xml_item(product)
        ),
        "comments": lambda product: f"<!-- {product['id']} -->\n" + xml_item(product),
        "attributes": lambda product: xml_item(product).replace("<item>", '<item a="1">', 1)
        .replace("<g:brand>", '<g:brand lang="en">'),
        "empty elements": lambda product: "<item "
        + " ".join(f"{key}={quoteattr(str(product[key]))}" for key in ("id", "title", "description", "link"))
        + "/>\n",
    }  # fmt: skip
    paths = {}
    for style, item in styles.items():
        paths[style] = folder / f"{style}.xml"
        with paths[style].open("w") as file:
            file.write(f'<rss xmlns:g="{GOOGLE}"><channel>\n')
            file.writelines(map(item, products(count)))
            file.write("</channel></rss>\n")
    return paths


def write_bodies(folder: Path, count: int) -> dict[str, Path]:
    """The same products in every format."""
    paths = {name: folder / f"feed.{name}" for name in FORMATS}
    with (
        paths["json"].open("w") as as_json,
        paths["jsonl"].open("w") as as_lines,
        paths["xml"].open("w") as as_xml,
    ):
        as_json.write('{"products": [')
        as_xml.write(
            f'<?xml version="1.0"?>\n<rss xmlns:g="{GOOGLE}"><channel><title>Shop</title>\n'
        )
        for number, product in enumerate(products(count)):
            line = json.dumps(product, ensure_ascii=False)
            as_json.write((",\n" if number else "") + line)
            as_lines.write(line + "\n")
            as_xml.write(xml_item(product))
        as_json.write("]}")
        as_xml.write("</channel></rss>\n")
    return paths


def xml_item(product: dict[str, Any]) -> str:
    """A product as an item of a Google Merchant feed."""
    parts = []
    for name, value in product.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, dict):
                inner = "".join(f"<g:{key}>{escape(str(of))}</g:{key}>" for key, of in each.items())
            else:
                inner = escape(str(each))
            parts.append(f"<g:{name}>{inner}</g:{name}>\n")
    return f"<item>\n{''.join(parts)}</item>\n"


def count_slices(batches: Iterator[Slices]) -> None:
    for _ in batches:
        pass


def hash_slices(batches: Iterator[Slices]) -> None:
    for batch in batches:
        for raw in batch.raws:
            xxhash.xxh3_128_digest(raw)


def read(path: Path, take: Callable[[bytes], object]) -> None:
    with path.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            take(chunk)


def cut(path: Path, name: str, use: Callable[[Iterator[Slices]], None], **options: int) -> None:
    slicers: dict[str, Any] = {"json": json_document.slices, "xml": xml_document.slices}
    with path.open("rb") as stream:
        use(slicers.get(name, FORMATS[name].slices)(stream, LAYOUT, None, **options))


def decode(path: Path, name: str) -> None:
    with path.open("rb") as stream:
        for batch in islice(FORMATS[name].slices(stream, LAYOUT, None), 100):
            FORMATS[name].decode(batch, LAYOUT)


def report(what: str, path: Path, count: int, run: Callable[[], None]) -> None:
    took = []
    for _ in range(3):
        started = time.process_time()
        run()
        took.append(time.process_time() - started)
    best = min(took)
    rate = path.stat().st_size / best / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{what:32} {count / best:12,.0f} items/s {rate:9,.0f} MB/s {peak:6} MB peak")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        for name, path in write_bodies(Path(folder), count).items():
            print(f"-- {name}, {path.stat().st_size / 1e6:,.0f} MB, {count:,} items")
            report("read", path, count, lambda p=path: read(p, len))
            report("xxh3-128", path, count, lambda p=path: read(p, xxhash.xxh3_128().update))
            report("slices", path, count, lambda p=path, n=name: cut(p, n, count_slices))
            report("slices + xxh3-128", path, count, lambda p=path, n=name: cut(p, n, hash_slices))
            if name != "jsonl":
                exact = "slices, lexer only" if name == "json" else "slices, expat only"
                report(
                    exact,
                    path,
                    count,
                    lambda p=path, n=name: cut(p, n, count_slices, window_bytes=0),
                )
            known = min(count, decoded(path, name))
            report(f"slices + decode ({known:,})", path, known, lambda p=path, n=name: decode(p, n))
        few = min(count, 100_000)
        print(f"-- json as programs write it, {few:,} items, slices + xxh3-128")
        for style, path in write_styles(Path(folder), few).items():
            report(style, path, few, lambda p=path: cut(p, "json", hash_slices))
        for style, path in write_xml_styles(Path(folder), few).items():
            print(f"-- xml, {style}, {few:,} items")
            report("slices + xxh3-128", path, few, lambda p=path: cut(p, "xml", hash_slices))
            known = min(few, decoded(path, "xml"))
            report(f"slices + decode ({known:,})", path, known, lambda p=path: decode(p, "xml"))


def decoded(path: Path, name: str) -> int:
    """How many records `decode` looks at."""
    with path.open("rb") as stream:
        return sum(
            len(batch.raws) for batch in islice(FORMATS[name].slices(stream, LAYOUT, None), 100)
        )


if __name__ == "__main__":
    main()
