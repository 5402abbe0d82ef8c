"""The waterfall's picture: bars as long as the table says, nothing written over anything else."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

import capi_lab as cl
from capi_lab.errors import ContractError, InputError

LONG = "CONVERSION_PRECEDES_EVENT_OR_SOME_OTHER_VERY_LONG_CODE_OF_A_PLATFORM"
NAN = float("nan")


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def table() -> pd.DataFrame:
    """A finished table of 1,000 conversions, written by hand."""
    rows = [
        ("step", "truth", None, None, None, 1000, 611),
        ("step", "pixel", None, None, None, 611, 611),
        ("bucket", "server", "ineligible", "no_consent", "ignored", 150, 0),
        ("bucket", "server", "not_sent", "unknown", "failed", 40, 0),
        ("bucket", "server", "not_sent", "eligibility_unknown", "unknown", 10, 0),
        ("step", "server", None, None, None, 800, 611),
        ("bucket", "accepted", "rejected", LONG, "failed", 30, 0),
        ("bucket", "accepted", "rejected", "costs $5 or $6 too much", "failed", 1, 0),
        ("step", "accepted", None, None, None, 769, 611),
        ("step", "counted", None, None, None, 769, 611),
        ("bucket", "matched", "not_matched", None, "untied", 269, 200),
        ("step", "matched", None, None, None, 500, 411),
        ("bucket", "matched", "pixel_only", None, "through", 100, 100),
        ("bucket", "matched", "double_counted", "missing_event_id", "through", 311, 311),
        ("bucket", "matched", "server_only", None, "through", 89, 0),
    ]
    frame = pd.DataFrame(rows, columns=["kind", "step", "bucket", "reason", "fate", "k", "k_pixel"])
    value = frame["k"] / 1000
    return frame.assign(n=1000, value=value, low=value * 0.9, high=value + (1 - value) * 0.05, method="wilson")


def bars(ax: plt.Axes) -> list[tuple[float, float]]:
    """Start and length of every bar, in the order drawn; the parts of one height are put together."""
    whole: dict[float, list[float]] = {}
    for patch in ax.patches:
        assert isinstance(patch, Rectangle)
        span = whole.setdefault(round(patch.get_y() + patch.get_height() / 2, 6), [9.0, -9.0])
        span[0] = min(span[0], patch.get_x())
        span[1] = max(span[1], patch.get_x() + patch.get_width())
    return [(start, end - start) for start, end in whole.values()]


def test_bars_equal_the_table_and_step_down() -> None:
    """One bar a row, as long as its share; losses hang between the step before and the step after."""
    rows = table()
    drawn = bars(cl.plots.plot_waterfall(rows))
    assert [length for _, length in drawn] == pytest.approx(rows["value"].tolist())
    starts = [0, 0, 0.85, 0.81, 0.80, 0, 0.77, 0.769, 0, 0, 0.5, 0, 0, 0.1, 0.411]
    assert [start for start, _ in drawn] == pytest.approx(starts)


def test_a_route_without_a_pixel_shows_one_way_in() -> None:
    """The legend does not speak of a pixel that takes no part."""
    legend = cl.plots.plot_waterfall(table().query("step != 'pixel'").assign(k_pixel=0)).get_legend()
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[0] == "the server sent it"
    assert "the pixel saw it" not in labels


def test_a_waterfall_is_drawn_as_its_table_is() -> None:
    """The result itself may be given; what the platform reports is then drawn beside it unasked."""
    told = pd.DataFrame({"stratum": ["all"], "metric": ["attributed"], "k": [40.0], "low_k": [40.0], "high_k": [40.0]})
    told = told.assign(value=0.04, low=0.04, high=0.04)
    drawn = cl.plots.plot_waterfall(SimpleNamespace(table=table(), reported=told))
    assert bars(drawn) == bars(cl.plots.plot_waterfall(table()))
    assert "platform reports\nattributed" in [label.get_text() for label in drawn.get_yticklabels()]


def test_a_step_shows_what_the_pixel_saw_and_what_the_server_adds() -> None:
    """The bar of `pixel or server` is 61.1 % in the pixel's colour and 18.9 % in that of what the server adds."""
    ax = cl.plots.plot_waterfall(table())
    by_colour = {patch.get_facecolor(): patch.get_width() for patch in ax.patches if patch.get_width() > 0}
    assert len(by_colour) >= 5
    widths = [round(patch.get_width(), 6) for patch in ax.patches]
    assert 0.611 in widths
    assert 0.189 in widths


def test_fates_are_told_apart_without_colour() -> None:
    """Ignored, failed, unknown and merely unmatched differ in hatch; the legend names those that occur."""
    ax = cl.plots.plot_waterfall(table())
    legend = ax.get_legend()
    looks = {text.get_text(): handle for text, handle in zip(legend.get_texts(), legend.get_patches(), strict=True)}
    fates = [name for name in looks if name.split(":")[0].split(",")[0] in ("ignored", "failed", "unknown", "arrived")]
    assert len({looks[name].get_hatch() for name in fates}) == 4
    few = table()[lambda t: ~t["fate"].isin(["unknown", "untied"])]
    names = [text.get_text() for text in cl.plots.plot_waterfall(few).get_legend().get_texts()]
    assert "unknown: cannot be told" not in names


