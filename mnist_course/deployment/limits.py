"""What one client, and all clients together, may ask of the service.

A server that takes whatever comes is brought down by the first broken script. So everything that a
stranger chooses, how much, how often, how long, how many at once, has a limit here, and what exceeds it
is refused at once with a status that says why, rather than left to wait.
"""

import asyncio
import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from mnist_course.errors import InputError

Result = TypeVar("Result")


@dataclass(frozen=True)
class Limits:
    """The limits, with defaults for a small machine.

    Parameters
    ----------
    body_bytes
        Of a picture.
    seconds
        For a request to arrive and, once more, to be answered.
    at_once
        Requests that are being received, waiting or worked on; they may hold `body_bytes` each.
    threads
        That work at a time.
    rate, burst
        Requests per second of one client in the long run, and how many it may send at a stroke.
        A rate of 0 is no limit.
    connections
        Open ones; further ones are closed.

    Raises
    ------
    InputError
        A limit that nothing could pass.
    """

    body_bytes: int = 1 << 20
    seconds: float = 10.0
    at_once: int = 64
    threads: int = 2
    rate: float = 10.0
    burst: int = 30
    connections: int = 256

    def __post_init__(self) -> None:
        for name in ("body_bytes", "seconds", "at_once", "threads", "burst", "connections"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name} is {getattr(self, name)}; expected more than 0")
        if not 0 <= self.rate < math.inf:
            raise InputError(f"rate is {self.rate}; expected requests per second, or 0 for no limit")


class Refused(Exception):
    """A request that is not answered: the status, one line, and for some when to try again."""

    def __init__(self, status: int, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail
        self.headers = (
            {} if retry_after is None else {"Retry-After": str(max(1, math.ceil(retry_after)))}
        )


class TokenBuckets:
    """A bucket of tokens for each client: full at first, refilled steadily, one taken by each request.

    So a client may send a `burst`, and `rate` a second in the long run.

    Parameters
    ----------
    rate
        Tokens per second.
    burst
        Tokens that a bucket holds.
    clients
        Buckets that are kept. Beyond that, those that were not used for longest are forgotten.
    clock
        Seconds, as of `time.monotonic`.

    Examples
    --------
    >>> now = 0.0
    >>> buckets = TokenBuckets(rate=2, burst=1, clock=lambda: now)
    >>> buckets.take("192.0.2.1"), buckets.take("192.0.2.1"), buckets.take("192.0.2.2")
    (0.0, 0.5, 0.0)
    """

    def __init__(
        self,
        rate: float,
        burst: int,
        *,
        clients: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rate, self.burst, self.clients, self._clock = rate, burst, clients, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # tokens, and when

    def take(self, client: str) -> float:
        """Take a token and return 0.0, or return the seconds until there will be one."""
        if not self.rate:
            return 0.0
        now = self._clock()
        tokens, then = self._buckets.pop(client, (float(self.burst), now))
        tokens = min(self.burst, tokens + (now - then) * self.rate)
        missing = max(0.0, 1 - tokens)
        self._buckets[client] = (tokens if missing else tokens - 1, now)
        if len(self._buckets) > self.clients:
            self._buckets.popitem(last=False)
        return missing / self.rate


def network_of(address: str) -> str:
    """Return whom an address belongs to: itself, or in IPv6, where a home has 2⁶⁴, its first half.

    >>> network_of("192.0.2.7"), network_of("2001:db8::1234:5678")
    ('192.0.2.7', '2001:db8::/64')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed.packed[:8] + bytes(8), 64)))


class Gate:
    """Lets a number of requests in at once and works on them in a few threads; turns the others away."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.inside = 0
        self._threads = ThreadPoolExecutor(limits.threads, thread_name_prefix="predict")

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Count a request as long as it is served.

        Raises
        ------
        Refused
            503: as many as may are being served.
        """
        if self.inside >= self.limits.at_once:
            raise Refused(503, "too many requests at the moment; try again soon", retry_after=1)
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def work(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Return what `function` returns, which one of the threads calls.

        Raises
        ------
        Refused
            503: no answer in time. A call that waits for its thread is dropped; one that has begun
            can't be stopped and ends on its own.
        """
        called = asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)
        try:
            return await asyncio.wait_for(called, self.limits.seconds)
        except TimeoutError:
            raise Refused(503, "the answer took too long; try again later", retry_after=10) from None

    def close(self) -> None:
        """Drop the calls that wait, and let the threads end."""
        self._threads.shutdown(wait=False, cancel_futures=True)


async def receive(body: AsyncIterator[bytes], limits: Limits, most: int) -> bytes:
    """Collect a request's body while it is counted, whatever its Content-Length promised.

    Raises
    ------
    Refused
        413: more than `most` bytes. 408: not there in time.
    """
    collected = bytearray()
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in body:
                if len(collected) + len(chunk) > most:
                    raise Refused(413, f"the body is larger than the {most:,} bytes that are taken")
                collected += chunk
    except TimeoutError:
        raise Refused(408, f"the body did not arrive within {limits.seconds:g} seconds") from None
    return bytes(collected)
