"""Collectors that draw bars with a library of the user's choice; each loads its library when it is made."""

from __future__ import annotations

import sys
from abc import abstractmethod
from typing import Any

from headrace.base.lazy import need
from headrace.observers.collector import Collector, counter_key, counter_title


class BarCollector(Collector):
    """What bars have in common: one for each counter, or one alone with the other counts beside it.

    Args:
        single_bar: Draw only the first counter as a bar.
    """

    def __init__(self, single_bar: bool = False) -> None:
        self.single_bar = single_bar
        self._bars: dict[str, Any] = {}
        self._aside: dict[str, int] = {}

    def update(
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,
        inc_total: int | None = None,
        message: str | None = None,
        label: str = "",
    ) -> None:
        """Move the bar, making it first if need be."""
        key = counter_key(name, label)
        if key not in self._bars:
            if self.single_bar and self._bars:
                self._count_aside(key, inc, message)
                return
            self._bars[key] = self._new_bar(counter_title(name, label), total)
        bar = self._bars[key]
        if inc_total:
            self._grow(bar, inc_total)
        if message:
            self._say(bar, message)
        self._advance(bar, inc)

    def _count_aside(self, key: str, inc: int, message: str | None) -> None:
        self._aside[key] = self._aside.get(key, 0) + inc
        counts = ", ".join(f"{name} {count:,}" for name, count in self._aside.items())
        first = next(iter(self._bars.values()))
        self._say(first, f"{counts} {message}" if message else counts)

    def _start(self, step: str) -> None:
        self._bars, self._aside = {}, {}
        self._open(step)

    def _stop(self) -> None:
        bars, self._bars, self._aside = self._bars, {}, {}
        self._close(list(bars.values()))

    @abstractmethod
    def _open(self, step: str) -> None:
        """Make the display."""

    @abstractmethod
    def _close(self, bars: list[Any]) -> None:
        """Take the display away."""

    @abstractmethod
    def _new_bar(self, title: str, total: int | None) -> Any:
        """Make a bar."""

    @abstractmethod
    def _advance(self, bar: Any, inc: int) -> None:
        """Move a bar."""

    @abstractmethod
    def _grow(self, bar: Any, inc_total: int) -> None:
        """Expect more of a bar."""

    @abstractmethod
    def _say(self, bar: Any, message: str) -> None:
        """Put a message beside a bar."""


class TqdmCollector(BarCollector):
    """Bars of tqdm, in terminals and notebooks.

    Args:
        single_bar: Draw only the first counter as a bar.
        tqdm_kwargs: Given to every bar.

    Raises:
        MissingDependencyException: tqdm is not installed.
    """

    def __init__(self, single_bar: bool = False, **tqdm_kwargs: Any) -> None:
        super().__init__(single_bar)
        self._tqdm = need("tqdm.auto", "progress with tqdm", "tqdm").tqdm
        self._options = {"maxinterval": 1.0, "bar_format": None, **tqdm_kwargs}
        self._title = ""

    def _open(self, step: str) -> None:
        self._title = step

    def _close(self, bars: list[Any]) -> None:
        for bar in bars:
            bar.close()

    def _new_bar(self, title: str, total: int | None) -> Any:
        name = f"{self._title}: {title}" if not self._bars and self._title else title
        options = {"desc": name, "total": total, "leave": False, "position": len(self._bars), **self._options}
        return self._tqdm(**options)

    def _advance(self, bar: Any, inc: int) -> None:
        bar.update(inc)

    def _grow(self, bar: Any, inc_total: int) -> None:
        bar.total = (bar.total or 0) + inc_total
        bar.refresh()

    def _say(self, bar: Any, message: str) -> None:
        bar.set_postfix_str(message)


