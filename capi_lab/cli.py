"""The command line: parse, call one public function, print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from capi_lab import __version__

__all__ = ["app", "main"]

app = typer.Typer(
    help="Match-rate analytics for ad pixels and conversions APIs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals may hold people's data
)


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


def main() -> None:
    """Run the command line; our own errors are printed as one line, exit code 2."""
    from capi_lab.errors import CapiLabError

    try:
        app()
    except CapiLabError as error:
        typer.echo(f"capi-lab: {error}", err=True)
        raise SystemExit(2) from None
