"""Refusing work whose arrays would not fit, before it starts."""

from __future__ import annotations

import psutil
import torch

from bequeath.errors import BequeathError


def available_bytes(device: torch.device) -> int:
    """Memory that new tensors on a device can have now, in bytes."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        # What torch's allocator holds without using it can be had too.
        return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))
    return int(psutil.virtual_memory().available)


def check_fits(needed: int, device: torch.device, what: str) -> None:
    """Refuse work that needs more memory than there is.

    Raises
    ------
    BequeathError
        Naming the work, what it needs and what there is, in GiB.
    """
    available = available_bytes(device)
    if needed > available:
        raise BequeathError(
            f"memory: {what} need about {needed / 2**30:.1f} GiB, and {available / 2**30:.1f} GiB are free on "
            f"{device}; pass fewer tables at a time, or use fewer players"
        )
