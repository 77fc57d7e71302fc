"""Converts what users give (tensors, arrays, lists, numbers) to tensors, and refuses everything else by name."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bequeath.errors import BequeathError, first_line


def numbers(given: Any, name: str) -> Tensor:
    """A strided tensor of floating point numbers, on the device of `given`; whole numbers become float64.

    Parameters
    ----------
    given : Tensor, array, or sequence
        Of any memory layout and byte order, also sparse.
    name : str
        Name of the argument in errors.

    Returns
    -------
    Tensor

    Raises
    ------
    BequeathError
        If an entry is not a real number.
    """
    tensor = plain_tensor(given, name)
    return tensor if tensor.is_floating_point() else tensor.to(torch.float64)


def flags(given: Any, name: str) -> Tensor:
    """True and False, or 1 and 0, as a bool tensor.

    Raises
    ------
    BequeathError
        If `given` holds other numbers.
    """
    tensor = plain_tensor(given, name)
    if tensor.dtype == torch.bool:
        return tensor
    other = tensor[(tensor != 0) & (tensor != 1)]
    if other.numel():
        raise BequeathError(f"{name}: {other[0].item():g} given; give true and false, or 1 and 0")
    return tensor != 0


def finite(tensor: Tensor, name: str) -> Tensor:
    """The tensor itself, if all of its values are finite.

    Raises
    ------
    BequeathError
        If a value is NaN or infinite; the message names the first one.
    """
    good = torch.isfinite(tensor)
    if not good.all():
        where = tuple(torch.nonzero(~good)[0].tolist())
        raise BequeathError(f"{name}: {tensor[where].item()} at index {where}; give finite values")
    return tensor


def whole(given: Any, name: str, least: int, most: int | None = None) -> int:
    """A whole number within a range, given as a number of Python, NumPy or torch.

    Parameters
    ----------
    given
        The number.
    name : str
        Name of the argument in errors.
    least, most : int
        Ends of the range; None: no upper end.

    Returns
    -------
    int

    Raises
    ------
    BequeathError
        If `given` is not a whole number, or out of range.
    """
    span = f"of {least} or more" if most is None else f"from {least} to {most}"
    try:
        if isinstance(given, (bool, np.bool_)) or (isinstance(given, Tensor) and given.dtype == torch.bool):
            raise TypeError
        number = operator.index(given)
    except (TypeError, RuntimeError, ValueError):
        raise BequeathError(f"{name}: {_shown(given)}; give a whole number {span}") from None
    if number < least or (most is not None and number > most):
        raise BequeathError(f"{name}: {number}; give a whole number {span}")
    return number


def plain_tensor(given: Any, name: str) -> Tensor:
    """A strided tensor of real numbers or bools; never a view of read-only memory.

    Raises
    ------
    BequeathError
        If `given` holds anything else.
    """
    if isinstance(given, Tensor):
        return _strided(given, name)
    if isinstance(given, (str, bytes, dict)) or given is None:
        raise BequeathError(f"{name}: {_shown(given)}; give numbers, as a tensor, an array or a list")
    if hasattr(given, "toarray"):  # a sparse array of SciPy
        given = given.toarray()
    if isinstance(given, (list, tuple)) and any(isinstance(entry, Tensor) for entry in given):
        try:
            return _strided(torch.stack([torch.as_tensor(entry) for entry in given]), name)
        except (RuntimeError, TypeError, ValueError) as error:
            raise BequeathError(f"{name}: {first_line(error)}; give numbers of one shape") from None
    if np.ma.isMaskedArray(given) and np.ma.is_masked(given):
        raise BequeathError(f"{name}: some entries are masked out; give a number for each")
    try:
        array = np.asarray(given)
        if array.dtype == object:
            array = array.astype(np.float64)
    except (ValueError, TypeError, OverflowError) as error:
        raise BequeathError(f"{name}: {first_line(error)}; give numbers of one shape") from None
    if array.dtype.kind == "c":
        raise BequeathError(f"{name}: complex numbers ({array.dtype}); give real ones")
    if array.dtype.kind not in "fiub":
        raise BequeathError(f"{name}: {array.dtype} given; give numbers")
    if array.dtype.kind == "f" and array.dtype.itemsize not in (2, 4, 8):  # long doubles
        array = array.astype(np.float64)
    if array.dtype.kind == "u" and array.dtype.itemsize > 1:
        array = array.astype(np.int64 if array.max(initial=0) < 2**63 else np.float64)
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _strided(tensor: Tensor, name: str) -> Tensor:
    tensor = tensor.detach()
    if tensor.device.type == "meta":
        raise BequeathError(f"{name}: a tensor without numbers (device meta) given; give one with numbers")
    if tensor.is_complex():
        raise BequeathError(f"{name}: complex numbers ({tensor.dtype}); give real ones")
    if tensor.is_quantized:
        tensor = tensor.dequantize()
    return tensor if tensor.layout == torch.strided else tensor.to_dense()


def _shown(given: Any) -> str:
    text = repr(given).replace("\n", " ")
    return text if len(text) <= 60 else f"{text[:57]}..."
