"""Where a network runs."""

import os
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
        if _cuda():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device {str(device)!r} cannot be used here: {reason}; try 'auto'") from None
    return chosen


def describe(device: str | torch.device = "auto") -> str:
    """Say in one line which device `choose` returns, and why it is not a faster kind.

    Raises
    ------
    InputError
        As `choose`.

    Examples
    --------
    >>> describe("cpu").startswith("cpu: ")
    True
    """
    chosen = choose(device)
    if chosen.type == "cuda":
        properties = torch.cuda.get_device_properties(chosen)
        return f"{chosen}: {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    if _cuda():
        others = [f"the CUDA device {torch.cuda.get_device_name()} is left unused"]
    else:
        others = [f"no CUDA device ({_why_no_cuda()})"]
    if chosen.type == "mps":
        return f"{chosen}: this Mac's GPU; {others[0]}"
    mps = torch.backends.mps.is_available()
    others.append("this Mac's GPU (mps) is left unused" if mps else "no MPS")
    return f"{chosen}: {', '.join(others)}"


def _cuda() -> bool:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "CUDA initialization")  # libraries without a driver
        return torch.cuda.is_available()


def _why_no_cuda() -> str:
    if torch.version.cuda is None and torch.version.hip is None:
        return "torch was built without CUDA"
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return f"CUDA_VISIBLE_DEVICES is {visible!r}"
    return "no driver or no GPU"
