"""Where a learner computes."""

import torch

from learning.settings import Device
from operations.compiled import CompilationOffError, check_compilation


class NoDeviceError(ValueError):
    """A learner is to compute where it cannot; the message is for the user."""


def computes_on_cuda(wanted: Device) -> bool:
    """Whether a learner of this setting computes on CUDA on this machine."""
    return wanted != "cpu" and torch.cuda.is_available()


def compute_device(wanted: Device) -> torch.device:
    """The device that is wanted; "auto" is CUDA's where there is one, else the CPU. Raises NoDeviceError."""
    if computes_on_cuda(wanted):
        return torch.device("cuda")
    if wanted == "cuda":
        raise NoDeviceError(
            f"device: PyTorch {torch.__version__} finds no CUDA device on this machine; expected 'cpu', or 'auto' for "
            "CUDA where there is one, found 'cuda'"
        )
    try:
        check_compilation("learning")
    except CompilationOffError as error:
        raise NoDeviceError(str(error)) from None
    return torch.device("cpu")
