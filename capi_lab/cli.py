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


def main() -> None:
    """Run the command line; our own errors are printed as one line, exit code 2."""
    from capi_lab.errors import CapiLabError

    try:
        app()
    except CapiLabError as error:
        typer.echo(f"capi-lab: {error}", err=True)
        raise SystemExit(2) from None
