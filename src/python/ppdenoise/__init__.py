"""Denoise images that two servers cannot see, with a neural network they cannot see.

    >>> import ppdenoise
    >>> model = ppdenoise.Model("fixtures/models/default.npz")
    >>> denoised = model(noisy, sigma=25)                           # in the clear
    >>> denoised = ppdenoise.secure_denoise(model, noisy, sigma=25)  # two servers, in this process

**Arrays.** An image is an array ``(height, width)``, several of one size are ``(images, height, width)``. Channels are
told as in scikit-image: ``channel_axis=-1`` is for ``(height, width, 3)``, ``channel_axis=1`` for PyTorch's ``(images,
3, height, width)``; each channel is denoised by itself, or all three together by a model for colours. Without it
``(height, width, 3)`` is refused, and never taken for images three pixels wide.

**Values.** Types are ``uint8``, ``uint16``, ``float16``, ``float32`` and ``float64``, computed in ``float32``. The
result has the type, the shape and the units of the image; integers are rounded and clipped, floats are not.
``data_range`` is the value of white, black being 0. If it is not told it is 255 for floats and ``uint8``, and 65535
for ``uint16``. It is never guessed from the values: what is unlikely, such as floats from 0 to 1 without
``data_range=1``, is refused.

**Noise.** ``sigma`` is the standard deviation of the noise **in the units of the image**: 25 where white is 255, 0.1
where it is 1. It may be a number, one for each image of several, ``"auto"`` to estimate it of each channel, or
``None`` for what the model was trained on; for a network that is told the noise (`Model.reads_noise`) that is the
most, and a warning. For such a network it may be an array ``(height, width)`` of the level of each pixel. Noise that
the model does not serve is told as a `NoiseWarning`.

**Failures.** Every exception is an `Error` with one sentence, and also a `ValueError`, `TypeError`,
`FileNotFoundError`, `FileExistsError` or `OSError`, where it is such a thing.

**Waiting.** The interpreter's lock is released during the computation. Ctrl-C ends a call within a second; what was
half done is removed.
"""

from __future__ import annotations

import json
import os
import warnings
from typing import Any, Iterable, Literal, Sequence, Union

import numpy as np

from . import _core
from ._arrays import Images as _Images, images as _images, levels as _levels, noise as _noise, number as _number
from ._core import __version__
from ._errors import (
    Error,
    ExistingFileError,
    InvalidTypeError,
    InvalidValueError,
    MissingFileError,
    ModelWarning,
    NoiseWarning,
    OperatingSystemError,
)
from ._model import Model, StrPath, import_model, path_of as _path

__all__ = [
    "Error",
    "ExistingFileError",
    "InvalidTypeError",
    "InvalidValueError",
    "MissingFileError",
    "Model",
    "ModelWarning",
    "NoiseWarning",
    "OperatingSystemError",
    "__version__",
    "calibrate",
    "denoise",
    "import_model",
    "inspect",
    "reconstruct",
    "secure_denoise",
    "share",
]

ModelLike = Union[Model, StrPath]
Bytes = Union[bytes, StrPath]
# A level; one for each image; one for each pixel; to be estimated; the model's own.
Sigma = Union[float, Sequence[float], np.ndarray, Literal["auto"], None]


def _model(model: ModelLike) -> Model:
    return model if isinstance(model, Model) else Model(model)


def _bytes(source: Bytes, name: str) -> Union[bytes, str]:
    return source if isinstance(source, bytes) else _path(source, name)


def _warn(notes: list[str]) -> None:
    for note in notes:
        warnings.warn(note, NoiseWarning, stacklevel=3)


def denoise(
    model: ModelLike,
    image: Any,
    sigma: Sigma = None,
    *,
    data_range: float | None = None,
    channel_axis: int | None = None,
    twin: bool = False,
    even_if_implausible: bool = False,
) -> np.ndarray:
    """Denoises images in the clear, as the command ``denoise`` does.

    ``model`` is a `Model` or the path of one. ``image``, ``sigma``, ``data_range`` and ``channel_axis`` are as this
    package's own documentation says (``help(ppdenoise)``). ``twin`` computes with the integers of the secure
    computation instead of floats. A result that takes away more than the noise told is refused: the model does not know
    such pictures, or ``sigma`` is wrong. With ``even_if_implausible`` it is given all the same, and told as a
    `NoiseWarning`.
    """
    network = _model(model)._network
    found = _images(image, data_range, channel_axis)
    told = _noise(sigma, found)
    denoised, notes = _core.denoise(network, found.sent(), told, bool(twin), bool(even_if_implausible))
    _warn(notes)
    return found.given(denoised)


def secure_denoise(
    model: ModelLike,
    image: Any,
    sigma: Sigma = None,
    *,
    data_range: float | None = None,
    channel_axis: int | None = None,
    material: Literal["dealt", "made"] = "dealt",
    work: StrPath | None = None,
    even_if_implausible: bool = False,
) -> np.ndarray:
    """Denoises images with both servers, and all other parties, in this process.

    It is the whole computation, and differs from ``denoise(..., twin=True)`` by its rounding only; nothing is hidden
    from anybody who can read this process. ``material`` is what the servers use up: dealt by a third party, or made
    by the two, which takes longer. It lies in a folder of its own in ``work`` (by default that for temporary files)
    until the function returns, and may take gigabytes.

    The other arguments are those of `denoise`, but that a noise level for each pixel is refused: on shares an image has
    one, which is public.
    """
    network = _model(model)._network
    if material not in ("dealt", "made"):
        raise InvalidValueError(f"material is {material!r}; expected 'dealt' or 'made'")
    found = _images(image, data_range, channel_axis)
    told = _noise(sigma, found)
    work = None if work is None else _path(work, "work")
    if found.planes.shape[0] == 0:
        return found.given(b"")
    made, even_if = material == "made", bool(even_if_implausible)
    denoised, notes = _core.secure_denoise(network, found.sent(), told, made, work, even_if)
    _warn(notes)
    return found.given(denoised)


