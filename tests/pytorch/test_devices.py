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
