"""Reads `.npy` files; ours, since np.load lets a corrupt header allocate gigabytes."""

import math
from pathlib import Path
from tokenize import TokenError
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy_format

from diffrec.errors import UserError


def read_npy(path: Path) -> np.ndarray:
    """Return the array of a `.npy` file, without pickle; errors are one-sentence `UserError`s.

    The header is read first and compared with the file's size, so that a corrupt one can neither
    allocate a huge array nor give a half-read one.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):  # a pipe would be waited for
        raise UserError(f"{path} must be a file, but is a pipe or a device; complete the folder.")
    try:
        with path.open("rb") as file:
            shape, dtype = _read_header(path, file)
            if dtype.hasobject:
                raise UserError(
                    f"{path} must hold plain numbers, but it holds pickled Python objects, which "
                    "are never loaded because they can run code; save it with an integer or float "
                    "dtype."
                )
            expected = math.prod(shape) * dtype.itemsize
            num_bytes = path.stat().st_size - file.tell()
            if num_bytes != expected:
                raise UserError(
                    f"{path} must hold {expected} bytes of data by its own header, but it holds "
                    f"{num_bytes}; the file is truncated or corrupt, fetch it again."
                )
        return np.load(path, allow_pickle=False)
    except FileNotFoundError as error:
        raise UserError(
            f"{path} is missing; a dataset needs it, so complete the folder."
        ) from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(
            f"{path} must be readable, but it is not ({reason}); check its permissions."
        ) from error


def _read_header(path: Path, file: BinaryIO) -> tuple[tuple[int, ...], np.dtype]:
    try:
        version = npy_format.read_magic(file)
    except ValueError as error:
        raise UserError(
            f"{path} must be a NumPy .npy file, but it does not begin like one; save it with "
            "np.save."
        ) from error
    read_array_header = (
        npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    )
    try:
        shape, _, dtype = read_array_header(file)
    except (ValueError, SyntaxError, TypeError, TokenError) as error:  # all of these are NumPy's
        raise UserError(
            f"{path} must have a valid .npy header, but it cannot be read; the file is truncated "
            "or corrupt, fetch it again."
        ) from error
    return shape, dtype
