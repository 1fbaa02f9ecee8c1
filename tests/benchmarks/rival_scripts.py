"""The scripts that somebody would write instead: a feed into a table, and what has changed counted. In the rivals' environment.

    python rival_scripts.py {duckdb,pandas} FORMAT FILE DATABASE_FILE

`duckdb` keeps the shop in a DuckDB file, `pandas` in a SQLite file. Both compare each row's hash with the stored one, store
what is new or changed, delete what is gone, and print the three counts. Neither validates, neither remembers what changed.
"""

import json
import sqlite3
import sys

from rival_dlt import FIELDS, arrow_tables

Counts = dict[str, int]


def with_duckdb(form: str, path: str, database: str) -> Counts:
    import duckdb

    con = duckdb.connect(database)
    con.execute(
        f"CREATE TABLE IF NOT EXISTS products ({', '.join(f'{name} VARCHAR' for name in FIELDS)}, hash UBIGINT)"
    )
    con.execute("CREATE TEMP TABLE feed AS SELECT * FROM products LIMIT 0")
    if form == "xml":
        for table in arrow_tables(form, path):  # DuckDB reads no XML
            con.register("page", table)
            con.execute("INSERT INTO feed SELECT *, hash(page) FROM page")
    else:
        kinds = ", ".join(f"{name}: 'VARCHAR'" for name in FIELDS)
        lines = "newline_delimited" if form == "jsonl" else "array"
        con.execute(
            f"INSERT INTO feed SELECT *, hash(f) FROM read_json('{path}', format = '{lines}', columns = {{{kinds}}}) f"
        )
    changed = "FROM feed f JOIN products p USING (id) WHERE f.hash != p.hash"
    new = "FROM feed ANTI JOIN products USING (id)"
    gone = "FROM products ANTI JOIN feed USING (id)"
    counts = {
        name: con.execute(f"SELECT count(*) {what}").fetchone()[0]
        for name, what in (("updated", changed), ("added", new), ("removed", gone))
    }
    con.execute("BEGIN")
    con.execute(f"CREATE TEMP TABLE taken AS SELECT id {gone} UNION ALL SELECT f.id {changed}")
    con.execute("DELETE FROM products WHERE id IN (SELECT id FROM taken)")
    con.execute(f"INSERT INTO products SELECT * {new}")
    con.execute("COMMIT")
    con.close()
    return counts


def with_pandas(form: str, path: str, database: str) -> Counts:
    import pandas as pd

    if form == "xml":
        feed = pd.DataFrame(
            [row for table in arrow_tables(form, path) for row in table.to_pylist()]
        )
    else:
        feed = pd.read_json(path, lines=form == "jsonl", dtype=False, convert_dates=False)
        feed["additional_image_link"] = feed["additional_image_link"].map(json.dumps)
    feed = feed.reindex(columns=list(FIELDS)).set_index("id")
    feed["hash"] = pd.util.hash_pandas_object(feed, index=False).to_numpy().view("int64")
    with sqlite3.connect(database) as con:
        con.execute(
            f"CREATE TABLE IF NOT EXISTS products ({', '.join(f'{name} TEXT' for name in FIELDS)}, hash INTEGER, PRIMARY KEY (id))"
        )
        stored = pd.read_sql("SELECT id, hash FROM products", con, index_col="id")["hash"]
        old = stored.reindex(feed.index)
        new = feed[old.isna()]
        changed = feed[old.notna() & (old != feed["hash"])]
        gone = stored.index.difference(feed.index)
        con.executemany(
            "DELETE FROM products WHERE id = ?", [(each,) for each in (*gone, *changed.index)]
        )
        for rows in (new, changed):
            rows.to_sql("products", con, if_exists="append", chunksize=10_000)
    con.close()
    return {"updated": len(changed), "added": len(new), "removed": len(gone)}


WAYS = {"duckdb": with_duckdb, "pandas": with_pandas}


def main() -> None:
    way, form, path, database = sys.argv[1:]
    print(json.dumps(WAYS[way](form, path, database)))


if __name__ == "__main__":
    main()