def share(
    image: Any,
    public: Bytes,
    keys: StrPath,
    sigma: Sigma = None,
    *,
    data_range: float | None = None,
    channel_axis: int | None = None,
    passphrase: str | None = None,
) -> list[tuple[bytes, bytes]]:
    """Shares one image between the two servers, as the command ``share-image`` does: the gateway's part.

    ``public`` is the model's public description, as bytes or as a path; ``keys`` is the gateway's folder of keys, of
    which ``passphrase`` opens the secret one if it is locked. For each channel, of which there are 1 or 3, there is a
    pair, with a model for colours one for all: the contents of the files for server 0 and for server 1, each sealed to
    its server. ``sigma`` is public.
    """
    found = _images(image, data_range, channel_axis)
    if found.batch:
        raise InvalidValueError(f"the image has the shape {np.shape(image)}; one image is shared at a time")
    told = _noise(sigma, found)
    shares, notes = _core.share(found.sent(), told, _bytes(public, "public"), _path(keys, "keys"), passphrase)
    _warn(notes)
    return shares


def reconstruct(
    results: Iterable[tuple[Bytes, Bytes]],
    keys: StrPath,
    *,
    data_range: float = 255.0,
    passphrase: str | None = None,
    even_if_implausible: bool = False,
) -> np.ndarray:
    """Puts results of the two servers together, as the command ``reconstruct`` does: the receiver's part.

    The pairs are in the order in which `share` gave the images for them; the halves of a pair are bytes or paths. The
    image is ``float32``, neither rounded nor clipped, with white at ``data_range``. One pair makes a grey one, or with
    a model for colours one in colour; three make one in colour, ``(height, width, 3)``.
    """
    white = _number(data_range, "data_range")
    pairs = [(_bytes(first, "a result"), _bytes(second, "a result")) for first, second in results]
    even_if = bool(even_if_implausible)
    levels, shape, notes = _core.reconstruct(pairs, _path(keys, "keys"), passphrase, even_if)
    _warn(notes)
    planes = np.frombuffer(levels, "<f4").reshape(shape)
    if white != 255.0:
        planes = planes.astype("f8") * (white / 255.0)
    planes = planes.astype("f4")
    return planes[0] if shape[0] == 1 else np.ascontiguousarray(np.moveaxis(planes, 0, -1))


def calibrate(
    model: ModelLike,
    images: Any,
    sigma: float | Sequence[float] | None = None,
    *,
    data_range: float | None = None,
    held_out: Any = (),
    strict: bool = False,
    prune: bool = False,
    activations: float | None = None,
    seed: int = 1,
) -> Model:
    """A model whose ranges were measured on sample images, as the command ``calibrate`` does; `Model.save` writes it.

    ``images`` are clean grey images like those to come: ``(images, height, width)``, or several arrays ``(height,
    width)`` of any sizes. Noise of each level of ``sigma`` is added (by default the model's own), drawn from ``seed``.

    With ``prune`` channels are left out that are 0 on all of these images, and with ``activations`` more of them, until
    a pixel takes at most so many activations. ``held_out`` are other images; with ``strict`` it is an error if they
    leave the ranges.
    """
    network = _model(model)._network
    clean, held = _samples(images, data_range, "images"), _samples(held_out, data_range, "held_out")
    if not clean:
        raise InvalidValueError("there are no images to calibrate on")
    if activations is not None and not prune:
        raise InvalidValueError("activations goes with prune=True")
    if strict and not held:
        raise InvalidValueError("strict goes with images in held_out")
    white = clean[0].white
    if any(found.white != white for found in clean + held):
        raise InvalidValueError("the images have different types, whose white differs: say what it is, with data_range")
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**64:
        raise InvalidValueError(f"seed is {seed!r}; expected a whole number from 0 to 2**64 - 1")
    most = None if activations is None else _number(activations, "activations")
    how = (_levels(sigma, white), int(seed), bool(prune), most, bool(strict))
    sent, held_sent = ([found.sent() for found in some] for some in (clean, held))
    return Model._of(_core.calibrate(network, sent, held_sent, how))


def _samples(given: Any, data_range: float | None, name: str) -> list[_Images]:
    """Grey images, by themselves."""
    if isinstance(given, np.ndarray) and given.ndim == 2:
        raise InvalidValueError(f"{name} has the shape {given.shape}; expected several images")
    try:
        arrays = list(given)
    except TypeError:
        raise InvalidTypeError(f"{name} is {type(given).__name__}; expected several images") from None
    samples = [_images(image, data_range, None) for image in arrays]
    for number, found in enumerate(samples):
        if found.batch:
            raise InvalidValueError(f"{name}[{number}] has 3 axes; expected grey images, (height, width)")
    return samples


def inspect(path: StrPath) -> dict[str, Any]:
    """What a file is, from its public header: the fields of ``inspect --json``. A share's contents stay sealed."""
    facts: dict[str, Any] = json.loads(_core.inspect(_path(path)))
    return facts
