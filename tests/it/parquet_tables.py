"""Reads Parquet tables with DuckDB and with pyarrow; prints what both must agree on, as JSON.

Arguments: a folder of answers (sessions, facts, causes), and a file of facts.
"""
import json
import sys
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

folder, facts = Path(sys.argv[1]), sys.argv[2]
told = {"rows": {}, "types": {}, "columns": {}}
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'")
for name in ("sessions", "facts", "causes"):
    path = str(folder / f"{name}.parquet")
    table = pq.read_table(path)
    table.validate(full=True)
    rows = db.execute("SELECT count(*) FROM read_parquet(?)", [path]).fetchone()[0]
    assert rows == table.num_rows, (name, rows, table.num_rows)
    told["rows"][name] = rows
    told["columns"][name] = table.column_names
    told["types"][name] = {
        field.name: str(field.type) for field in table.schema
    }
    db.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet('{path}')")

one = lambda query: [list(row) for row in db.execute(query).fetchall()]
told["sessions"] = one("SELECT id, outcome, broke_at, cause, user_name, aliases FROM sessions ORDER BY id")
told["micros"] = one("SELECT id, epoch_us(\"start\")::BIGINT FROM sessions ORDER BY id")
told["best"] = one("SELECT s.id, c.id, c.confidence FROM sessions s JOIN causes c ON c.session_id = s.id AND c.rank = 1 WHERE s.decides ORDER BY s.id")
told["lists"] = one("SELECT session_id, rank, len(evidence_for), len(evidence_against), len(missing) FROM causes ORDER BY session_id, rank")
told["by_session"] = one("SELECT session_id, count(*) FROM facts GROUP BY 1 ORDER BY 1")
told["fields"] = [
    [row[0], dict(row[1])]
    for row in zip(*(pq.read_table(str(folder / "facts.parquet"))[c].to_pylist() for c in ("fact", "fields")))
]
exchanged = pq.read_table(facts)
exchanged.validate(full=True)
told["lines"] = one(f"SELECT line, count(*) FROM read_parquet('{facts}') GROUP BY 1 ORDER BY 1")
told["exchanged"] = {field.name: str(field.type) for field in exchanged.schema}
json.dump(told, sys.stdout)
