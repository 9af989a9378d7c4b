"""One sandbox from its plan to its last process."""

import json
import os
import select
import signal
import sys
from collections.abc import Mapping
from typing import Any

from . import confinement, processes, room

INTERVAL = 0.2  # seconds between two looks at what the sandbox uses
DIAGNOSIS_BYTES = 4096  # what is kept of the kernel's standard error


def main() -> None:
    """Serve one sandbox over standard input and output."""
    plan = json.loads(sys.stdin.buffer.readline())
    processes.adopt_orphans()
    try:
        place = room.prepare(plan)
    except OSError as error:
        _say({"refused": f"the sandbox's folder cannot be prepared: {error}"})
        raise SystemExit(1) from None
    _say(
        {
            "outside": place.outside,
            "inside": place.inside,
            "user": place.uid,
        }
    )
    try:
        line = sys.stdin.buffer.readline()
        status, reason = _run(plan, place, json.loads(line)) if line else (0, "")
    finally:
        processes.kill_all(place.uid)
        place.remove()
    print(reason, file=sys.stderr, flush=True)
    raise SystemExit(status)


def _say(message: Mapping[str, Any]) -> None:
    print(json.dumps(message), flush=True)


def _run(plan: Mapping[str, Any], place: room.Room, order: Mapping[str, Any]) -> tuple[int, str]:
    """Start the command and stay until it has ended: its exit status, and why it was ended or failed."""
    for name, text in order["files"].items():
        place.write(name, text)
    reading, writing = os.pipe()
    child = confinement.start(plan, place, order["command"], standard_error=writing)
    os.close(writing)
    os.set_blocking(reading, False)
    said = bytearray()
    reason = _watch(place, plan["limits"], child, reading, said)
    if reason:
        return 1, reason
    _drain(reading, said)
    _, status = os.waitpid(child, 0)
    return _judge(
        os.waitstatus_to_exitcode(status), plan["limits"], said.decode(errors="replace").strip()
    )


def _judge(code: int, limits: Mapping[str, int], said: str) -> tuple[int, str]:
    """Say what an exit code means; bubblewrap answers 128 + N for its child's signal N."""
    number = -code if code < 0 else code - 128
    if 0 < number < signal.NSIG:
        name = signal.Signals(number).name
        if name == "SIGXCPU":
            return 1, f"processor: more than {limits['cpu_seconds']} s of its time"
        return 1, f"ended by {name}"
    return code, said if code else ""


def _watch(
    place: room.Room, limits: Mapping[str, int], child: int, reading: int, said: bytearray
) -> str:
    """Wait for the child's end; return "" then, and otherwise why it must be ended now."""
    ended = os.pidfd_open(child)
    waiting = select.poll()
    waiting.register(ended, select.POLLIN)
    waiting.register(sys.stdin.fileno(), select.POLLIN)
    try:
        while True:
            # standard error is read at this pace only, so a flood of it blocks the flooder
            ready = {descriptor for descriptor, _ in waiting.poll(INTERVAL * 1000)}
            _drain(reading, said)
            if ended in ready:
                return ""
            if sys.stdin.fileno() in ready:
                return "ended by the grader"
            excess = processes.excess(child, limits) or place.excess(child, limits)
            if excess:
                return excess
    finally:
        os.close(ended)


def _drain(reading: int, said: bytearray) -> None:
    try:
        text = os.read(reading, 65536)
    except BlockingIOError:
        return
    said += text
    del said[:-DIAGNOSIS_BYTES]  # an exception's last line says most
