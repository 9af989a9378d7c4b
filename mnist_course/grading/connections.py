"""Whether a kernel is still connected, and what a lost connection means.

ZeroMQ closes a connection over which a message above the limit comes, silently and for good. The values
that were to follow are lost, and without this nobody would know why, or before the deadline.
"""

import time
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED

SETTLING = 0.5
"""Seconds after which ZeroMQ has said that it tries to connect again, if it ever does."""

DYING = 3.0
"""Seconds that may lie between the end of a kernel's connections and that of its process."""


class Connection:
    """The story of one socket's connection; to be made before the socket connects."""

    def __init__(self, socket: Any):
        self.socket = socket
        self.events = socket.get_monitor_socket(EVENTS)
        self.made = self.tried_again = False
        self.lost_at: float | None = None

    @property
    def lost(self) -> bool:
        """Whether there was a connection that is no more."""
        while self.events.poll(0):
            event = recv_monitor_message(self.events)["event"]
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                self.made = True
            elif event == zmq.EVENT_DISCONNECTED and self.made and self.lost_at is None:
                self.lost_at = time.monotonic()
            elif event == zmq.EVENT_CONNECT_RETRIED and self.lost_at is not None:
                self.tried_again = True
        return self.lost_at is not None

    def end(self) -> str:
        """Return why nothing will come any more, ``""`` as long as something may.

        ``"flood"``: a message was above the limit. After that ZeroMQ doesn't try to connect again, as it
        does when the other side has closed the connection: ``"cut"``.
        """
        if not self.lost or self.lost_at is None:
            return ""
        since = time.monotonic() - self.lost_at
        if self.tried_again:
            return "cut" if since > DYING else ""
        return "flood" if since > SETTLING else ""

    def close(self) -> None:
        """Close the socket, with everything that is still on its way."""
        self.socket.disable_monitor()
        self.socket.close(linger=0)
