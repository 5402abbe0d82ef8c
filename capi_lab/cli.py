"""The command line: parse, call one public function, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from capi_lab import __version__

if TYPE_CHECKING:
    from capi_lab.send import Plan

__all__ = ["app", "main"]

app = typer.Typer(
    help="Match-rate analytics for ad pixels and conversions APIs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals may hold people's data
)


_MAP_ORDER = typer.Option(metavar="THEIRS=OURS", help="Orders have columns of their own.")


def _version(*, value: bool) -> None:
    if value:
        typer.echo(f"capi-lab {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=lambda value: _version(value=value), help="Print the version.")
    ] = False,
) -> None:
    """Match-rate analytics for ad pixels and conversions APIs."""


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the HTML page and the pictures.")] = Path("out"),
) -> None:
    """Measure coverage on the shipped sample and write a page and pictures."""
    from capi_lab.lab import demo as run_demo

    typer.echo("Running notebook 01_compare_coverage on the shipped sample (69,659 orders) ...")
    run = run_demo(out)
    typer.echo(run.text.rstrip())
    typer.echo(f"\nPage      {run.html}")
    for picture in run.pictures:
        typer.echo(f"Picture   {picture}")


@app.command()
def platforms(
    name: Annotated[str | None, typer.Argument(help="One platform; without it, all of them.")] = None,
) -> None:
    """Print the platforms' rules, each with source and date."""
    from capi_lab.platforms import described

    typer.echo(described(name).rstrip())


@app.command()
def check(
    files: Annotated[list[Path], typer.Argument(help="Files, each looked at by itself.", metavar="FILE...")],
    *,
    as_format: Annotated[
        str | None, typer.Option("--as", metavar="FORMAT", help="Read as this loader or table; else the file tells.")
    ] = None,
    tz: Annotated[str | None, typer.Option(help="Zone of times that carry none, such as Europe/Berlin.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array, one object per file.")] = False,
) -> None:
    """Say what a file is, what is in it, and whether it can be used.

    Exit code 0: every file can be used. 1: one loads but cannot be used, and the report says why. 2: one is of no
    format we know, or cannot be read.
    """
    import json
    from datetime import UTC, datetime

    from capi_lab.errors import CapiLabError
    from capi_lab.load.checkup import check as check_file

    worst, answers = 0, []
    for file in files:
        try:
            found = check_file(file, tz=tz, as_format=as_format, now=datetime.now(UTC))
        except CapiLabError as error:
            worst = 2
            answers.append({"source": file.name, "usable": False, "error": str(error)})
            if not as_json:
                typer.echo(f"{file.name}\nnot read: {error}\n")
            continue
        worst = max(worst, int(not found.usable))
        answers.append(found.to_dict())
        if not as_json:
            typer.echo(f"{found}\n")
    if as_json:
        typer.echo(json.dumps(answers, indent=2))
    raise typer.Exit(worst)


@app.command()
def report(
    conversions: Annotated[Path, typer.Argument(help="Orders: a file of any format `check` knows.", metavar="ORDERS")],
    events: Annotated[
        list[Path],
        typer.Argument(help="What pixel and server reported: files of any such format.", metavar="EVENTS..."),
    ],
    *,
    platform: Annotated[str, typer.Option(help="Whose dedup rule to replay.")] = "meta",
    by: Annotated[
        list[str] | None, typer.Option(help="Column of the orders to break coverage down by; may be given again.")
    ] = None,
    receipts: Annotated[Path | None, typer.Option(help="What became of a send.")] = None,
    reports: Annotated[Path | None, typer.Option(help="What the platform reports back.")] = None,
    tz: Annotated[str | None, typer.Option(help="Zone of times that carry none, such as Europe/Berlin.")] = None,
    map_order: Annotated[list[str] | None, _MAP_ORDER] = None,
    map_event: Annotated[
        list[str] | None, typer.Option(metavar="THEIRS=OURS", help="Events have columns of their own.")
    ] = None,
    min_cell: Annotated[int, typer.Option(help="Groups of fewer conversions are suppressed.")] = 10,
    out: Annotated[Path, typer.Option(help="Folder for the page and the tables.")] = Path("out"),
    as_json: Annotated[bool, typer.Option("--json", help="Print findings and files as JSON.")] = False,
) -> None:
    """Reconcile orders with events and write one page: what is reported, what is wrong, what became of each order.

    Exit code 0: no alert. 1: there is one, and it stands on top of the page. 2: a file cannot be used.
    """
    import json
    from datetime import UTC, datetime

    from capi_lab.report import report_files

    made = report_files(
        conversions,
        events,
        platform=platform,
        now=datetime.now(UTC),
        by=by or [],
        receipts=receipts,
        reports=reports,
        tz=tz,
        conversion_columns=_mapping(map_order),
        event_columns=_mapping(map_event),
        min_cell=min_cell,
    )
    written = made.write(out)
    if as_json:
        findings = [{"text": one.text, "alert": one.alert} for one in made.findings]
        typer.echo(json.dumps({"findings": findings, "files": {k: str(v) for k, v in written.items()}}, indent=2))
    else:
        typer.echo(made)
        typer.echo(f"\nPage      {written['html']}")
    raise typer.Exit(int(any(one.alert for one in made.findings)))


