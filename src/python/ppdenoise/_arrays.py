"""Arrays as grey levels: what their values mean, told once, and given back in the same units.

The compiled half takes and gives grey levels from 0 to 255, image after image and channel after channel.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass
from typing import Any, Sequence, Union

import numpy as np

from ._errors import Error, InvalidTypeError, InvalidValueError

# What white is where nobody says, by type: all that integers can hold; grey levels for floats.
_WHITE = {"uint8": 255.0, "uint16": 65535.0, "float16": 255.0, "float32": 255.0, "float64": 255.0}
_TYPES = "uint8, uint16, float16, float32 or float64"
# Pictures of Pillow whose numbers are no brightness.
_NO_LEVELS = ("1", "P", "PA", "LA", "La", "RGBA", "RGBa", "LAB", "HSV", "YCbCr", "CMYK")

_Sent = tuple[bytes, tuple[int, int, int, int], str, Union[float, None]]


def number(value: Any, name: str, least: float = 0.0) -> float:
    """A finite number above ``least``; True is none."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (numbers.Real, np.number)):
        raise InvalidTypeError(f"{name} is {value!r}; expected a number")
    found = float(value)
    if not (np.isfinite(found) and found > least):
        raise InvalidValueError(f"{name} is {found}; expected a finite number above {least:g}")
    return found


def array(image: Any, name: str = "the image") -> np.ndarray:
    """An array whose values are levels of brightness, in the machine's byte order."""
    if isinstance(image, np.ma.MaskedArray):
        raise InvalidTypeError(f"{name} is a masked array; fill what is masked first, with image.filled(...)")
    if getattr(image, "mode", None) in _NO_LEVELS:
        mode = image.mode
        raise InvalidTypeError(f"{name} has the mode {mode!r}; convert it first, with image.convert('L') or 'RGB'")
    try:
        found = np.asarray(image)
    except Exception as e:  # Whatever an object of others raises: a tensor on a GPU, a ragged list.
        raise InvalidTypeError(f"{name} is no array: {' '.join(str(e).split())}") from e
    dtype = found.dtype.name
    if dtype == "bool":
        raise InvalidTypeError(f"{name} is an array of bool, which has no noise; convert it to uint8 or a float first")
    if dtype not in _WHITE:
        raise InvalidTypeError(
            f"{name} is an array of {dtype}; expected {_TYPES}: convert it, with image.astype('float64'), and say "
            "what white is with data_range"
        )
    return found.astype(found.dtype.newbyteorder("="), copy=False)


@dataclass(frozen=True)
class Images:
    """Images of one size, and how they lie in the array that they came in."""

    planes: np.ndarray  # (images, channels, height, width)
    white: float
    said: float | None
    channel_axis: int | None
    batch: bool

    @property
    def scale(self) -> float:
        """Units of the array for a grey level."""
        return self.white / 255.0

    def sent(self) -> _Sent:
        """What the compiled half gets."""
        planes = self.planes
        # What is beyond float32 becomes infinite, and is refused where it stands.
        with np.errstate(over="ignore", invalid="ignore"):
            if self.said is None and planes.dtype == np.uint16:
                levels = planes.astype("<f4") / np.float32(257)
            elif self.white == 255.0:
                levels = planes.astype("<f4")
            else:
                levels = (planes.astype("<f8") * (255.0 / self.white)).astype("<f4")
        return levels.astype("<f4", copy=False).tobytes(), planes.shape, planes.dtype.name, self.said

    def given(self, levels: bytes) -> np.ndarray:
        """Denoised levels, in the units, the type and the order of axes of the array."""
        dtype, shape = self.planes.dtype, self.planes.shape
        planes = np.frombuffer(levels, "<f4").reshape(shape)
        if self.said is None and dtype == np.uint16:
            planes = planes * np.float32(257)
        elif self.white != 255.0:
            planes = planes.astype("f8") * self.scale
        if dtype.kind == "u":
            # Half away from zero, as files are rounded; NumPy's own rounding is to even.
            planes = np.floor(np.clip(planes, 0, np.iinfo(dtype).max).astype("f8") + 0.5)
        return self._arranged(planes.astype(dtype))

    def _arranged(self, planes: np.ndarray) -> np.ndarray:
        if self.channel_axis is None:
            images = planes[:, 0]
        else:
            images = np.moveaxis(planes, 1, self.channel_axis)
        return np.ascontiguousarray(images if self.batch else np.squeeze(images, 0))


def images(image: Any, data_range: Any, channel_axis: Any) -> Images:
    """What an array is meant to be; what may mean two things is refused."""
    found = array(image)
    said = None if data_range is None else number(data_range, "data_range")
    if said is not None and not 1e-30 <= said <= 1e30:
        raise InvalidValueError(f"data_range is {said}; expected a number from 1e-30 to 1e30")
    white = _WHITE[found.dtype.name] if said is None else said
    if channel_axis is None:
        batch, planes = _grey(found)
        axis = None
    else:
        batch, planes, axis = _channels(found, channel_axis)
    if said is not None and found.dtype.kind == "u" and found.size and found.max() > 2 * said:
        raise InvalidValueError(
            f"the values reach {found.max()}, and data_range={said:g} says that white is {said:g}: say what white is"
        )
    return Images(planes, white, said, axis, batch)


