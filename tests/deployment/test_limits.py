"""What a client may ask: how often, how much, how slowly, and how many at once."""

import asyncio
import threading
import time

import pytest

from mnist_course.deployment.limits import Gate, Limits, Refused, TokenBuckets, network_of, receive
from mnist_course.errors import InputError


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_a_client_may_send_a_burst_and_then_one_at_a_time():
    clock = Clock()
    buckets = TokenBuckets(rate=2, burst=3, clock=clock)
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]
    clock.now += 0.5
    assert [buckets.take("a"), buckets.take("a")] == [0, 0.5]
    clock.now += 60  # a bucket holds no more than a burst
    assert [buckets.take("a") for _ in range(4)] == [0, 0, 0, 0.5]


def test_a_client_does_not_pay_for_another():
    buckets = TokenBuckets(rate=1, burst=1, clock=Clock())
    assert [buckets.take(name) for name in "aabb"] == [0, 1, 0, 1]


def test_refused_requests_cost_no_token():
    clock = Clock()
    buckets = TokenBuckets(rate=1, burst=1, clock=clock)
    buckets.take("a")
    for _ in range(50):
        clock.now += 0.01
        buckets.take("a")
    clock.now += 0.51
    assert buckets.take("a") == 0


def test_only_so_many_buckets_are_kept_and_the_oldest_goes_first():
    buckets = TokenBuckets(rate=1, burst=1, clients=2, clock=Clock())
    for name in "abac":
        buckets.take(name)
    assert len(buckets._buckets) == 2
    assert [buckets.take("a"), buckets.take("c")] == [1, 1]


def test_a_rate_of_zero_is_no_limit():
    buckets = TokenBuckets(rate=0, burst=1)
    assert {buckets.take("a") for _ in range(1000)} == {0}


def test_the_addresses_of_one_home_are_one_client():
    assert network_of("2001:db8:0:1::1") == network_of("2001:db8:0:1:ffff::2")
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8:0:2::1")
    assert network_of("192.0.2.1") != network_of("192.0.2.2")
    assert network_of("a socket's name") == "a socket's name"


@pytest.mark.parametrize(
    "wrong", [{"rate": -1}, {"rate": float("nan")}, {"threads": 0}, {"seconds": 0}, {"at_once": -3}]
)
def test_limits_that_let_nothing_through_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Limits(**wrong)


async def chunks(count, *, size=100, pause=0.0, sent=None):
    for number in range(count):
        if sent is not None:
            sent.append(number)
        await asyncio.sleep(pause)
        yield bytes(size)


def test_a_body_is_counted_while_it_comes():
    sent = []
    with pytest.raises(Refused, match="larger than the 250 bytes") as caught:
        asyncio.run(receive(chunks(1000, sent=sent), Limits(), 250))
    assert caught.value.status == 413
    assert sent == [0, 1, 2]  # the rest is not waited for
    assert asyncio.run(receive(chunks(2), Limits(), 200)) == bytes(200)


def test_a_body_that_trickles_is_given_up():
    with pytest.raises(Refused, match="did not arrive") as caught:
        asyncio.run(receive(chunks(1000, size=1, pause=0.02), Limits(seconds=0.1), 5000))
    assert caught.value.status == 408


def test_the_gate_turns_away_what_is_too_many_and_opens_again():
    gate = Gate(Limits(at_once=2))
    with gate.admit(), gate.admit():
        with pytest.raises(Refused) as caught, gate.admit():
            pass
        assert (caught.value.status, caught.value.headers) == (503, {"Retry-After": "1"})
    with pytest.raises(RuntimeError), gate.admit():
        raise RuntimeError
    assert gate.inside == 0


def test_work_that_waits_too_long_is_dropped():
    async def scenario():
        gate, release, called = Gate(Limits(threads=1, seconds=0.1)), threading.Event(), []
        try:
            with pytest.raises(Refused, match="took too long") as caught:
                await gate.work(release.wait)  # occupies the only thread
            assert caught.value.status == 503
            with pytest.raises(Refused):
                await gate.work(called.append, "late")
            release.set()
            gate.limits = Limits()
            assert await gate.work(int, "3") == 3
            time.sleep(0.05)
            assert called == []
        finally:
            release.set()
            gate.close()

    asyncio.run(scenario())
