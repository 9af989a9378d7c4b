"""The port, and clients who keep it waiting."""

import socket

import pytest

from mnist_course.deployment.limits import Limits
from mnist_course.deployment.server import listen
from mnist_course.errors import InputError

GREETING = b"GET /health HTTP/1.1\r\nHost: x\r\n"


def ended(connection):
    """Whether the service closes the connection within ten seconds."""
    connection.settimeout(10)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("said", [b"", GREETING], ids=["nothing", "half a request"])
def test_a_connection_without_a_whole_request_is_closed(serving, said, network):
    with (
        serving(network, Limits(seconds=0.3)) as client,
        socket.create_connection(("127.0.0.1", client.port)) as connection,
    ):
        connection.sendall(said)
        assert ended(connection)


def test_a_body_that_goes_on_after_its_refusal_is_cut_off(serving, network):
    with (
        serving(network, Limits(seconds=0.5)) as client,
        socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection,
    ):
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n")
        with pytest.raises(OSError):  # noqa: PT011, reset or broken pipe, as it happens
            for _ in range(10_000):
                connection.sendall(bytes(1 << 20))


def test_connections_beyond_the_limit_are_closed_and_the_others_served(serving, network):
    with serving(network, Limits(connections=3, seconds=60)) as client:
        idle = [socket.create_connection(("127.0.0.1", client.port)) for _ in range(2)]
        assert client.ask("GET", "/health")[0] == 200
        idle.append(socket.create_connection(("127.0.0.1", client.port)))
        with socket.create_connection(("127.0.0.1", client.port)) as surplus:
            assert ended(surplus)
        idle.pop().close()
        assert client.ask("GET", "/health")[0] == 200
        for connection in idle:
            connection.close()


def test_the_body_of_an_answer_does_not_wait_for_the_headers_to_be_confirmed():
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        connection, _ = listener.accept()
        with connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_taken_port_and_a_strange_host_are_named():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port}: Address already in use"):
            listen("127.0.0.1", port)
    with pytest.raises(InputError, match=r"cannot listen at 192\.0\.2\.1"):
        listen("192.0.2.1", 0)  # kept for documentation: no machine has it
