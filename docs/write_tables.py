"""Write docs/tables.md: what the tables hold, from the contracts themselves (`make docs`)."""

from __future__ import annotations

from pathlib import Path

from capi_lab.tables import TABLES, Column

PAGE = Path(__file__).with_name("tables.md")
WHAT = {
    "conversions": "Your ledger: what really happened, one row per order or lead. Loaders of shops, payments and CRMs\n"
    'give it; so does `load.table(file, "conversions", columns={...})`.',
    "events": "One row per event as one channel reported it: what the pixel and the server sent. A log of your own\n"
    "server needs `channel`, `event_name`, `event_time`, and one of `event_id` and `conversion_id`, by which it is\n"
    "linked to the ledger; without `row_id` the loader numbers the rows.",
    "clicks": "One row per ad click seen on arrival. Analytics exports, request logs and `click_view` give it.",
    "visits": "One row per page view, with or without a click id.",
    "reports": "What a platform says back, in totals per day.",
    "receipts": "What became of the rows of a send: `receipt.rows`.",
}
KINDS = {"text": "text", "time": "time (datetime64[us, UTC])", "number": "number (float64)"}


def page() -> str:
    """Return the whole page."""
    parts = [
        "# Tables\n\n"
        "Everything here takes and gives six tables. Columns of your own may stand beside ours and pass through. A\n"
        "column that is not required may be absent, or missing in a row; missing stays missing. Ids are text, times\n"
        "carry a zone, money is in major units beside its currency, countries are ISO 3166 alpha-2. Written from\n"
        "`capi_lab/tables.py`.\n"
    ]
    for table in TABLES.values():
        head = f"## {table.name}\n\n{WHAT[table.name]}\n\n| column | type | required | what it is |\n|---|---|---|---|"
        rows = [f"| `{one.name}` | {KINDS[one.kind]} | {_required(one)} | {_meaning(one)} |" for one in table.columns]
        parts.append("\n".join([head, *rows]) + "\n")
    return "\n".join(parts)


def _required(column: Column) -> str:
    return ("yes, unique" if column.unique else "yes") if column.required else ""


def _meaning(column: Column) -> str:
    allowed = f"one of {', '.join(f'`{word}`' for word in column.allowed)}" if column.allowed else ""
    return "; ".join(text for text in (column.meaning, allowed) if text) or column.name.replace("_", " ")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
