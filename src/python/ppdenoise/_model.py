"""A network as it was trained."""

from __future__ import annotations

import os
import warnings
from typing import Any, Literal, Tuple, Union

import numpy as np

from . import _core
from ._arrays import number
from ._errors import InvalidTypeError, InvalidValueError, ModelWarning

StrPath = Union[str, "os.PathLike[str]"]
Predicts = Literal["noise", "image", "correction"]
Family = Literal["mlp", "dncnn", "ircnn"]


def path_of(path: Any, name: str = "path") -> str:
    """A path of the file system."""
    if not isinstance(path, (str, os.PathLike)) or isinstance(path, bytes):
        raise InvalidTypeError(f"{name} is {type(path).__name__}; expected a str or a path")
    return os.fspath(path)


def _known(
    sigma: float | None,
    activation: str | None,
    range: Tuple[float, float] | None,
    predicts: str | None,
    family: str | None,
) -> tuple[Any, ...]:
    if range is not None:
        if np.shape(range) != (2,):
            raise InvalidValueError(f"range is {range!r}; expected (low, high), such as (0, 1)")
        range = (number(range[0], "range", -np.inf), number(range[1], "range", -np.inf))
    return (None if sigma is None else number(sigma, "sigma"), activation, range, predicts, family)


class Model:
    """A network as it was trained; ``model(image, sigma)`` is `denoise(model, image, sigma)`.

    The file may be a ``.npz``, safetensors, PyTorch or MATLAB file. Its description, inside or in ``NAME.json`` beside
    it, says how its arrays are meant. Of a file without one that is found out as the command ``import`` does it: by
    trying on a small noisy picture. Then ``sigma`` must be told, for which the network was trained, in grey levels from
    0 to 255; what is told of the rest is not tried:

    - ``activation``: ``"relu"``, ``"tanh"``, ``"abs"`` or ``"leaky_relu=SLOPE"``.
    - ``range``: what black and white are to the network, ``(0, 1)``, ``(-1, 1)``, ``(0, 255)``, or another pair that
      begins at 0 or has 0 in its middle.
    - ``predicts``: what the network gives of the noisy picture x: the ``"noise"``, for x - net(x), the ``"image"``, for
      net(x), or a ``"correction"``, for x + net(x).
    - ``family``: ``"mlp"`` for dense layers on patches, ``"dncnn"`` for a chain of convolutions, ``"ircnn"`` for one of
      seven whose taps are apart as IRCNN's.

    Where several ways denoise alike, `InvalidValueError` says which of these decide. With a file that has a description
    they are refused. A description beside the file that makes a noisy picture no better is told as a `ModelWarning`.

    A model does not change, so that copies are the model itself. It can be pickled, with its weights.
    """

    __slots__ = ("_network",)

    def __init__(
        self,
        path: StrPath,
        *,
        sigma: float | None = None,
        activation: str | None = None,
        range: Tuple[float, float] | None = None,
        predicts: Predicts | None = None,
        family: Family | None = None,
    ) -> None:
        known = _known(sigma, activation, range, predicts, family)
        self._network, notes = _core.Network.read(path_of(path), known)
        for note in notes:
            warnings.warn(note, ModelWarning, stacklevel=2)

    @classmethod
    def _of(cls, network: _core.Network) -> Model:
        model = cls.__new__(cls)
        model._network = network
        return model

    @classmethod
    def _of_bytes(cls, npz: bytes) -> Model:
        return cls._of(_core.Network.of_bytes(npz))

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self)._of_bytes, (self._network.bytes(),))

    def __copy__(self) -> Model:
        return self

    def __deepcopy__(self, memo: Any) -> Model:
        return self

    def __call__(self, image: Any, sigma: Any = None, **options: Any) -> np.ndarray:
        """Denoises an image: the same as ``denoise(model, image, sigma, ...)``."""
        from . import denoise

        return denoise(self, image, sigma, **options)

    def save(self, path: StrPath, *, overwrite: bool = False) -> None:
        """Writes it as ``.npz`` with its description inside, which every command reads.

        `ExistingFileError` if the file is there, unless ``overwrite`` is true.
        """
        self._network.save(path_of(path), bool(overwrite))

    @property
    def family(self) -> str:
        """``"mlp"`` (dense layers on patches), ``"dncnn"`` (a chain of convolutions) or ``"unet"``."""
        return self._network.family

    @property
    def activation(self) -> str:
        """The function between its layers."""
        return self._network.activation

    @property
    def layers(self) -> int:
        """How many layers with weights it has."""
        return self._network.layers

    @property
    def weights(self) -> int:
        """How many weights it has."""
        return self._network.weights

    @property
    def sigma(self) -> float:
        """The noise that it was trained on, in grey levels from 0 to 255; the most, if it is told an image's."""
        return self._network.sigma

    @property
    def sigma_range(self) -> tuple[float, float]:
        """The least and the most noise that it serves, in grey levels from 0 to 255."""
        return self._network.sigma_range

    @property
    def reads_noise(self) -> bool:
        """Whether it is told the noise, also of each pixel; images for others are scaled to the noise of theirs."""
        return self._network.reads_noise

    @property
    def smallest(self) -> int:
        """The side of the smallest square image that it takes."""
        return self._network.smallest

    @property
    def calibrated(self) -> bool:
        """Whether `calibrate` has found its ranges, which a network with ReLU needs before it is shared."""
        return self._network.calibrated

    def __repr__(self) -> str:
        least, most = self.sigma_range
        side = self.smallest
        told = ", told of each image" if self.reads_noise else ""
        return (
            f"<ppdenoise.Model {self.family}, {self.layers} layers, {self.weights} weights, {self.activation}, noise "
            f"of {least:g} to {most:g} grey levels{told}, images from {side}x{side}>"
        )


def import_model(
    path: StrPath,
    out: StrPath,
    *,
    sigma: float,
    activation: str | None = None,
    range: Tuple[float, float] | None = None,
    predicts: Predicts | None = None,
    family: Family | None = None,
    overwrite: bool = False,
) -> Model:
    """Finds out how a network that others trained is meant, and writes it to ``out``, a ``.npz`` that says so.

    The same as the command ``import``; the arguments are those of `Model`. A description of the file is not heeded. A
    network with ReLU is to be calibrated before it is shared (`calibrate`).
    """
    known = _known(sigma, activation, range, predicts, family)
    path, out = path_of(path), path_of(out, "out")
    if os.path.exists(out) and os.path.exists(path) and os.path.samefile(path, out):
        raise InvalidValueError(f"'{out}' is both the input and the output")
    network = _core.Network.import_to(path, out, bool(overwrite), known)
    return Model._of(network)
