"""A network that loses: an HTTP proxy before a real server, which injects faults from a seed."""

import http.client
import random
import socket
import time
from collections import Counter
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

FAULTS = ("unavailable", "lost before", "lost after", "cut short", "slow")


class Faults:
    """Decides about each request; `rate` is the fraction that something happens to."""

    def __init__(self, rate, seed):
        self.rate, self.counts = rate, Counter()
        self._chance, self._lock = random.Random(seed), Lock()

    def draw(self):
        """Return a fault, or None."""
        with self._lock:
            fault = self._chance.choice(FAULTS) if self._chance.random() < self.rate else None
            self.counts[fault] += 1
            return fault


def handler(port, faults):
    """Return a handler that passes requests on to `port` of this machine."""

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            fault = faults.draw()
            length = int(self.headers.get("Content-Length", 0))
            body = (
                self._chunks() if self.headers.get("Transfer-Encoding") else self.rfile.read(length)
            )
            if fault == "unavailable":
                self._answer(503, [], b"<Error><Code>SlowDown</Code></Error>")
                return
            if fault == "lost before":
                self._hang_up()
                return
            if fault == "slow":
                time.sleep(0.1)
            server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            headers = {k: v for k, v in self.headers.items() if k.lower() != "transfer-encoding"}
            headers["Content-Length"] = str(len(body))
            server.request(self.command, self.path, body, headers)
            answer = server.getresponse()
            content = answer.read()
            server.close()
            if fault == "lost after":
                self._hang_up()
                return
            self._answer(answer.status, answer.getheaders(), content, cut=fault == "cut short")

        do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 - http.server's names

        def _chunks(self):
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return body

        def _answer(self, status, headers, content, *, cut=False):
            self.send_response_only(status)
            length = len(content)
            for name, value in headers:
                if name.lower() == "content-length":
                    length = int(value)  # of HEAD: it has no body
                elif name.lower() not in ("connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(content[: length // 2] if cut else content)
            if cut and content:
                self._hang_up()

        def _hang_up(self):
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, *_):
            """Say nothing."""

    return Proxy


class Server(ThreadingHTTPServer):
    """Server that does not complain about clients that hang up."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        """Say nothing."""


@contextmanager
def lossy_network(port, *, rate, seed=1):
    """Yield (port of the proxy, its faults)."""
    faults = Faults(rate, seed)
    proxy = Server(("127.0.0.1", 0), handler(port, faults))
    thread = Thread(target=proxy.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy.server_port, faults
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