def _grey(found: np.ndarray) -> tuple[bool, np.ndarray]:
    if found.ndim == 3 and found.shape[2] in (1, 2, 3, 4):
        raise InvalidValueError(
            f"an array of shape {found.shape} may be one image in colour or images {found.shape[2]} pixels wide: say "
            "channel_axis=-1 if its last axis are channels"
        )
    if found.ndim not in (2, 3):
        raise InvalidValueError(
            f"the image has the shape {found.shape}; expected (height, width), or (images, height, width) for several; "
            "for channels say which axis they are, with channel_axis"
        )
    batch = found.ndim == 3
    return batch, found.reshape(found.shape[0] if batch else 1, 1, *found.shape[-2:])


def _channels(found: np.ndarray, channel_axis: Any) -> tuple[bool, np.ndarray, int]:
    if isinstance(channel_axis, (bool, np.bool_)) or not isinstance(channel_axis, (int, np.integer)):
        raise InvalidTypeError(f"channel_axis is {channel_axis!r}; expected a number of an axis, or None")
    if found.ndim not in (3, 4):
        raise InvalidValueError(
            f"the image has the shape {found.shape}; with channel_axis={channel_axis} an image has 3 axes, and several "
            "images have 4"
        )
    if not -found.ndim <= channel_axis < found.ndim:
        raise InvalidValueError(f"channel_axis is {channel_axis}, and the array has {found.ndim} axes")
    axis, batch = int(channel_axis) % found.ndim, found.ndim == 4
    planes = found if batch else found[np.newaxis]
    axis = axis if batch else axis + 1
    if axis == 0:
        raise InvalidValueError(
            f"channel_axis={channel_axis} is the first of 4 axes, which are the images: expected another"
        )
    if not 1 <= planes.shape[axis] <= 4:
        raise InvalidValueError(
            f"an array of shape {found.shape} has {planes.shape[axis]} channels along axis {channel_axis}; expected 1 "
            "to 4"
        )
    return batch, np.moveaxis(planes, axis, 1), axis


def noise(sigma: Any, of: Images) -> list[float] | bytes | str | None:
    """What is told of the noise, in grey levels: of each image, of each pixel, ``"auto"``, or nothing."""
    count, _, height, width = of.planes.shape
    if sigma is None:
        return None
    if isinstance(sigma, str):
        if sigma != "auto":
            raise InvalidValueError(f"sigma is {sigma!r}; expected a positive number, 'auto' or None")
        return sigma
    if np.ndim(sigma) == 0 and not isinstance(sigma, np.ndarray) and not hasattr(sigma, "__array__"):
        return [_level(sigma, of)] * count
    known = _sigmas(sigma)
    if known.ndim == 0:
        return [_level(known[()], of)] * count
    if known.shape in ((count,), (count, 1, 1), (count, 1, 1, 1)) and (of.batch or known.ndim > 1):
        return [_level(level, of) for level in known.reshape(-1)]
    if known.shape == (height, width) or (of.batch and known.shape == (count, height, width)):
        return _map(np.broadcast_to(known, (count, height, width)), of)
    expected = f"({height}, {width}) for each pixel"
    if of.batch:
        expected = f"({count},) for each image, {expected}, or ({count}, {height}, {width})"
    raise InvalidValueError(f"sigma has the shape {known.shape}; expected a number, or {expected}")


def _sigmas(sigma: Any) -> np.ndarray:
    try:
        known = np.asarray(sigma)
    except Exception as e:
        raise InvalidTypeError(f"sigma is no array: {' '.join(str(e).split())}") from e
    if isinstance(sigma, np.ma.MaskedArray) or known.dtype.kind not in "uif":
        what = f"an array of {known.dtype.name}" if known.ndim else repr(sigma)
        what = "a masked array" if isinstance(sigma, np.ma.MaskedArray) else what
        raise InvalidTypeError(f"sigma is {what}; expected a number, or an array of numbers")
    return known.astype("f8")


def _level(sigma: Any, of: Images) -> float:
    level = number(sigma, "sigma")
    if level > of.white:
        raise InvalidValueError(
            f"sigma is {level:g}, more than white, which is {of.white:g}: sigma is in the units of the image "
            "(data_range)"
        )
    # To the digits of float32, in which 75/255 of white 1 is more than 75 grey levels.
    return level if of.white == 255.0 else float(f"{level / of.scale:.7g}")


def _map(sigmas: np.ndarray, of: Images) -> bytes:
    if not np.isfinite(sigmas).all() or (sigmas < 0).any():
        raise InvalidValueError("sigma has values that are negative or not finite; expected none")
    if (sigmas > of.white).any():
        _level(sigmas.max(), of)
    levels = sigmas if of.white == 255.0 else np.round(sigmas / of.scale, 5)
    return levels.astype("<f4").tobytes()


def levels(sigma: Any, white: float) -> list[float]:
    """Noise levels that are added, in grey levels."""
    given: Sequence[Any] = [] if sigma is None else [sigma] if np.ndim(sigma) == 0 else list(sigma)
    return [number(level, "sigma") * 255.0 / white for level in given]


__all__ = ["Error", "Images", "array", "images", "levels", "noise", "number"]
