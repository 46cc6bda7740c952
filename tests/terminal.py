"""A terminal for tests: a pty whose output is drawn by pyte, a terminal emulator."""

import fcntl
import os
import struct
import termios
import threading
from contextlib import suppress

import pyte


class Terminal:
    """Terminal of a width and a height; a program writes to the device `path`.

    It cuts lines when it becomes narrower, as xterm does.
    """

    def __init__(self, columns, rows):
        self._master, self._slave = os.openpty()
        self.path = os.ttyname(self._slave)
        self._screen = pyte.HistoryScreen(columns, rows, history=1000, ratio=0.5)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self.resize(columns, rows)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        os.close(self._slave)
        self._reader.join(60)  # it ends once nobody can write any more
        os.close(self._master)

    def resize(self, columns, rows):
        """Change the size, as a user does by pulling at the window."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        self._screen.resize(rows, columns)
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, size)

    def lines(self):
        """Return what is on the screen, without empty lines."""
        return [line.rstrip() for line in list(self._screen.display) if line.strip()]

    def text(self):
        """Return the screen's lines as one text, wrapped lines joined by a space."""
        return " ".join(" ".join(self.lines()).split())

    def _read(self):
        with suppress(OSError):
            while data := os.read(self._master, 65536):
                self.raw += data
                self._stream.feed(data)
