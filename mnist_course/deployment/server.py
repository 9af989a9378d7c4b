"""The service at a port, with patience for nobody."""

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from mnist_course.deployment.limits import Limits
from mnist_course.errors import InputError

KEEP_ALIVE = 5
"""Seconds that an idle connection stays open for a further request."""


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 is any free one.

    Raises
    ------
    InputError
        No such address on this machine, or its port is taken.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=128)
        # connections inherit it; without it an answer's body waits until the client confirms the headers
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"cannot listen at {host}, port {port}: {reason}; choose others with --host and --port"
        ) from None


def server(app: FastAPI, limits: Limits, *, proxy: str | None = None) -> uvicorn.Server:
    """Return uvicorn with the application and limits; ``run(sockets=[listen(…)])`` serves.

    Parameters
    ----------
    app, limits
        Of `mnist_course.deployment.service.create_app`.
    proxy
        Address of a reverse proxy, whose word is taken for the address of a client; anybody else could
        have as many addresses as they like.
    """
    return uvicorn.Server(
        uvicorn.Config(
            app,
            http=_protocol(limits),
            ws="none",
            proxy_headers=proxy is not None,
            forwarded_allow_ips=proxy,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=int(2 * limits.seconds) + 1,
            server_header=False,
            access_log=False,  # addresses of clients are nobody's business
            log_level="warning",
        )
    )


def _protocol(limits: Limits) -> type[asyncio.Protocol]:
    class Punctual(H11Protocol):
        """Closes connections whose next request doesn't come in time, and those that are too many.

        uvicorn waits for a request's headers as long as a client likes; a few hundred that send a byte
        now and then would keep all others out.
        """

        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                transport.abort()
                return
            self._expect_request()

        def connection_lost(self, exc: Exception | None) -> None:
            self._cancel_deadline()
            super().connection_lost(exc)

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self._expect_request()

        def _expect_request(self) -> None:
            self._cancel_deadline()
            self._deadline = self.loop.call_later(limits.seconds, self._close_unless_served)

        def _cancel_deadline(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()

        def _close_unless_served(self) -> None:
            if self.cycle is None or self.cycle.response_complete:
                self.transport.close()

    return Punctual


def serve(
    app: FastAPI,
    limits: Limits,
    listener: socket.socket,
    *,
    proxy: str | None = None,
    when_ready: Callable[[str], None] = print,
) -> None:
    """Serve until Ctrl-C or SIGTERM; tell `when_ready` the address first."""
    host, port, *_ = listener.getsockname()
    when_ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    server(app, limits, proxy=proxy).run(sockets=[listener])