def _mapping(pairs: list[str] | None) -> dict[str, str] | None:
    """Read ``theirs=ours``; the last sign of equality parts the two, for our names have none."""
    found = [pair.rpartition("=") for pair in pairs or []]
    wrong = [theirs for theirs, sign, ours in found if not (theirs and sign and ours)]
    if wrong:
        raise typer.BadParameter("write THEIRS=OURS, e.g. --map-order 'Order no.=conversion_id'")
    return {theirs: ours for theirs, _, ours in found} or None


@app.command()
def sandbox(
    *,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")] = 8765,
    seed: Annotated[int, typer.Option(help="Of credentials and faults.")] = 0,
    faults: Annotated[
        str, typer.Option(help="What goes wrong, separated by commas: kind, kind:share or kind:share:most.")
    ] = "",
) -> None:
    """Run a local server that answers like the five platforms, until interrupted."""
    import threading

    from capi_lab.sandbox import Sandbox

    try:
        with Sandbox(seed=seed, faults=[one for one in faults.split(",") if one], port=port) as box:
            typer.echo(f"Listening on {box.url()} for all platforms. Credentials that are good here:")
            for name, value in box.credentials().items():
                typer.echo(f"export {name}={value}")
            threading.Event().wait()
    except KeyboardInterrupt:
        typer.echo("Stopped.")


_CONVERSIONS = typer.Argument(help="Orders: a file of any format `check` knows.", metavar="FILE")
_PLATFORM = typer.Argument(help="meta, google, tiktok, microsoft or linkedin.")
_SETTINGS = typer.Option("--settings", help="TOML file with the route's settings (capi-lab platforms lists them).")
_OUTBOX = typer.Option("--outbox", help="File that remembers what was sent.")
_ROUTE = typer.Option(help="Default: the platform's default route.")
_HOST = typer.Option(help="Scheme and host of a sandbox; default: the platform.")
_TZ = typer.Option(help="Zone of times that carry none, such as Europe/Berlin.")
_KEYRING = typer.Option("--keyring", help="Ask the system's keyring for credentials too.")


def _settings(path: Path) -> dict[str, str]:
    import tomllib

    from capi_lab.errors import InputError

    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"'{path.name}' is no TOML file that can be read") from None
    if not all(isinstance(value, str | int | bool) for value in found.values()):
        raise InputError(f"'{path.name}' must hold plain settings only: name = \"value\"")
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in found.items()}


def _planned(
    file: Path,
    platform: str,
    settings: Path,
    outbox: Path,
    route: str | None,
    host: str | None,
    tz: str | None,
    map_order: list[str] | None,
) -> Plan:
    from datetime import UTC, datetime

    from capi_lab.load import any_format
    from capi_lab.send import Outbox
    from capi_lab.send import plan as plan_of

    loaded = any_format(file, kind="conversions", columns=_mapping(map_order), tz=tz)
    if loaded.report.dropped:  # nothing is lost in silence
        typer.echo(loaded.report, err=True)
    return plan_of(
        loaded.df,
        platform,
        settings=_settings(settings),
        outbox=Outbox(outbox),
        now=datetime.now(UTC),
        route=route,
        host=host,
    )


