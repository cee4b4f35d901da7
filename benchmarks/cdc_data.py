"""Accounts in PostgreSQL, changes of them in transactions of a thousand, and the same changes as lines of JSON."""

import random
from pathlib import Path
from typing import Any

import psycopg

Connection = psycopg.Connection[tuple[Any, ...]]
PER_TRANSACTION, PER_FILE = 1_000, 10_000
ROW = "id BIGINT, owner STRING, city STRING, balance DECIMAL(12,2), updated_at TIMESTAMP"
CITIES = "ARRAY['Basel', 'Bern', 'Genf', 'Zürich']"
CREATE = f"""
CREATE TABLE {{table}} (id bigint PRIMARY KEY, owner text, city text, balance numeric(12, 2), updated_at timestamptz);
INSERT INTO {{table}} SELECT n, 'owner ' || n, ({CITIES})[1 + n % 4], n % 10000 / 4.0, clock_timestamp()
FROM generate_series(1, {{rows}}) n;
CREATE PUBLICATION {{table}} FOR TABLE {{table}};
ANALYZE {{table}}"""
UPDATE = "UPDATE {table} AS t SET balance = balance + 1, updated_at = clock_timestamp() WHERE id = ANY(%s)"
INSERT = f"""INSERT INTO {{table}} AS t SELECT n, 'owner ' || n, ({CITIES})[1 + n %% 4], 10, clock_timestamp()
FROM unnest(%s::bigint[]) n"""
DELETE = "DELETE FROM {table} AS t WHERE id = ANY(%s)"


def create(connection: Connection, table: str, rows: int) -> None:
    """A table with rows, and a publication of its name."""
    connection.execute(CREATE.format(table=table, rows=rows))


def change(connection: Connection, table: str, changes: int, seed: int, log: Path) -> None:
    """Of each thousand changes 700 are updates, 200 inserts and 100 deletes; a key may come in any transaction.

    `log` gets what whoever decodes the server's log gives: a file for every ten thousand, a line for each change with
    its kind, its place among all and the row, as it is then or was at last.
    """
    log.mkdir(parents=True, exist_ok=True)
    draw, lines = random.Random(seed), []
    place = sum(1 for _ in log.iterdir()) * PER_FILE
    found = connection.execute(f"SELECT array_agg(id ORDER BY id) FROM {table}").fetchone()
    keys: list[int] = found[0] if found else []
    new = max(keys) + 1
    for number in range(0, changes, PER_TRANSACTION):
        some = min(PER_TRANSACTION, changes - number)
        gone, more = some // 10, some // 5
        picked = draw.sample(range(len(keys)), some - more)
        statements = [
            ("u", UPDATE, [keys[at] for at in picked[gone:]]),
            ("i", INSERT, list(range(new, new + more))),
            ("d", DELETE, [keys[at] for at in picked[:gone]]),
        ]
        with connection.transaction():
            for kind, statement, some_keys in statements:
                text = statement.format(table=table) + " RETURNING row_to_json(t)::text"
                for (row,) in connection.execute(text, [some_keys]):
                    lines.append(f'{{"op":"{kind}","place":{place},{row[1:]}')
                    place += 1
        for at in sorted(picked[:gone], reverse=True):
            keys[at] = keys[-1]
            keys.pop()
        keys += range(new, new + more)
        new += more
        if len(lines) >= PER_FILE or number + some >= changes:
            (log / f"changes_{place:012}.json").write_text("\n".join(lines) + "\n")
            lines.clear()
