"""Open a page and keep an eye on it: what its console says, where it calls, whether people can read it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Eye", "faint_texts", "opened", "wide_by"]

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
# Texts of less contrast than WCAG 2 asks for (4.5 to 1; large ones 3 to 1), against what is painted behind them.
_FAINT = """
(root) => {
  const paint = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (text) => {
    paint.clearRect(0, 0, 1, 1); paint.fillStyle = text; paint.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = paint.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3]));
  const light = (c) => {
    const [r, g, b] = c.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    const layers = [];
    for (let at = node; at; at = at.parentElement) layers.unshift(rgba(getComputedStyle(at).backgroundColor));
    const dark = getComputedStyle(document.documentElement).colorScheme.includes("dark")
      && matchMedia("(prefers-color-scheme: dark)").matches;
    return layers.reduce((below, layer) => over(layer, below), dark ? [18, 18, 18] : [255, 255, 255]);
  };
  const faint = new Set();
  const walk = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  for (let text = walk.nextNode(); text; text = walk.nextNode()) {
    const node = text.parentElement;
    if (!text.textContent.trim() || !node.checkVisibility() || ["STYLE", "SCRIPT", "TITLE"].includes(node.tagName))
      continue;
    const style = getComputedStyle(node), below = behind(node);
    const [a, b] = [light(over(rgba(style.color), below)), light(below)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) faint.add(`${ratio.toFixed(2)}: ${text.textContent.trim().slice(0, 60)}`);
  }
  return [...faint];
}
"""


class Eye:
    """What a page did that it must not.

    Parameters
    ----------
    page : playwright.sync_api.Page
    """

    def __init__(self, page: Any) -> None:
        self.errors: list[str] = []
        self.strayed: list[str] = []
        page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.context.route("**/*", self._let)

    def _let(self, route: Any) -> None:
        where = urlsplit(route.request.url)
        if where.scheme in ("http", "https", "ws", "wss") and where.hostname not in _LOOPBACK:
            self.strayed.append(route.request.url)
            route.abort()
        else:
            route.continue_()


@contextmanager
def opened(browser: Any, url: str, *, dark: bool = False, width: int = 1280, height: int = 900) -> Iterator[Any]:
    """Open a page, and hold against it, once the caller is done, every error on its console and every call outside."""
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    try:
        page = context.new_page()
        eye = Eye(page)
        page.goto(url)
        yield page
        page.evaluate("0")  # what it said so far arrives before this answer
        found = eye.strayed + eye.errors
        assert not found, found
    finally:
        context.close()


def faint_texts(within: Any) -> list[str]:
    """List the visible texts in an element (a locator) whose contrast is too low to read, with their ratio."""
    found: list[str] = within.evaluate(_FAINT)
    return found


def wide_by(page: Any) -> int:
    """Return by how many pixels a page is wider than its window: something would be cut off, or scrolled to."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
