"""Where a learner computes."""

import torch

from learning.settings import Device


class NoCudaError(ValueError):
    """A learner is to compute with CUDA where there is none."""


def compute_device(wanted: Device) -> torch.device:
    """The device that is wanted; "auto" is CUDA's where there is one, else the CPU. Raises NoCudaError."""
    if wanted == "cpu":
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if wanted == "cuda":
        raise NoCudaError(
            f"device: PyTorch {torch.__version__} finds no CUDA device on this machine; expected 'cpu', or 'auto' for "
            "CUDA where there is one, found 'cuda'"
        )
    return torch.device("cpu")
