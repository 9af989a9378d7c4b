"""Where a network runs."""

import warnings

import torch

from mnist_course.errors import InputError


def choose(device: str | torch.device = "auto") -> torch.device:
    """Return the device to run on: CUDA if there is one, else Apple's MPS, else the CPU.

    Parameters
    ----------
    device
        ``"auto"``, or a name that is used as it is: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.

    Raises
    ------
    InputError
        The name is unknown or this machine has no such device.
    """
    if device == "auto":
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "CUDA initialization")  # libraries without a driver
            if torch.cuda.is_available():
                return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {str(device)!r} cannot be used here: {reason}; try 'auto'") from None
    return chosen
