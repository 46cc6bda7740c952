"""Runs the command on a cluster's head node (`ray://`); Ray's job client would need the dashboard.

Ray Tune's driver must run inside the cluster, which Ray Client reaches from outside. The command
runs there as a task without CPUs, with this project's packages, and its output is streamed back
line by line. Paths are the cluster's. A study that must outlive this terminal is submitted with
`ray job submit`.
"""

import _thread
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from tune_runner.execution import environment
from tune_runner.execution.cluster import PACKAGES, check_reachable, connect

SCHEME = "ray://"

_SENT = ("MLFLOW_TRACKING_", "PGPASSWORD")
"""Prefixes of the environment variables that are sent along with the command."""

_TRIES = 3

_HEAD = {"node:__internal_head__": 0.001}


def run_on_head_node(
    main: Callable[[Sequence[str]], int], arguments: Sequence[str], address: str
) -> int:
    """Run the command on the head of the cluster at `address` and return its exit code.

    Args:
        main: the command's own function, importable on the head node.
        arguments: of the command, without `--address`.
        address: of the cluster's client server, `ray://host:10001`.

    Raises:
        UserError: no cluster answers, or the command is wrong.
    """
    check_reachable(address)
    environment.prepare()
    import ray
    from ray.util.queue import Queue

    connect(address, (*PACKAGES, "analysis"), tries=_TRIES)
    try:
        queue_options = {"num_cpus": 0, "resources": _HEAD}
        output, commands = Queue(actor_options=queue_options), Queue(actor_options=queue_options)
        remote_command = ray.remote(num_cpus=0, max_retries=0, resources=_HEAD)(_run_command)
        variables = {name: v for name, v in os.environ.items() if name.startswith(_SENT)}
        task = remote_command.remote(
            main, [*arguments, "--address", "auto"], variables, output, commands
        )
        return _stream_output(ray, task, output, commands)
    finally:
        ray.shutdown()


def _stream_output(ray: Any, task: Any, output: Any, commands: Any) -> int:
    """Print the command's output until it ends; forward Ctrl-C to it."""
    from ray.exceptions import RayError

    signals: list[int] = []

    def on_sigint(number: int, _: FrameType | None) -> None:
        # Raising here could break a Ray Client call half-way, so the signal is only recorded.
        if signals:
            raise KeyboardInterrupt
        signals.append(number)

    old_handler, is_stop_sent = signal.signal(signal.SIGINT, on_sigint), False
    try:
        while True:
            for stream, text in _pending_lines(output):
                getattr(sys, stream).write(text)
                getattr(sys, stream).flush()
            if signals and not is_stop_sent:
                commands.put("stop")
                is_stop_sent = True
            done, _ = ray.wait([task], timeout=0.5)
            if done and output.empty():
                return ray.get(task)
    except (RayError, ConnectionError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = lines[-1]  # Ray's first line says where it was raised
        sys.stderr.write(
            f"The cluster has lost the command ({reason}). What finished is kept; resume it with "
            "--resume and the study's name.\n"
        )
        return 1
    finally:
        signal.signal(signal.SIGINT, old_handler)


def _pending_lines(output: Any) -> list[tuple[str, str]]:
    return output.get_nowait_batch(min(output.qsize(), 1000)) if output.qsize() else []


class _QueueStream(io.TextIOBase):
    """Output stream that sends whole lines to a queue."""

    def __init__(self, output: Any, stream: str) -> None:
        self._output, self._stream, self._partial_line = output, stream, ""

    def write(self, text: str, /) -> int:
        lines, line_break, self._partial_line = (self._partial_line + text).rpartition("\n")
        if line_break:
            self._output.put((self._stream, lines + line_break))
        return len(text)

    def finish(self) -> None:
        """Send the last line, which has no line break."""
        if self._partial_line:
            self._output.put((self._stream, self._partial_line))


def _run_command(
    main: Callable[[Sequence[str]], int],
    arguments: list[str],
    variables: dict[str, str],
    output: Any,
    commands: Any,
) -> int:
    """Run the command on the head node; return its exit code."""
    os.environ.update(variables)

    def wait_for_stop() -> None:
        commands.get()
        # Once: Ray's own way to cancel a task interrupts it every two seconds until it has ended,
        # so it could never end gracefully. A real SIGINT does not reach Python in Ray's workers.
        _thread.interrupt_main()

    signal.signal(signal.SIGINT, signal.default_int_handler)
    threading.Thread(target=wait_for_stop, daemon=True).start()
    streams = _QueueStream(output, "stdout"), _QueueStream(output, "stderr")
    old_streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = streams
    try:
        return main(arguments)
    finally:
        sys.stdout, sys.stderr = old_streams
        for stream in streams:
            stream.finish()
