"""Where networks can be."""

from __future__ import annotations

import torch

from omnicxr.domain import UserError


def usable_device(device: torch.device | str) -> torch.device:
    """The device. Raises UserError for one that torch does not know or that this machine does not have."""
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise UserError(f"Unknown device '{device}': write cpu, cuda, cuda:1, ...") from error
    if found.type == "cpu":
        return found
    there = torch.accelerator.current_accelerator(check_available=True)
    count = torch.accelerator.device_count() if there and there.type == found.type else 0
    if not (found.index or 0) < count:
        has = f"{count} of its kind" if count else "none of its kind"
        raise UserError(f"There is no device '{device}': this machine has {has}; choose another, or cpu.")
    return found
