"""Refuses work whose arrays do not fit into memory, before it starts."""

from __future__ import annotations

import psutil
import torch

from bequeath.errors import BequeathError


def available_bytes(device: torch.device) -> int:
    """Memory that is available for new tensors on a device, in bytes."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # Memory that torch's allocator has reserved but does not use is available too.
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return int(psutil.virtual_memory().available)


def check_fits(needed: int, device: torch.device, what: str) -> None:
    """Refuse work that needs more memory than is available.

    Parameters
    ----------
    needed : int
        Bytes that the work needs.
    device : torch.device
        Device of its tensors.
    what : str
        Description of the work in the error.

    Raises
    ------
    BequeathError
        If the memory is not enough; the message has the needed and the free memory in GiB.
    """
    available = available_bytes(device)
    if needed > available:
        raise BequeathError(
            f"memory: {what} need about {needed / 2**30:.1f} GiB, and {available / 2**30:.1f} GiB are free on "
            f"{device}; give fewer tables at a time, or fewer players"
        )