class RichCollector(BarCollector):
    """Bars of rich.

    Args:
        single_bar: Draw only the first counter as a bar.
        rich_kwargs: Given to ``rich.progress.Progress``.

    Raises:
        MissingDependencyException: rich is not installed.
    """

    def __init__(self, single_bar: bool = False, **rich_kwargs: Any) -> None:
        super().__init__(single_bar)
        self._rich = need("rich.progress", "progress with rich", "rich")
        self._markup = need("rich.markup", "progress with rich", "rich")
        self._options = {"transient": True, **rich_kwargs}
        self._display: Any = None

    def _open(self, step: str) -> None:
        rich = self._rich
        columns = (
            rich.TextColumn("[bold]{task.fields[step]}[/]"),
            rich.TextColumn("{task.description}"),
            rich.BarColumn(),
            rich.MofNCompleteColumn(),
            rich.TimeElapsedColumn(),
            rich.TextColumn("{task.fields[message]}"),
        )
        console = self._options.get("console") or need("rich", "progress with rich", "rich").get_console()
        # without a terminal rich would write empty lines
        unseen = not (console.is_terminal or console.is_jupyter)
        self._display = rich.Progress(*columns, **{"disable": unseen, **self._options})
        self._display.start()

    def _close(self, bars: list[Any]) -> None:
        if self._display is not None:
            self._display.stop()
            self._display = None

    def _new_bar(self, title: str, total: int | None) -> Any:
        return self._display.add_task(self._plain(title), total=total, step="" if self._bars else self.step, message="")

    def _advance(self, bar: Any, inc: int) -> None:
        self._display.advance(bar, inc)

    def _grow(self, bar: Any, inc_total: int) -> None:
        self._display.update(bar, total=(self._display.tasks[bar].total or 0) + inc_total)

    def _say(self, bar: Any, message: str) -> None:
        self._display.update(bar, message=self._plain(message))

    def _plain(self, text: str) -> str:
        # what a user's data says is no markup
        return str(self._markup.escape(text))


class EnlightenCollector(BarCollector):
    """Bars of enlighten, which stay at the foot of the terminal while other output scrolls.

    Args:
        single_bar: Draw only the first counter as a bar.
        enlighten_kwargs: Given to ``enlighten.get_manager``.

    Raises:
        MissingDependencyException: enlighten is not installed.
    """

    def __init__(self, single_bar: bool = False, **enlighten_kwargs: Any) -> None:
        super().__init__(single_bar)
        self._enlighten = need("enlighten", "progress with enlighten", "enlighten")
        self._options = enlighten_kwargs
        self._manager: Any = None
        self._status: Any = None

    def _open(self, step: str) -> None:
        self._manager = self._enlighten.get_manager(**self._options)
        self._status = self._manager.status_bar(
            status_format="{step}{fill}{message}{fill}{elapsed}", step=step, message="", autorefresh=True, leave=False
        )

    def _close(self, bars: list[Any]) -> None:
        for bar in bars:
            bar.close()
        if self._manager is not None:
            self._status.close()
            self._manager.stop()
            self._manager = None

    def _new_bar(self, title: str, total: int | None) -> Any:
        return self._manager.counter(desc=title, total=total, autorefresh=True, leave=False)

    def _advance(self, bar: Any, inc: int) -> None:
        bar.update(inc)

    def _grow(self, bar: Any, inc_total: int) -> None:
        bar.total = (bar.total or 0) + inc_total
        bar.refresh()

    def _say(self, bar: Any, message: str) -> None:
        self._status.update(message=message)


class AliveCollector(BarCollector):
    """A bar of alive-progress, which draws only one; the other counts stand beside it.

    Args:
        single_bar: Kept for callers of the field; there is always one bar.
        alive_kwargs: Given to ``alive_bar``.

    Raises:
        MissingDependencyException: alive-progress is not installed.
    """

    def __init__(self, single_bar: bool = True, **alive_kwargs: Any) -> None:
        super().__init__(single_bar=True)
        self._alive = need("alive_progress", "progress with alive-progress", "alive_progress")
        self._options = alive_kwargs
        self._context: Any = None

    def _open(self, step: str) -> None:
        pass  # the bar wants its total, so it is made with the first counter

    def _close(self, bars: list[Any]) -> None:
        if self._context is not None:
            self._context.__exit__(None, None, None)
            self._context = None

    def _new_bar(self, title: str, total: int | None) -> Any:
        # looked up late: the library keeps the stdout of its import
        file = sys.stdout
        options = {
            "file": file,
            "title": f"{self.step}: {title}",
            "dual_line": True,
            "enrich_print": False,
            **self._options,
        }
        self._context = self._alive.alive_bar(total, **options)
        return self._context.__enter__()

    def _advance(self, bar: Any, inc: int) -> None:
        bar(inc)

    def _grow(self, bar: Any, inc_total: int) -> None:
        pass  # a total cannot be changed once it is drawn

    def _say(self, bar: Any, message: str) -> None:
        bar.text = message
