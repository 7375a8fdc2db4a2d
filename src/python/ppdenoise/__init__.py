"""Denoise images that two servers cannot see, with a neural network they cannot see.

Images are NumPy arrays: ``(height, width)``, or ``(height, width, 3)`` for colour, of ``uint8``, ``uint16`` or
``float32``. Floats are grey levels from 0 to 255; ``uint16`` is 257 steps a grey level. Denoised images have the type
of the noisy ones: integers are rounded and clipped, floats are not.

``sigma`` is the standard deviation of the noise in grey levels, ``"auto"`` to estimate it in each channel, and
``None`` for the noise that the model was trained on.

Every function raises `Error` with one sentence: what is wrong, where, and what was expected. The interpreter's lock
is released while it computes.
"""

from __future__ import annotations

import json
import os
from typing import Any, Literal, Sequence, Union

import numpy as np

from . import _core
from ._core import Error, Model, __version__

__all__ = ["Error", "Model", "__version__", "denoise", "inspect", "reconstruct", "secure_denoise", "share"]

StrPath = Union[str, "os.PathLike[str]"]
ModelLike = Union[Model, StrPath]
Bytes = Union[bytes, StrPath]
Sigma = Union[float, Literal["auto"], None]

_DEPTHS = {"uint8": "<u1", "uint16": "<u2", "float32": "<f4"}


def _array(image: Any) -> tuple[bytes, tuple[int, int, int], str]:
    """The samples of an image, pixel after pixel, with rows, columns and channels, and their type."""
    image = np.asarray(image)
    dtype = image.dtype.name
    if dtype not in _DEPTHS:
        raise Error(f"the image is an array of {dtype}; expected uint8, uint16 or float32")
    if image.ndim == 2:
        image = image[:, :, np.newaxis]
    elif image.ndim != 3 or image.shape[2] != 3:
        raise Error(f"the image has the shape {image.shape}; expected (height, width) or (height, width, 3)")
    height, width, channels = image.shape
    return image.astype(_DEPTHS[dtype]).tobytes(), (height, width, channels), dtype


def _image(samples: bytes, shape: tuple[int, int, int], dtype: str) -> np.ndarray:
    image = np.frombuffer(samples, _DEPTHS[dtype]).astype(dtype).reshape(shape)
    return image[:, :, 0] if shape[2] == 1 else image


def _model(model: ModelLike) -> Model:
    return model if isinstance(model, Model) else Model(model)


def _bytes(source: Bytes) -> Union[bytes, str]:
    return source if isinstance(source, bytes) else os.fspath(source)


def denoise(model: ModelLike, image: np.ndarray, sigma: Sigma = None, *, twin: bool = False) -> np.ndarray:
    """Denoises an image in the clear, as the command ``denoise`` does.

    ``twin`` computes with the integers of the secure computation instead of floats.
    """
    samples, shape, dtype = _array(image)
    return _image(_core.denoise(_model(model), samples, shape, dtype, sigma, twin), shape, dtype)


def secure_denoise(
    model: ModelLike,
    image: np.ndarray,
    sigma: Sigma = None,
    *,
    material: Literal["dealt", "made"] = "dealt",
    work: StrPath | None = None,
) -> np.ndarray:
    """Denoises an image with both servers, and all other parties, in this process.

    It is the whole computation, and differs from ``denoise(..., twin=True)`` by its rounding only; nothing is hidden
    from anybody who can read this process. ``material`` is what the servers use up: dealt by a third party, or made
    by the two, which takes longer. It lies in a folder of its own in ``work`` (by default that for temporary files)
    until the function returns, and may take gigabytes.
    """
    samples, shape, dtype = _array(image)
    work = None if work is None else os.fspath(work)
    return _image(_core.secure_denoise(_model(model), samples, shape, dtype, sigma, material, work), shape, dtype)


def share(
    image: np.ndarray,
    public: Bytes,
    keys: StrPath,
    sigma: Sigma = None,
    *,
    passphrase: str | None = None,
) -> list[tuple[bytes, bytes]]:
    """Shares an image between the two servers, as the command ``share-image`` does: the gateway's part.

    ``public`` is the model's public description, as bytes or as a path; ``keys`` is the gateway's folder of keys, of
    which ``passphrase`` opens the secret one if it is locked. For each channel there is a pair: the contents of the
    files for server 0 and for server 1, each sealed to its server.
    """
    samples, shape, dtype = _array(image)
    return _core.share(samples, shape, dtype, _bytes(public), os.fspath(keys), sigma, passphrase)


def reconstruct(
    results: Sequence[tuple[Bytes, Bytes]],
    keys: StrPath,
    *,
    passphrase: str | None = None,
) -> np.ndarray:
    """Puts results of the two servers together, as the command ``reconstruct`` does: the receiver's part.

    There is a pair for each channel, in the order in which `share` gave them; the halves of a pair are bytes or paths.
    The image is ``float32``, neither rounded nor clipped: one pair makes a grey one, three make one in colour.
    """
    pairs = [(_bytes(first), _bytes(second)) for first, second in results]
    samples, shape = _core.reconstruct(pairs, os.fspath(keys), passphrase)
    return _image(samples, shape, "float32")


def inspect(path: StrPath) -> dict[str, Any]:
    """What a file is, from its public header: the fields of ``inspect --json``. A share's contents stay sealed."""
    return json.loads(_core.inspect(os.fspath(path)))
