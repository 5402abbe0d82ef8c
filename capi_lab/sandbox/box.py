"""The sandbox as its users see it."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from capi_lab.errors import CapiLabError, InputError
from capi_lab.platforms import PLATFORMS, platform
from capi_lab.sandbox.app import Line
from capi_lab.sandbox.doors import DOORS, Call, Door
from capi_lab.sandbox.doors import Answer as Reply
from capi_lab.sandbox.kept import Kept
from capi_lab.sandbox.serving import Serving
from capi_lab.sandbox.switches import Fault, Switches, read_faults
from capi_lab.sandbox.tokens import Tokens
from capi_lab.words import ServerFault

if TYPE_CHECKING:
    import pandas as pd

    from capi_lab.simulate import World
    from capi_lab.simulate.answer import Answer

__all__ = ["Sandbox"]


class Sandbox:
    """A server on a loopback port that answers like the five platforms, as far as their specs know them.

    One port serves every route, since their paths differ. It checks credentials, versions, form, limits, ages and
    needs, answers in each platform's words, keeps what it was sent and counts it by each platform's dedup rule.

    Parameters
    ----------
    seed : int
        Of tokens, fault switches and what the platforms know of people.
    faults : iterable of Fault or str
        What goes wrong on purpose: `Fault`, or ``kind``, ``kind:share``, ``kind:share:most``. Kinds are the words of
        `capi_lab.words.ServerFault`.
    world : World, optional
        Whom the platforms know; asked by `matched` and `attributed`. Default: `World` as it is.
    clicks : DataFrame, optional
        Contract ``clicks``: those the platforms saw.
    conversions : DataFrame, optional
        Contract ``conversions``: who is behind each; see `capi_lab.answer`.
    now : datetime, optional
        Where the sandbox's clock stands until `advance`; None for the real one. It decides what is too old.
    port : int
        0 takes a free one.
    patience : float
        Seconds for which a request that is to time out is held before its connection is cut.
    slowness : float
        Seconds by which a slow reply is late.
    max_bytes : int
        Longer bodies are refused with HTTP 413. No platform publishes such a limit; this one is ours.

    Examples
    --------
    >>> with Sandbox(seed=1) as box:
    ...     box.counted("meta")
    0

    Notes
    -----
    Bodies lie in an unnamed temporary file until the sandbox ends; nothing is logged.
    """

    def __init__(
        self,
        seed: int = 0,
        faults: Iterable[Fault | str] = (),
        world: World | None = None,
        *,
        clicks: pd.DataFrame | None = None,
        conversions: pd.DataFrame | None = None,
        now: datetime | None = None,
        port: int = 0,
        patience: float = 60.0,
        slowness: float = 0.2,
        max_bytes: int = 64_000_000,
    ) -> None:
        if now is not None and now.tzinfo is None:
            raise InputError("now= has no zone: give an aware datetime, e.g. datetime.now(UTC)")
        self._still = None if now is None else now.timestamp()
        self._ahead = 0.0
        self._world = world
        self._seed = seed
        self._clicks = clicks
        self._conversions = conversions
        self._port = port
        routes = {key: PLATFORMS[key[0]].spec.route(key[1]) for key in DOORS}
        self._tokens = Tokens(seed, routes.values())
        self._switches = Switches(read_faults(faults), seed)
        self._kept = Kept()
        self._doors: dict[tuple[str, str], Door] = {
            key: DOORS[key](PLATFORMS[key[0]].spec, route, self._tokens, self._kept, self._switches)
            for key, route in routes.items()
        }
        self._line = Line(
            list(self._doors.values()),
            self._switches,
            self._tokens,
            self._clock,
            self._tell,
            patience=patience,
            slowness=slowness,
            max_bytes=max_bytes,
        )
        self._serving: Serving | None = None

    # -- running ---------------------------------------------------------------------------------------------

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None and self._line.failures:
            raise _failure(self._line.failures)

    def start(self) -> Sandbox:
        """Start to serve; returns the sandbox itself."""
        if self._serving is None:
            self._serving = Serving(self._line, self._port)
            self._serving.start()
        return self

    def stop(self) -> None:
        """End the server and forget what was sent."""
        if self._serving is not None:
            self._serving.stop()
            self._serving = None
        self._kept.close()

    def _clock(self) -> float:
        return (time.time() if self._still is None else self._still) + self._ahead

    def now(self) -> datetime:
        """Return the sandbox's clock: a sender for which it is another day would be refused."""
        return datetime.fromtimestamp(self._clock(), UTC)

    def advance(self, by: timedelta) -> None:
        """Put the sandbox's clock forward: tokens expire, windows end, events grow old. Back is an `InputError`."""
        if by < timedelta(0):
            raise InputError("time does not go back")
        self._ahead += by.total_seconds()

    # -- what a sender needs ---------------------------------------------------------------------------------

    def url(self, platform: str | None = None) -> str:
        """Return where the sandbox listens, such as ``http://127.0.0.1:40123``: the same for every platform.

        Parameters
        ----------
        platform : str, optional
            Checked, so that a slip shows at once.

        Raises
        ------
        InputError
            No such platform, none the sandbox has a door for, or the sandbox is not running.
        """
        if platform is not None:
            _known(platform)
        if self._serving is None:
            raise InputError("the sandbox does not run: use it in a with statement, or start() it")
        return self._serving.url

    def credentials(self, platform: str | None = None, *, renewable: bool = False) -> dict[str, str]:
        """Return the environment variables a sender reads, with credentials that are good here and nowhere else.

        Parameters
        ----------
        platform : str, optional
            Only those of one platform.
        renewable : bool
            Where tokens are renewed, what it takes to get one instead of a token that does not end.
        """
        wanted = None if platform is None else _known(platform)
        found: dict[str, str] = {}
        for (name, _), door in self._doors.items():
            if wanted in (None, name):
                found |= self._tokens.environment(door.route, renewable=renewable)
        return found

    def fail_next(self, kind: ServerFault | str, platform: str | None = None, route: str | None = None) -> None:
        """Let the next request meet a fault, besides those that are drawn.

        Parameters
        ----------
        kind : ServerFault or str
        platform, route : str, optional
            Only a request for them; without ``route``, the platform's default one.
        """
        name = None
        if platform is not None:
            name = f"{platform}/{PLATFORMS[_known(platform)].spec.route(route).name}"
        self._switches.order(Fault(ServerFault(kind)).kind, name)

    # -- what became of it -----------------------------------------------------------------------------------

    def counted(self, platform: str, route: str | None = None) -> int:
        """Return how many conversions the platform counts, after its own dedup.

        Parameters
        ----------
        platform : str
        route : str, optional
            Only those of one way in.
        """
        with self._line.lock:
            return sum(door.counting.counted for door in self._of(platform, route))

    def received(self, platform: str, route: str | None = None) -> pd.DataFrame:
        """Return every row that reached the platform's books, in the order they came.

        Parameters
        ----------
        platform : str
        route : str, optional

        Returns
        -------
        DataFrame
            ``route``, ``request_id``, ``row`` (position in the request), ``received_time``, ``accepted`` (bool),
            ``code`` (why not, or what was said of it), ``counted`` (bool: it stands for a conversion), and what the
            bodies say, as `capi_lab.platforms.received.read_requests` reads them.
        """
        import pandas as pd

        from capi_lab.sandbox.books import table

        with self._line.lock:
            found = [
                table(door, self._kept, list(self._kept.of(door.spec.name, door.route.name)))
                for door in self._of(platform, route)
            ]
        found = [one for one in found if len(one)] or found[:1]
        return pd.concat(found, ignore_index=True).drop(columns="row_id")

    def answer(self, platform: str, route: str | None = None) -> Answer:
        """Return what the platform knows of the conversions it counts of one route, and what it would report.

        Parameters
        ----------
        platform : str
        route : str, optional
            Default: the platform's default route.
        """
        from capi_lab.sandbox.books import answered, table

        door = self._doors[_known(platform), PLATFORMS[_known(platform)].spec.route(route).name]
        with self._line.lock:
            rows = table(door, self._kept, list(self._kept.of(door.spec.name, door.route.name)))
        return answered(door, rows, self._world, self._seed, self._clicks, self._conversions)

    def _tell(self, door: Door, call: Call, now: float) -> Reply:
        from capi_lab.sandbox.books import answered
        from capi_lab.sandbox.telling import TELLERS, Told

        def knows(door: Door, rows: pd.DataFrame) -> Answer:
            return answered(door, rows, self._world, self._seed, self._clicks, self._conversions)

        return TELLERS[door.spec.name, door.route.name](Told(door, self._kept, call, now, knows))

    def matched(self, platform: str, route: str | None = None) -> int:
        """Return how many of the conversions it counts the platform ties to a click or an account.

        Parameters
        ----------
        platform : str
        route : str, optional
            Only those of one way in.
        """
        return self._sum(platform, route, "matched")

    def attributed(self, platform: str, route: str | None = None) -> int:
        """Return how many of them lie inside the platform's window after a click.

        Parameters
        ----------
        platform : str
        route : str, optional
            Only those of one way in.

        Raises
        ------
        InputError
            The sandbox was given no clicks, and what it is sent does not tell when they were.
        """
        if self._clicks is None:
            raise InputError("nobody knows when the clicks were: give Sandbox(clicks=...)")
        return self._sum(platform, route, "attributed")

    def _sum(self, platform: str, route: str | None, column: str) -> int:
        doors = [door for door in self._of(platform, route) if door.counting.counted]
        rows = (self.answer(platform, door.route.name).rows for door in doors)
        return sum(int(one[column].fillna(False).sum()) for one in rows)

    def _of(self, platform: str, route: str | None) -> list[Door]:
        name = _known(platform)
        if route is not None:
            PLATFORMS[name].spec.route(route)
        return [door for key, door in self._doors.items() if key[0] == name and route in (None, key[1])]


def _failure(failures: list[Exception]) -> CapiLabError:
    """Say where the sandbox itself failed; not with which values."""
    first = failures[0]
    where = traceback.extract_tb(first.__traceback__)[-1]
    return CapiLabError(
        f"the sandbox itself failed {len(failures):,} times, first with {type(first).__name__} at "
        f"{Path(where.filename).name}:{where.lineno}: please report it"
    )


def _known(name: str) -> str:
    """Check the name of a platform that has a door here."""
    found = platform(name).spec.name
    if all(found != served for served, _ in DOORS):
        raise InputError(f"the sandbox has no door for {found}: see docs/adding-a-platform.md")
    return found
