"""A network trained for seconds, exported once, and the service with it on a port of its own."""

import http.client
import json
import threading
import time
from contextlib import contextmanager

import pytest

from mnist_course.deployment.limits import Limits
from mnist_course.deployment.network import OnnxNetwork
from mnist_course.deployment.server import listen, server
from mnist_course.deployment.service import create_app

DIGITS = tuple("0123456789")


@pytest.fixture(scope="session")
def module(train_digits):
    """LeNet-5 after ten epochs on 600 digits."""
    from mnist_course import build
    from mnist_course.pytorch import training

    network = build("lenet5", "pytorch", seed=0)
    training.fit(network, train_digits, epochs=10, learning_rate=3e-3, device="cpu", progress=False)
    return network


@pytest.fixture(scope="session")
def model_file(module, train_digits, tmp_path_factory):
    from mnist_course.deployment.exporting import export

    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export(module, path, name="lenet5", class_names=DIGITS, train=train_digits)
    return path


@pytest.fixture(scope="session")
def network(model_file):
    return OnnxNetwork.load(model_file)


class Client:
    """Requests to one service, each over a connection of its own unless one is given."""

    def __init__(self, port):
        self.port = port

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method, path, body=None, headers=None, connection=None):
        """Return the status, the JSON and the headers of the answer."""
        own = connection or self.connect()
        own.request(method, path, body, headers or {})
        answer = own.getresponse()
        fields = json.loads(answer.read())
        if connection is None:
            own.close()
        return answer.status, fields, answer.headers

    def predict(self, body, content_type="image/png", **options):
        return self.ask("POST", "/predict", body, {"Content-Type": content_type}, **options)

    def correct(self, **fields):
        return self.ask("POST", "/correction", json.dumps(fields), {"Content-Type": "application/json"})


@contextmanager
def _serving(network, limits=None, corrections=None, **options):
    """Serve on a free port of the loopback, and yield a client of it."""
    limits = limits or Limits(rate=0, seconds=60)  # a machine may be busy
    app = create_app(network, limits, corrections)
    listener = listen("127.0.0.1", 0)
    running = server(app, limits, **options)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    try:
        yield Client(listener.getsockname()[1])
    finally:
        running.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def serving():
    """Return what serves a network within limits, for a test of its own."""
    return _serving


@pytest.fixture(scope="session")
def client(network):
    """The service without a limit on the rate, for tests that leave nothing behind."""
    with _serving(network) as found:
        yield found