@app.command()
def plan(
    file: Annotated[Path, _CONVERSIONS],
    platform: Annotated[str, _PLATFORM],
    *,
    settings: Annotated[Path, _SETTINGS],
    outbox: Annotated[Path, _OUTBOX],
    route: Annotated[str | None, _ROUTE] = None,
    host: Annotated[str | None, _HOST] = None,
    tz: Annotated[str | None, _TZ] = None,
    map_order: Annotated[list[str] | None, _MAP_ORDER] = None,
) -> None:
    """Say what a send would do. Nothing leaves.

    Exit code 0: planned. 2: it cannot be planned.
    """
    typer.echo(_planned(file, platform, settings, outbox, route, host, tz, map_order).summary())


@app.command()
def send(
    file: Annotated[Path, _CONVERSIONS],
    platform: Annotated[str, _PLATFORM],
    *,
    settings: Annotated[Path, _SETTINGS],
    outbox: Annotated[Path, _OUTBOX],
    approve: Annotated[
        str | None, typer.Option(metavar="FINGERPRINT", help="The plan's fingerprint; without it nothing leaves.")
    ] = None,
    receipt: Annotated[Path | None, typer.Option(help="Write the receipt to this CSV or Parquet file.")] = None,
    route: Annotated[str | None, _ROUTE] = None,
    host: Annotated[str | None, _HOST] = None,
    tz: Annotated[str | None, _TZ] = None,
    map_order: Annotated[list[str] | None, _MAP_ORDER] = None,
    keyring: Annotated[bool, _KEYRING] = False,
) -> None:
    """Send conversions, each once; without --approve only say what would leave.

    Exit code 0: nothing is left to do. 1: some rows were rejected, are in doubt or are still to be sent. 2: it cannot
    be sent. 3: nothing left, since no plan was approved.
    """
    import os

    from capi_lab.send import send as send_plan

    made = _planned(file, platform, settings, outbox, route, host, tz, map_order)
    if approve is None:
        typer.echo(made.summary())
        typer.echo(f"\nNothing has left. To send exactly this: --approve {made.fingerprint}")
        raise typer.Exit(3)
    told = send_plan(made, approve=approve, env=os.environ, keyring=keyring)
    typer.echo(repr(told))
    if receipt is not None:
        told.rows.to_parquet(receipt) if receipt.suffix == ".parquet" else told.rows.to_csv(receipt, index=False)
    raise typer.Exit(int(told.rows["status"].isin(["rejected", "retry", "unknown"]).any()))


@app.command()
def doctor(
    platform: Annotated[str, _PLATFORM],
    *,
    settings: Annotated[Path, _SETTINGS],
    route: Annotated[str | None, _ROUTE] = None,
    host: Annotated[str | None, _HOST] = None,
    keyring: Annotated[bool, _KEYRING] = False,
) -> None:
    """Try settings and credential without recording anything.

    Exit code 0: nothing is wrong, as far as it can be tried. 1: something is. 2: it cannot be tried.
    """
    import os
    from datetime import UTC, datetime

    from capi_lab.send import doctor as examine

    found = examine(
        platform,
        settings=_settings(settings),
        now=datetime.now(UTC),
        route=route,
        host=host,
        env=os.environ,
        keyring=keyring,
    )
    for check_name, ok, detail in found.astype(object).itertuples(index=False):
        verdict = "ok" if ok is True else "FAILED" if ok is False else "not tried"
        typer.echo(f"{check_name:<11} {verdict:<9} {detail}")
    raise typer.Exit(int((~found["ok"].fillna(value=True)).any()))


def main() -> None:
    """Run the command line; our own errors are printed as one line, exit code 2."""
    from capi_lab.errors import CapiLabError

    try:
        app()
    except CapiLabError as error:
        typer.echo(f"capi-lab: {error}", err=True)
        raise SystemExit(2) from None
