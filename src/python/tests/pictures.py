"""Noisy pictures, and how far two results of one computation may differ."""

import re

import numpy as np

SIZE = (34, 47)
# The mean and the largest difference that rounding and the choice between two cells make (tests/e2e/pipeline.rs).
BOUND = (0.6, 3.0)


def noisy(dtype="float32", channels=None):
    rng = np.random.default_rng(1)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    clean = [60 + 2.5 * columns, 190 - 3 * rows, 128 + 0 * rows][: channels or 1]
    image = np.stack(clean, axis=-1) + rng.normal(0, 25, (*SIZE, len(clean)))
    image = image if channels else image[:, :, 0]
    steps = {"uint8": (1, 255), "uint16": (257, 65535)}.get(dtype)
    if steps is None:
        return image.astype(dtype)
    return np.clip(np.round(image * steps[0]), 0, steps[1]).astype(dtype)


def write_pnm(path, image):
    """Binary PGM or PPM, which need no library."""
    height, width = image.shape[:2]
    magic, most = ("P5" if image.ndim == 2 else "P6"), np.iinfo(image.dtype).max
    path.write_bytes(f"{magic}\n{width} {height}\n{most}\n".encode() + image.astype(f">u{image.itemsize}").tobytes())


def read_pnm(path):
    fields = re.match(rb"(P[56])\s(\d+)\s(\d+)\s(\d+)\s", path.read_bytes())
    magic, width, height, most = fields.groups()
    dtype = ">u1" if int(most) < 256 else ">u2"
    image = np.frombuffer(path.read_bytes()[fields.end() :], dtype).astype(dtype[1:])
    shape = (int(height), int(width)) + ((3,) if magic == b"P6" else ())
    return image.reshape(shape)


def assert_within(found, expected, bound=BOUND):
    off = np.abs(found.astype(np.float64) - expected.astype(np.float64))
    assert off.mean() <= bound[0] and off.max() <= bound[1], f"mean {off.mean()}, most {off.max()}"
