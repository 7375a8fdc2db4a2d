"""Failures: one sentence, and also what Python calls them."""

import errno
import pickle

import numpy as np
import pytest
from pictures import SIZE, noisy

import ppdenoise


def test_failures_are_exceptions_of_one_sentence(parties, tiny, tmp_path, fails):
    image, denoise = noisy(), ppdenoise.denoise
    (tmp_path / "no.npz").write_bytes(b"no model")
    fails("no.npz'", ValueError, ppdenoise.Model, tmp_path / "no.npz")
    fails("a folder", ValueError, ppdenoise.Model, tmp_path)
    fails("material is 'bought'", ValueError, ppdenoise.secure_denoise, tiny, image, material="bought")
    keys, public = parties / "keys", parties / "model.pub"
    fails("no ppdenoise file", ValueError, ppdenoise.share, image, b"no description", keys)
    fails("one image is shared at a time", ValueError, ppdenoise.share, image[np.newaxis], public, keys)
    fails("1 plane or 3", ValueError, ppdenoise.share, np.stack([image, image], -1), public, keys, channel_axis=-1)
    [(first, second)] = ppdenoise.share(image, public, keys)
    fails("expected a result share", ValueError, ppdenoise.reconstruct, [(first, second)], keys)
    fails("1 plane or 3, found 0", ValueError, ppdenoise.reconstruct, [], keys)
    fails("data_range is 0", ValueError, ppdenoise.reconstruct, [], keys, data_range=0)
    for path in [3, None, b"model.npz", ["model.npz"]]:
        fails("expected a str or a path", TypeError, ppdenoise.Model, path)
        fails("expected a str or a path", TypeError, denoise, path, image)
        fails("expected a str or a path", TypeError, ppdenoise.inspect, path)


def test_files_that_are_not_there(parties, tiny, tmp_path, fails):
    image, keys, public = noisy(), parties / "keys", parties / "model.pub"
    gone = tmp_path / "nowhere"
    for name, call in {
        "nowhere": lambda: ppdenoise.Model(gone),
        "nowhere.npz": lambda: ppdenoise.denoise(f"{gone}.npz", image),
        "nowhere/": lambda: ppdenoise.inspect(f"{gone}/"),
        "nowhere.pub": lambda: ppdenoise.share(image, f"{gone}.pub", keys),
        "nowhere.keys": lambda: ppdenoise.share(image, public, f"{gone}.keys"),
        "nowhere.s0": lambda: ppdenoise.reconstruct([(f"{gone}.s0", f"{gone}.s1")], keys),
        "nowhere.pth": lambda: ppdenoise.import_model(f"{gone}.pth", tmp_path / "out.npz", sigma=25),
    }.items():
        error = fails("nowhere", FileNotFoundError, call)
        assert error.errno == errno.ENOENT and str(error.filename).rstrip("/") == str(tmp_path / name).rstrip("/")
    fails("nowhere|No such file", FileNotFoundError, ppdenoise.secure_denoise, tiny, image, work=gone)


def test_exceptions_have_two_names():
    for error, python in {
        ppdenoise.InvalidValueError: ValueError,
        ppdenoise.InvalidTypeError: TypeError,
        ppdenoise.MissingFileError: FileNotFoundError,
        ppdenoise.ExistingFileError: FileExistsError,
        ppdenoise.OperatingSystemError: OSError,
    }.items():
        assert issubclass(error, ppdenoise.Error) and issubclass(error, python)


def test_exceptions_travel_between_processes(tiny, tmp_path):
    for call in [lambda: ppdenoise.denoise(tiny, noisy(), -1), lambda: ppdenoise.Model(tmp_path / "nowhere")]:
        with pytest.raises(ppdenoise.Error) as caught:
            call()
        same = pickle.loads(pickle.dumps(caught.value))
        assert type(same) is type(caught.value) and str(same) == str(caught.value)


def test_a_result_that_takes_away_more_than_noise_is_refused_unless_it_is_wanted(tiny, parties, fails):
    stripes = np.where(np.arange(SIZE[1]) % 2, 255.0, 0.0) * np.ones((SIZE[0], 1))
    both = np.stack([noisy("float64"), stripes])
    for function in [ppdenoise.denoise, ppdenoise.secure_denoise]:
        said = r"'image\[1\]': denoising takes away .* even_if_implausible=True gives it all the same"
        fails(said, ValueError, function, tiny, both, 25)
        with pytest.warns(ppdenoise.NoiseWarning, match="takes away"):
            found = function(tiny, both, 25, even_if_implausible=True)
        assert found.shape == both.shape
