"""The public names, their documentation and their promises."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import capi_lab as cl

LOADERS = [name for name in cl.load.__all__ if name.islower() and name not in ("sample", "samples")]


def public_objects() -> list[tuple[str, object]]:
    found = []
    for name in cl.__all__:
        value = getattr(cl, name)
        if inspect.ismodule(value):
            found += [(f"{name}.{inner}", getattr(value, inner)) for inner in value.__all__]
        else:
            found.append((name, value))
    return [(name, value) for name, value in found if inspect.isfunction(value) or inspect.isclass(value)]


def test_all_is_sorted_and_reachable() -> None:
    """Every public name resolves, ``__all__`` is sorted, and ``dir()`` shows it."""
    assert list(cl.__all__) == sorted(cl.__all__)
    assert dir(cl) == list(cl.__all__)
    for name in cl.__all__:
        assert getattr(cl, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        cl.no_such_name  # noqa: B018


def test_functions_win_over_packages_of_the_same_name() -> None:
    """``cl.reconcile`` is the function whatever was imported before, and the package stays importable."""
    code = (
        "import capi_lab as cl; import capi_lab.reconcile; cl.dedup; "
        "from capi_lab.reconcile.dedup import mark; assert callable(cl.reconcile), cl.reconcile"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(("name", "value"), public_objects(), ids=lambda v: v if isinstance(v, str) else "")
def test_public_names_are_documented(name: str, value: object) -> None:
    """Every public function and class has a numpydoc docstring that names each of its parameters."""
    doc = inspect.getdoc(value)
    assert doc
    if inspect.isclass(value) and not hasattr(value, "__dataclass_fields__"):
        return
    parameters = [p for p in inspect.signature(value).parameters.values() if p.name not in ("self",)]
    assert all(p.kind is not inspect.Parameter.VAR_KEYWORD for p in parameters), "no **kwargs in public functions"
    for p in parameters:
        assert p.name in doc, f"{name}: parameter {p.name} is not documented"


@pytest.mark.parametrize("name", LOADERS)
def test_loaders_take_path_and_zone(name: str) -> None:
    """Every loader is called as ``loader(path, ..., tz=None)``, and its zone has no default."""
    parameters = inspect.signature(getattr(cl.load, name)).parameters
    assert next(iter(parameters)) == "path"
    assert parameters["tz"].default is None


def test_results_have_the_columns_scripts_rely_on(tiny) -> None:
    """dedup, reconcile and coverage give the documented columns."""
    conversions, events = tiny
    assert {"kept", "drop_reason", "duplicate_of"} <= set(cl.dedup(events, "meta").columns)
    rec = cl.reconcile(conversions, events, platform="meta")
    assert {"kept", "drop_reason", "duplicate_of", "conversion_id", "link"} <= set(rec.events.columns)
    assert {"seen_pixel", "seen_capi", "counted"} <= set(rec.conversions.columns)
    assert {"conversion_id", "outcome", "cause"} <= set(rec.pairs.columns)
    assert {"setup", "k", "n", "value", "low", "high", "method"} <= set(cl.coverage(rec).columns)


def test_package_is_typed_and_versioned() -> None:
    """Type checkers find the marker; the version is a plain triple."""
    assert (Path(cl.__file__).parent / "py.typed").exists()
    assert len(cl.__version__.split(".")) == 3
