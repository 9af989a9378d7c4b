"""The service over a real connection: right answers, one-line refusals, nobody's answer for another."""

import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hostile import as_file, bodies, page

from mnist_course.data import load_mnist
from mnist_course.deployment.corrections import Corrections, Most
from mnist_course.deployment.drift import FEWEST
from mnist_course.deployment.limits import Limits
from mnist_course.deployment.service import read_body
from mnist_course.errors import InputError

JSON = "application/json"
HOSTILE = bodies(load_mnist("test").images[0])


def probabilities(answer):
    return np.array([answer["probabilities"][name] for name in "0123456789"])


def one_line(answer):
    (key,) = answer
    assert key == "detail"
    assert answer[key]
    assert "\n" not in answer[key]
    assert "Traceback" not in answer[key]
    assert '.py"' not in answer[key]
    return answer[key]


def test_a_digit_is_answered_as_the_network_answers_it(client, network, test_digits):
    for image in test_digits.images[:5]:
        expected = network.predict(image[np.newaxis])[0]
        status, answer, headers = client.predict(as_file(image))
        assert (status, headers["Content-Type"]) == (200, "application/json")
        np.testing.assert_allclose(probabilities(answer), expected, rtol=0, atol=1e-6)
        assert answer["digit"] == str(expected.argmax())
        assert answer["confidence"] == max(answer["probabilities"].values())
        assert (answer["model"], answer["id"]) == ("lenet5", None)


def test_dark_ink_and_light_ink_are_the_same_digit(client, test_digits):
    image = test_digits.images[0]
    light, dark = (client.predict(as_file(one))[1] for one in (image, 255 - image))
    assert light == dark


def test_a_photograph_of_a_digit_is_brought_into_mnists_shape(client, test_digits):
    """Real digits on grey paper, in colour, as JPEG: most are answered as their 28×28 originals are."""
    some = test_digits.images[::10]
    alike = 0
    for image in some:
        photograph = np.repeat(page([image])[..., np.newaxis], 3, axis=2)
        status, answer, _ = client.predict(as_file(photograph, "JPEG"), "image/jpeg; q=1")
        assert status == 200, answer
        alike += answer["digit"] == client.predict(as_file(image))[1]["digit"]
    assert alike >= 0.8 * len(some)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_bodies_are_refused_in_one_line_and_the_service_goes_on(name, client, test_digits):
    content_type, body, expected, word = HOSTILE[name]
    status, answer, _ = client.predict(body, content_type)
    assert (status, word in one_line(answer)) == (expected, True), answer
    assert client.predict(as_file(test_digits.images[0]))[0] == 200


