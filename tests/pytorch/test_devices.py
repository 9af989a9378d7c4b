from types import SimpleNamespace

import pytest
import torch

from mnist_course.errors import InputError
from mnist_course.pytorch import devices


def test_auto_prefers_an_accelerator_that_is_there(monkeypatch):
    for cuda, mps, expected in ((True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda cuda=cuda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda mps=mps: mps)
        assert devices.choose().type == expected


def test_a_named_device_is_taken_as_it_is():
    assert devices.choose("cpu") == torch.device("cpu")
    assert devices.choose(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "cpu:x"])
def test_other_names_are_refused(name):
    with pytest.raises(InputError, match="cannot be used here"):
        devices.choose(name)


def machine(monkeypatch, *, cuda=False, mps=False, built="13.2", visible=None):
    """Pretend to be another machine."""
    properties = SimpleNamespace(name="Fast GPU", total_memory=80 * 2**30)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: properties.name)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.version, "cuda", built)
    monkeypatch.setattr(torch.version, "hip", None)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ({"cuda": True}, "cuda: Fast GPU, 80 GiB"),
        ({"mps": True}, "mps: this Mac's GPU; no CUDA device (no driver or no GPU)"),
        ({}, "cpu: no CUDA device (no driver or no GPU), no MPS"),
        ({"built": None}, "cpu: no CUDA device (torch was built without CUDA), no MPS"),
        ({"visible": ""}, "cpu: no CUDA device (CUDA_VISIBLE_DEVICES is ''), no MPS"),
    ],
)
def test_the_choice_is_described_with_its_reason(monkeypatch, there, expected):
    machine(monkeypatch, **there)
    assert devices.describe() == expected


def test_a_faster_device_that_was_not_asked_for_is_named(monkeypatch):
    machine(monkeypatch, cuda=True)
    assert devices.describe("cpu") == "cpu: the CUDA device Fast GPU is left unused, no MPS"
    machine(monkeypatch, mps=True)
    assert devices.describe("cpu").endswith("this Mac's GPU (mps) is left unused")


def test_a_device_that_is_not_there_cannot_be_described():
    with pytest.raises(InputError, match="cannot be used here"):
        devices.describe("cuda:99")