def test_labels_say_k_of_n_and_whiskers_the_interval() -> None:
    """Every row has its counts; whiskers of a loss lie at its lower end; the ledger itself has none."""
    rows = table()
    ax = cl.plots.plot_waterfall(rows)
    assert [text.get_text() for text in ax.texts][:3] == [
        "1,000 of 1,000 (100.0%)", "611 of 1,000 (61.1%)", "150 of 1,000 (15.0%)",
    ]  # fmt: skip
    whiskers = [line.get_xdata() for line in ax.lines if line.get_label() == "_interval"]
    assert len(whiskers) == len(rows) - 1
    assert whiskers[0] == pytest.approx([rows["low"][1], rows["high"][1]])
    assert whiskers[1] == pytest.approx([1 - rows["high"][2], 1 - rows["low"][2]])
    assert "n = 1,000" in ax.get_xlabel()


@pytest.mark.parametrize("size", [None, (9.6, 8.5)])
def test_nothing_overlaps_with_long_reasons(size: tuple[float, float] | None) -> None:
    """At notebook size no label lies on another, on the bars or outside the figure."""
    reported = pd.DataFrame(
        {"metric": ["matched"], "stratum": ["all"], "k": [480.0], "low_k": [450.0], "high_k": [500.0]}
        | {"n": [1000], "value": [0.48], "low": [0.45], "high": [0.5]}
    )
    ax = None if size is None else plt.subplots(figsize=size, layout="constrained")[1]
    ax = cl.plots.plot_waterfall(table(), ax=ax, reported=reported)
    figure = ax.figure
    figure.draw_without_rendering()
    page = figure.bbox
    for texts in ([t for t in ax.get_yticklabels() if t.get_text()], list(ax.texts), ax.get_legend().get_texts()):
        boxes = [text.get_window_extent() for text in texts]
        assert all(page.x0 <= b.x0 and b.x1 <= page.x1 and page.y0 <= b.y0 and b.y1 <= page.y1 for b in boxes)
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    edge = max(patch.get_window_extent().x1 for patch in ax.patches)
    assert all(text.get_window_extent().x0 > edge for text in ax.texts)
    assert ax.get_title(loc="left") == "How far 1,000 conversions got"


def test_the_platforms_totals_are_points_with_bounds() -> None:
    """A report is a diamond at its share of the ledger, with the platform's bounds, also beyond 100 %."""
    reported = pd.DataFrame(
        {"metric": ["received", "received"], "stratum": ["all", "click_id"], "k": [1200.0, 9.0]}
        | {"low_k": [1100.0, 9.0], "high_k": [1300.0, 9.0], "value": [1.2, 0.009], "low": [1.1, 0.009]}
        | {"high": [1.3, 0.009], "n": 1000}
    )
    ax = cl.plots.plot_waterfall(table(), reported=reported)
    assert [line.get_xdata().tolist() for line in ax.lines if line.get_label() == "_reported"] == [[1.2]]
    assert [line.get_xdata().tolist() for line in ax.lines if line.get_label() == "_bounds"] == [[1.1, 1.3]]
    assert ax.texts[-1].get_text() == "1,200, 1,100 to 1,300"
    assert ax.get_xlim()[1] > 1.4


def test_one_group_or_currency_at_a_time() -> None:
    """Several groups in one table are refused by name; one group gives the title its name."""
    rows = table()
    both = pd.concat([rows.assign(country="DE"), rows.assign(country="FR")])
    both = both[["country", *rows.columns]]
    with pytest.raises(InputError, match="several groups of 'country'"):
        cl.plots.plot_waterfall(both)
    ax = cl.plots.plot_waterfall(both[both["country"] == "DE"])
    assert ax.get_title(loc="left") == "How far 1,000 conversions got: DE"
    money = rows.assign(currency="EUR")[["currency", *rows.columns]]
    assert "amount in EUR" in cl.plots.plot_waterfall(money).get_xlabel()
    with pytest.raises(ContractError, match="k_pixel: column is missing"):
        cl.plots.plot_waterfall(rows.drop(columns="k_pixel"))
    with pytest.raises(InputError, match="no row"):
        cl.plots.plot_waterfall(rows.iloc[:0])


def test_what_the_package_gives_can_be_drawn(tiny) -> None:
    """The table, and the amounts, of a real result."""
    wf = cl.waterfall(cl.reconcile(*tiny))
    for rows in (wf.table, wf.amounts):
        assert [length for _, length in bars(cl.plots.plot_waterfall(rows))] == pytest.approx(rows["value"].tolist())
