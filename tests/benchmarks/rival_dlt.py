"""dlt at its best: merge a feed into a database. Runs in the rivals' own environment, without feedd.

    python rival_dlt.py FORMAT FILE DATABASE_URL FOLDER {pages,arrow}

Two ways in: `pages` yields pages of Python dicts, which is what dlt's own examples do, and dlt looks at each value; `arrow`
yields Arrow tables of text, which dlt hands through unlooked at. The folder holds dlt's state, so that a second run with
another file is a resync.
"""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PAGE = 5_000
GOOGLE = "{http://base.google.com/ns/1.0}"
TEXTS = [
    "id",
    "title",
    "description",
    "link",
    "image_link",
    "price",
    "sale_price",
    "availability",
    "brand",
    "product_type",
    "gtin",
    "mpn",
    "condition",
    "color",
    "size",
    "material",
    "item_group_id",
]
LISTS = ("additional_image_link",)
FIELDS = (*TEXTS, *LISTS)

# (way, into SQLite): the quickest of those that the destination takes
FILE_FORMATS = {
    ("pages", True): "typed-jsonl",
    ("pages", False): "csv",
    ("arrow", True): "parquet",
    ("arrow", False): "parquet",
}
SETTINGS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "EXTRACT__WORKERS": "1",
    "NORMALIZE__WORKERS": "2",
    "LOAD__WORKERS": "2",
    "DATA_WRITER__BUFFER_MAX_ITEMS": "20000",
    "DATA_WRITER__FILE_MAX_ITEMS": "50000",
    "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
    "LOAD__DELETE_COMPLETED_JOBS": "true",
}


def paged(records: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    page: list[dict[str, Any]] = []
    for record in records:
        page.append(record)
        if len(page) == PAGE:
            yield page
            page = []
    if page:
        yield page


def json_records(path: str) -> Iterator[dict[str, Any]]:
    import ijson

    with Path(path).open("rb") as stream:
        yield from ijson.items(stream, "item", use_float=True, buf_size=1 << 20)


def jsonl_records(path: str) -> Iterator[dict[str, Any]]:
    import orjson

    with Path(path).open("rb") as stream:
        yield from map(orjson.loads, stream)


def xml_records(path: str) -> Iterator[dict[str, Any]]:
    from lxml import etree

    cut = len(GOOGLE)
    for _, item in etree.iterparse(path, tag="item"):
        record: dict[str, Any] = {}
        for field in item:
            name = field.tag[cut:]
            if name in LISTS:
                record.setdefault(name, []).append(field.text)
            else:
                record[name] = field.text
        yield record
        item.clear()
        while item.getprevious() is not None:
            del item.getparent()[0]


RECORDS = {"json": json_records, "jsonl": jsonl_records, "xml": xml_records}


def arrow_tables(form: str, path: str) -> Iterator[Any]:
    """Tables with the list as JSON text, which is the column that SQL databases get for it anyway."""
    import pyarrow as pa

    if form == "xml":
        import orjson

        for page in paged(xml_records(path)):
            columns = {name: [record.get(name) for record in page] for name in FIELDS}
            for name in LISTS:
                columns[name] = [orjson.dumps(values or []).decode() for values in columns[name]]
            yield pa.table(columns, schema=pa.schema([(name, pa.string()) for name in FIELDS]))
        return
    import duckdb

    kinds = ", ".join(f"{name}: 'VARCHAR'" for name in FIELDS)
    lines = "newline_delimited" if form == "jsonl" else "array"
    found = duckdb.sql(
        f"SELECT * FROM read_json('{path}', format = '{lines}', columns = {{{kinds}}}, maximum_object_size = 16777216)"
    )
    for batch in found.to_arrow_reader(50_000):
        yield pa.Table.from_batches([batch])


def main() -> None:
    form, path, url, folder, way = sys.argv[1:]
    os.environ.update({k: os.environ.get(k, v) for k, v in SETTINGS.items()})
    import dlt

    kind = "text" if way == "arrow" else "json"
    columns: dict[str, Any] = {name: {"data_type": "text"} for name in TEXTS}
    columns |= {name: {"data_type": kind} for name in LISTS}
    columns["id"]["nullable"] = False
    to_sqlite = url.startswith("sqlite")

    @dlt.resource(
        name="products",
        primary_key="id",
        write_disposition={
            "disposition": "merge",
            "strategy": os.environ.get("DLT_STRATEGY", "delete-insert"),
        },
        columns=columns,
        max_table_nesting=0,
        file_format=os.environ.get("DLT_FORMAT") or FILE_FORMATS[way, to_sqlite],
    )
    def products() -> Iterator[Any]:
        yield from arrow_tables(form, path) if way == "arrow" else paged(RECORDS[form](path))

    # without primary keys in the database a merge into SQLite is quadratic: minutes for 100,000 products
    destination: Any = (
        dlt.destinations.sqlalchemy(url, create_primary_keys=True)
        if to_sqlite
        else dlt.destinations.postgres(url)
    )
    pipeline = dlt.pipeline(
        "benchmark", pipelines_dir=folder, destination=destination, dataset_name="shop"
    )
    pipeline.run(products())
    with (
        pipeline.sql_client() as client,
        client.execute_query("SELECT count(*) FROM products") as found,
    ):
        print(json.dumps({"stored": found.fetchone()[0]}))


if __name__ == "__main__":
    main()