def test_damaged_pictures_raise_nothing_but_input_errors(test_digits):
    """A thousand files with a few bytes changed, cut or doubled."""
    rng = np.random.default_rng(0)
    large = np.kron(test_digits.images[0], np.ones((3, 3), np.uint8))
    files = [
        ("image/png", as_file(test_digits.images[0])),
        ("image/jpeg", as_file(large, "JPEG")),
        ("image/jpeg", as_file(large, "JPEG", progressive=True)),
    ]
    refused = 0
    for _ in range(1000):
        content_type, file = files[rng.integers(len(files))]
        body = bytearray(file)
        for place in rng.integers(0, len(body), rng.integers(1, 6)):
            body[place] = rng.integers(256)
        if rng.random() < 0.3:
            at = rng.integers(len(body))
            body = body[:at] + body[at // 2 :]
        try:
            image = read_body(bytes(body), content_type)
            assert (image.shape, image.dtype) == ((28, 28), np.uint8)
        except InputError:
            refused += 1
    assert 100 < refused < 1000


def chunked(client, total):
    """POST zeros in chunks, without Content-Length; return what the service answers."""
    with socket.create_connection(("127.0.0.1", client.port), timeout=30) as connection:
        connection.sendall(
            b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(total >> 16):
            connection.sendall(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        return answer.status, json.loads(answer.read())


def test_a_body_of_unannounced_size_is_counted(client):
    status, answer = chunked(client, 4 << 20)
    assert (status, "1,048,576 bytes" in one_line(answer)) == (413, True)
    assert chunked(client, 1 << 18)[0] == 422  # small enough to be looked at


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/predict", 405), ("GET", "/", 404), ("GET", "/docs", 404)]
)
def test_other_addresses_answer_in_json(method, path, status, client):
    found, answer, _ = client.ask(method, path)
    assert found == status
    one_line(answer)


def test_health_counts_the_answers(serving, network, test_digits):
    with serving(network) as client:
        for body in (as_file(test_digits.images[0]), b"no", b"no"):
            client.predict(body)
        status, answer, _ = client.ask("GET", "/health")
        assert status == 200
        assert (answer["status"], answer["model"]) == ("ok", "lenet5")
        assert answer["answers"] == {"200": 1, "422": 2}


def test_too_many_requests_are_told_when_to_come_back(serving, network, test_digits):
    with serving(network, Limits(rate=0.1, burst=2)) as client:
        body = as_file(test_digits.images[0])
        answers = [client.predict(body) for _ in range(3)]
        assert [status for status, *_ in answers] == [200, 200, 429]
        _, answer, headers = answers[-1]
        assert "0.1 requests a second" in one_line(answer)
        assert 1 <= int(headers["Retry-After"]) <= 10
        assert client.correct(id="x", label="1")[0] == 429  # the same bucket
        assert client.ask("GET", "/health")[0] == 200


def test_a_proxys_word_counts_only_if_the_proxy_is_known(serving, network, test_digits):
    body = as_file(test_digits.images[0])

    def statuses(client):
        return [
            client.ask(
                "POST",
                "/predict",
                body,
                {"Content-Type": "image/png", "X-Forwarded-For": f"192.0.2.{number}"},
            )[0]
            for number in range(3)
        ]

    limits = Limits(rate=0.01, burst=1)
    with serving(network, limits) as client:
        assert statuses(client) == [200, 429, 429]
    with serving(network, limits, proxy="127.0.0.1") as client:
        assert statuses(client) == [200, 200, 200]


def test_a_full_service_refuses_instead_of_queueing(serving, network, test_digits):
    with serving(network, Limits(rate=0, at_once=1, seconds=60)) as client:
        slow = client.connect()
        slow.putrequest("POST", "/predict")
        slow.putheader("Content-Type", "image/png")
        slow.putheader("Content-Length", "10")
        slow.endheaders(b"12345")  # half of it
        client.ask("GET", "/health")  # comes behind it, so it is in
        status, answer, headers = client.predict(as_file(test_digits.images[0]))
        assert (status, headers["Retry-After"]) == (503, "1")
        assert "too many requests" in one_line(answer)
        slow.send(b"67890")
        assert slow.getresponse().status == 422
        slow.close()
        assert client.predict(as_file(test_digits.images[0]))[0] == 200


def test_a_body_that_does_not_arrive_is_given_up(serving, network):
    with serving(network, Limits(rate=0, seconds=0.3)) as client:
        slow = client.connect()
        slow.putrequest("POST", "/predict")
        slow.putheader("Content-Type", "image/png")
        slow.putheader("Content-Length", "10")
        slow.endheaders(b"12345")
        answer = slow.getresponse()
        assert (answer.status, "did not arrive" in one_line(json.loads(answer.read()))) == (408, True)
        slow.close()


def test_a_client_that_leaves_does_no_harm(serving, network, test_digits):
    with serving(network, Limits(rate=0, at_once=2, seconds=60)) as client:
        for _ in range(5):
            leaving = client.connect()
            leaving.putrequest("POST", "/predict")
            leaving.putheader("Content-Type", "image/png")
            leaving.putheader("Content-Length", "1000")
            leaving.endheaders(b"12345")
            leaving.close()
            client.ask("GET", "/health")
        assert client.predict(as_file(test_digits.images[0]))[0] == 200


def test_a_fault_of_ours_is_no_more_than_an_internal_error(serving, network, test_digits, monkeypatch):
    with serving(network) as client:
        with monkeypatch.context() as patch:
            patch.setattr(network, "predict", lambda _: 1 / 0)
            status, answer, _ = client.predict(as_file(test_digits.images[0]))
        assert (status, answer) == (500, {"detail": "internal error"})
        assert client.predict(as_file(test_digits.images[0]))[0] == 200
        assert client.ask("GET", "/health")[1]["answers"] == {"200": 1, "500": 1}


def test_answers_are_never_confused_between_clients(client, network, test_digits):
    """Eight clients at once, each with pictures and faults of its own."""
    expected = network.predict(test_digits.images)
    files = [as_file(image) for image in test_digits.images]

    def talk(first):
        connection, wrong = client.connect(), []
        for number in range(first, 200, 8):
            if number % 5 == 0:
                wrong += [number] * (client.predict(b"no", connection=connection)[0] != 422)
            status, answer, _ = client.predict(files[number], connection=connection)
            right = status == 200 and np.allclose(
                probabilities(answer), expected[number], rtol=0, atol=1e-6
            )
            wrong += [] if right else [number]
        connection.close()
        return wrong

    with ThreadPoolExecutor(8) as pool:
        assert [*pool.map(talk, range(8))] == [[]] * 8


def test_nothing_is_kept_unless_it_was_asked_for(client, test_digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert client.predict(as_file(test_digits.images[0]))[1]["id"] is None
    status, answer, _ = client.correct(id="x", label="7")
    assert (status, "keeps no pictures" in one_line(answer)) == (404, True)
    assert list(tmp_path.iterdir()) == []


def test_a_correction_goes_where_finetune_looks(serving, network, test_digits, tmp_path):
    most = Most(files=1)
    with serving(network, corrections=Corrections(tmp_path, network.class_names, most)) as client:
        first, second = (client.predict(as_file(test_digits.images[i]))[1]["id"] for i in range(2))
        assert client.correct(id=first, label="twelve")[0] == 422
        assert client.correct(id="another", label="7")[0] == 404
        assert client.correct(id=first, label="7")[:2] == (201, {"kept": "7"})
        assert client.correct(id=second, label="7")[0] == 507
        assert [path.name for path in tmp_path.glob("7/*")] == [f"{first}.png"]


@pytest.mark.parametrize(
    ("body", "status", "content_type"),
    [
        (b'{"id": "a", "label": "7"}', 415, "text/plain"),
        (b"", 422, JSON),
        (b"{", 422, JSON),
        (b"[1, 2]", 422, JSON),
        (b'{"id": 3, "label": "7"}', 422, JSON),
        (b'{"id": "a", "label": "7", "path": "/"}', 422, JSON),
        (b"[" * 1000, 422, JSON),
        (b" " * 2000, 413, JSON),
    ],
)
def test_corrections_that_make_no_sense_are_refused(
    serving, body, status, content_type, network, tmp_path
):
    with serving(network, corrections=Corrections(tmp_path, network.class_names)) as client:
        found, answer, _ = client.ask("POST", "/correction", body, {"Content-Type": content_type})
        assert found == status
        one_line(answer)


def test_drift_is_shown_when_enough_pictures_came(serving, network, test_digits):
    with serving(network) as client:
        connection = client.connect()
        _, answer, _ = client.ask("GET", "/drift")
        assert (answer["images"], answer["measures"], answer["drifted"]) == (0, {}, [])
        shifted = np.roll(test_digits.images, 7, axis=2)
        for image in shifted[:FEWEST]:
            client.predict(as_file(image), connection=connection)
        connection.close()
        _, answer, _ = client.ask("GET", "/drift")
        assert answer["images"] == FEWEST
        assert set(answer["measures"]) == {"ink", "confidence", "classes"}
        assert "ink" not in answer["drifted"]  # a shift moves ink, and adds none
        assert answer["drifted"]
