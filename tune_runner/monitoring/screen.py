"""Output of the command: lines that stay and, on a terminal, a live region below them.

On a pipe, and on a terminal that cannot move its cursor, there are only the lines. Rich draws the
region, in a thread of its own, so that it shows that time passes while a library is loaded. No URL
is written with its password: a library may name one in the reason of an error.
"""

import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, TextIO

from rich.console import Console, ConsoleOptions, ConsoleRenderable, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType
from rich.text import Text

from diffrec.credentials import without_secrets
from diffrec.terminal import is_terminal, printable, wrap_line, write_lines
from tune_runner.monitoring.live_view import wait_lines

_REFRESH_PER_SECOND = 4

Draw = Callable[[Console, int, int], list[Text]]
"""(console, width, height) to the lines of the live region."""

_ADDRESS = re.compile(r"https?://[^\s()]+")
_STATES = {"complete": "green", "pruned": "yellow", "failed": "red"}


class Screen:
    """Lines and live region of one command; used as a context, which ends with the cursor shown."""

    def __init__(self, file: TextIO | None = None) -> None:
        """Take the stream; nothing is written yet.

        Args:
            file: the output; None: stdout, as it is at each time.
        """
        self._file = file
        self._console = Console(file=file, highlight=False, markup=False, emoji=False)
        stream = sys.stdout if file is None else file
        self.is_live = is_terminal(stream) and self._console.is_interactive
        self._region: _Region | None = None
        self._draw: Draw = _draw_nothing

    def __enter__(self) -> Self:
        if self.is_live:
            self._region = _Region(self._console, lambda *size: self._draw(*size))
            # Drawn once from here: the thread is to import nothing while this one does.
            self._region.start(refresh=True)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the live region; lines may still be written."""
        if self._region is not None:
            self._region.stop()
            self._region = None

    def complain(self, text: str) -> None:
        """Write an error to stderr, below everything else."""
        self.close()
        sys.stdout.flush()
        write_lines(sys.stderr, f"error: {without_secrets(text)}")

    def write(self, text: str) -> None:
        """Write lines that stay, above the live region."""
        text = without_secrets(text)
        if not self.is_live:
            write_lines(sys.stdout if self._file is None else self._file, text)
            return
        for line in text.split("\n"):
            shown = self._wrapped(line)
            shown.highlight_regex(_ADDRESS, lambda address: f"link {address}")
            self._print(shown)

    def write_result(self, text: str, state: str) -> None:
        """Write the line of a trial that ended, in the colour of its state."""
        if self.is_live:
            self._print(self._wrapped(text, _STATES[state]))
        else:
            self.write(text)

    def write_links(self, links: Mapping[str, str]) -> None:
        """Write a line for each link that is not empty; paths can be clicked, too."""
        for name, link in links.items():
            line = f"{name:<9} {link}"
            if self.is_live and Path(link).is_absolute():
                shown = self._wrapped(line)
                shown.stylize(f"link {Path(link).as_uri()}", 10)
                self._print(shown)
            elif link:
                self.write(line)

    def step(self, text: str) -> None:
        """Say what the start waits for: a line on a pipe, the region on a terminal."""
        if not self.is_live:
            self.write(f"start     {text}")
        self.wait("start", text)

    def wait(self, label: str, text: str) -> None:
        """Show what is waited for in the live region, and for how long already."""
        begun = time.monotonic()
        self.show(
            lambda console, width, _: wait_lines(
                label, text, time.monotonic() - begun, console, width
            )
        )

    def show(self, draw: Draw) -> None:
        """Show what `draw` returns from now on; it is called in another thread."""
        self._draw = draw
        self.refresh()

    def refresh(self) -> None:
        """Draw the region now, not at the next quarter of a second."""
        if self._region is not None:
            self._region.refresh()

    def _wrapped(self, line: str, style: str = "") -> Text:
        line = printable(without_secrets(line), self._console.encoding)
        return Text(wrap_line(line, self._console.width), style)

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


def _draw_nothing(console: Console, width: int, height: int) -> list[Text]:
    return []


class _Frame:
    """Region as Rich draws it; knows how wide its lines on the screen are."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self.drawn: list[int] = []
        """Cells of each line that was drawn last."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = self._draw(console, options.max_width, max(1, options.size.height - 1))
        self.drawn = [line.cell_len for line in lines]
        for line in lines:
            line.no_wrap, line.overflow = True, "ignore"
            yield line


class _Region(Live):
    """Live display that stays whole when the terminal becomes narrower.

    Terminals then break the lines that were drawn, so that they take more rows than Rich knows of.
    """

    def __init__(self, console: Console, draw: Draw) -> None:
        self._frame = _Frame(draw)
        super().__init__(
            self._frame,
            console=console,
            refresh_per_second=_REFRESH_PER_SECOND,
            transient=True,
            vertical_overflow="crop",
        )

    def process_renderables(self, renderables: list[ConsoleRenderable]) -> list[ConsoleRenderable]:
        """Erase the rows that broken lines have added, then draw."""
        up = ((ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1))
        erase = Control(ControlType.CARRIAGE_RETURN, *up * self._added_rows())
        return [erase, *super().process_renderables(renderables)]

    def _added_rows(self) -> int:
        if "XTERM_VERSION" in os.environ:  # the one terminal that cuts lines instead
            return 0
        width = max(1, self.console.width)
        return sum((max(cells, 1) - 1) // width for cells in self._frame.drawn)
