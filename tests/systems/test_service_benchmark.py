"""The load on the service: what is sent, what counts as an answer, and a small run of it."""

import json
import sys

import measure
import numpy as np
import pytest
import service


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    service.write_model(path)
    return path


def test_one_request_in_twenty_is_hostile_and_one_good_one_in_ten_a_page(model):
    wanted = service.requests(model, 1000)
    kinds = [one.kind for one in wanted]
    assert (len(kinds), kinds.count("hostile"), kinds.count("page")) == (1000, 50, 95)
    assert {one.status for one in wanted if one.kind == "hostile"} >= {413, 415, 422}
    assert "hostile" in kinds[:100]
    assert "hostile" in kinds[-100:]
    pages = [one.status for one in wanted if one.kind == "page"]
    assert pages.count(200) > 0.9 * len(pages)


def test_no_two_pictures_have_the_same_answer(model):
    """Or an answer that went to another client would not be noticed."""
    good = {one.body: one.probabilities for one in service.requests(model, 300) if one.status == 200}
    rows = np.stack([*good.values()]).astype(np.float64)
    apart = np.abs(rows[:, None] - rows[None]).max(-1) + np.eye(len(rows))
    assert apart.min() > 3 * service.TOLERANCE


def test_an_answer_is_the_expected_one_or_confused():
    row = np.full(10, 0.1, np.float32)
    good = service.Wanted("digit", "image/png", b"", 200, row)
    bad = service.Wanted("hostile", "image/png", b"", 422)
    fields = {"probabilities": {str(number): 0.1 for number in range(10)}}
    assert service.expected(good, 200, fields)
    assert not service.expected(good, 503, {"detail": "busy"})
    assert not service.expected(good, 200, {"probabilities": fields["probabilities"] | {"3": 0.11}})
    assert service.expected(bad, 422, {"detail": "no picture"})
    assert not service.expected(bad, 200, fields)
    assert not service.expected(bad, 422, fields)


def test_a_small_run_loses_and_confuses_nothing_within_the_memory(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(measure, "RESULTS", tmp_path)
    options = ["--requests", "300", "--rounds", "1", "--clients", "4"]
    monkeypatch.setattr(sys, "argv", ["benchmarks/service.py", *options])
    service.main()
    result = json.loads((tmp_path / "service.json").read_text())
    assert (result["lost"], result["confused"], result["requests"]) == (0, 0, 300)
    assert sum(result["statuses"].values()) == 300
    assert result["requests_per_second"]["median"] > 0
    assert 50 < result["peak_memory_mib"]["median"] <= result["memory_limit_mib"]
    assert "requests a second" in capsys.readouterr().out


def test_an_answer_that_does_not_come_is_lost(model):
    wanted = service.requests(model, 20)
    (client,) = service.send_all(1, wanted, 1)  # nobody listens at port 1
    assert len(client.lost) == 20
    assert client.statuses == {}
