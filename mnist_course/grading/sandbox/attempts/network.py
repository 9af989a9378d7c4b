"""Attempts to talk to anything outside."""

import socket

from mnist_course.grading.sandbox.attempts.target import Target

# by number: not every build of Python knows every name
_FAMILIES = {
    "IPv4": 2,
    "IPv6": 10,
    "netlink": 16,
    "packet": 17,
    "bluetooth": 31,
    "algorithms": 38,
    "vsock": 40,
}


def loopback(target: Target) -> str:
    """Connect to a server on this machine."""
    return _connect(socket.AF_INET, ("127.0.0.1", target.port))


def internet(target: Target) -> str:
    """Open a socket of each family that leads out of the machine or into its kernel."""
    opened = []
    for name, family in _FAMILIES.items():
        try:
            socket.socket(family, socket.SOCK_RAW if name == "netlink" else socket.SOCK_STREAM).close()
        except OSError:
            continue
        opened.append(name)
    return ", ".join(opened)


def unix_socket(target: Target) -> str:
    """Connect to a Unix socket of the grader's by its path."""
    return _connect(socket.AF_UNIX, target.socket)


def abstract_socket(target: Target) -> str:
    """Connect to a Unix socket of the grader's by its abstract name."""
    return _connect(socket.AF_UNIX, "\0" + target.abstract)


def _connect(family: int, address: object) -> str:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(address)  # type: ignore[arg-type]
    except OSError:
        return ""
    return f"connected to {address!r}"
