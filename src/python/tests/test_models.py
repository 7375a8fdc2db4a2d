"""Models of other formats, with a description and without; what they say of themselves; copies of them."""

import copy
import json
import pickle
import shutil

import numpy as np
import pytest
from conftest import ROOT
from pictures import SIZE, noisy

import ppdenoise

MODELS = ROOT / "fixtures/models"
denoise = ppdenoise.denoise


def test_a_model_tells_what_it_is(tiny, told):
    model = ppdenoise.Model(str(tiny))
    assert (model.sigma, model.weights, model.layers, model.activation) == (25.0, 2544, 2, "tanh")
    assert (model.family, model.reads_noise, model.calibrated, model.smallest) == ("mlp", False, False, 9)
    assert repr(model) == (
        "<ppdenoise.Model mlp, 2 layers, 2544 weights, tanh, noise of 5 to 75 grey levels, images from 9x9>"
    )
    assert (told.family, told.reads_noise, told.calibrated) == ("unet", True, True)
    assert told.sigma_range == (1.875, 75.0) and "told of each image" in repr(told)
    assert ppdenoise.Model(MODELS / "dncnn-s25.npz").family == "dncnn"
    with pytest.raises(AttributeError):
        model.sigma = 3


@pytest.mark.parametrize("name", ["tiny-9-5-24.npz", "default.npz", "dncnn-s25.npz", "fine.npz", "mlp-s25.npz"])
def test_copies_are_the_same_model(name):
    model, image = ppdenoise.Model(MODELS / name), noisy()
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        same = pickle.loads(pickle.dumps(model, protocol))
    assert repr(same) == repr(model) and same.calibrated == model.calibrated
    expected = denoise(model, image, 25)
    np.testing.assert_array_equal(denoise(same, image, 25), expected)
    np.testing.assert_array_equal(denoise(same, image, 25, twin=True), denoise(model, image, 25, twin=True))
    for same in [copy.copy(model), copy.deepcopy([model])[0]]:
        np.testing.assert_array_equal(same(image, 25), expected)


def test_a_model_is_called(tiny):
    model, image = ppdenoise.Model(tiny), noisy("float64") / 255
    found = model(image, 0.1, data_range=1)
    np.testing.assert_array_equal(found, denoise(model, image, 0.1, data_range=1))
    np.testing.assert_array_equal(model(image, sigma=0.1, data_range=1, twin=True).shape, SIZE)


def test_a_model_is_saved_with_what_it_is(program, tiny, told, tmp_path, fails):
    told.save(tmp_path / "same.npz")
    again = ppdenoise.Model(tmp_path / "same.npz")
    np.testing.assert_array_equal(again(noisy(), 25), told(noisy(), 25))
    error = fails("exists already", FileExistsError, told.save, tmp_path / "same.npz")
    assert error.filename == str(tmp_path / "same.npz")
    told.save(tmp_path / "same.npz", overwrite=True)
    fails("written as .npz", ValueError, told.save, tmp_path / "same.pth")
    fails("does not exist", FileNotFoundError, told.save, tmp_path / "nowhere/same.npz")
    np.save(tmp_path / "noisy.npy", noisy())
    program(tmp_path, "denoise", "noisy.npy", "--model", "same.npz", "--sigma", 25, "--out", "out.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), told(noisy(), 25))


@pytest.mark.parametrize("name", ["tiny-9-5-24.pth", "tiny-9-5-24-legacy.pth"])
def test_a_file_without_a_description_is_imported_as_by_the_program(program, tiny, tmp_path, name, fails):
    shutil.copy(MODELS / name, tmp_path / "brought.pth")
    fails("does not say for which noise.*sigma=25", ValueError, ppdenoise.Model, tmp_path / "brought.pth")
    model = ppdenoise.Model(tmp_path / "brought.pth", sigma=25)
    program(tmp_path, "import", "brought.pth", "--sigma", 25, "--out", "program.npz")
    written = ppdenoise.import_model(tmp_path / "brought.pth", tmp_path / "here.npz", sigma=25)
    assert (tmp_path / "here.npz").read_bytes() == (tmp_path / "program.npz").read_bytes()
    expected = denoise(tmp_path / "program.npz", noisy(), 25)
    for same in [model, written]:
        np.testing.assert_array_equal(same(noisy(), 25), expected)
    again = ppdenoise.import_model(
        tmp_path / "brought.pth", tmp_path / "here.npz", sigma=25, activation="tanh", range=(-2.5, 2.5),
        predicts="noise", family="mlp", overwrite=True,
    )
    np.testing.assert_array_equal(again(noisy(), 25), expected)


def test_what_is_told_of_a_file_is_believed_or_refused(tiny, tmp_path, fails):
    brought = tmp_path / "brought.pth"
    shutil.copy(MODELS / "tiny-9-5-24.pth", brought)
    model = ppdenoise.Model
    fails("activation is 'sin'", ValueError, model, brought, sigma=25, activation="sin")
    fails("predicts is 'nothing'; expected noise", ValueError, model, brought, sigma=25, predicts="nothing")
    fails("family is 'unet'", ValueError, model, brought, sigma=25, family="unet")
    for range_ in [(1, 0), (0, np.inf), "0..1", (0, 1, 2), 1]:
        fails("range is", ValueError, model, brought, sigma=25, range=range_)
    fails("sigma is True", TypeError, model, brought, sigma=True)
    fails("sigma is -1", ValueError, model, brought, sigma=-1)
    error = fails("it does not denoise however", ValueError, model, brought, sigma=25, predicts="image", range=(0, 1))
    assert str(brought) in str(error)
    fails("has a description, which says how", ValueError, model, tiny, sigma=25)
    fails("both the input and the output", ValueError, ppdenoise.import_model, brought, brought, sigma=25)
    fails("written as .npz", ValueError, ppdenoise.import_model, brought, tmp_path / "out.pth", sigma=25)
    (tmp_path / "there.npz").touch()
    fails("exists already", FileExistsError, ppdenoise.import_model, brought, tmp_path / "there.npz", sigma=25)


def test_what_a_file_leaves_open_is_asked_for_in_words_of_python(fails):
    """Several ways denoise alike: the sentence names arguments."""
    said = "say which with activation=, range="
    error = fails(said, ValueError, ppdenoise.Model, MODELS / "range-minus1-1.pth", sigma=25)
    assert "--" not in str(error)


def test_a_doubtful_description_is_told(tiny, tmp_path):
    shutil.copy(MODELS / "mlp-21-9-3x512-s25.npz", tmp_path / "wrong.npz")
    says = json.loads((MODELS / "mlp-21-9-3x512-s25.json").read_text())
    (tmp_path / "wrong.json").write_text(json.dumps(says))
    ppdenoise.Model(tmp_path / "wrong.npz")
    says["residual"] = not says["residual"]
    (tmp_path / "wrong.json").write_text(json.dumps(says))
    with pytest.warns(ppdenoise.ModelWarning, match="its description is in doubt"):
        ppdenoise.Model(tmp_path / "wrong.npz")


def test_a_model_is_calibrated_as_by_the_program(program, tmp_path, fails):
    pillow = pytest.importorskip("PIL.Image")
    model = ppdenoise.Model(MODELS / "dncnn-s25.npz")
    rng = np.random.default_rng(5)
    images = [np.clip(noisy("uint8") + rng.integers(0, 9, SIZE), 0, 255).astype("uint8") for _ in range(3)]
    for number, image in enumerate(images):
        (tmp_path / "clean").mkdir(exist_ok=True)
        pillow.fromarray(image).save(tmp_path / f"clean/{number}.png")
    program(tmp_path, "calibrate", MODELS / "dncnn-s25.npz", "--data", "clean", "--out", "program.npz", "--seed", 3)
    calibrated = ppdenoise.calibrate(model, images, seed=3)
    calibrated.save(tmp_path / "here.npz")
    assert (tmp_path / "here.npz").read_bytes() == (tmp_path / "program.npz").read_bytes()
    assert calibrated.calibrated
    # The same values in other units, and as one array.
    unit = np.stack(images).astype("float64") / 255
    same = ppdenoise.calibrate(model, unit, data_range=1, seed=3)
    np.testing.assert_allclose(same(noisy()), calibrated(noisy()), atol=1e-3)
    calibrate = ppdenoise.calibrate
    fails("no images", ValueError, calibrate, model, [])
    fails("expected several images", ValueError, calibrate, model, images[0])
    fails("expected several images", TypeError, calibrate, model, None)
    fails(r"images\[0\] has 3 axes", ValueError, calibrate, model, [np.stack(images)])
    fails(r"'images\[1\]': the values are floats.*data_range=1", ValueError, calibrate, model, [unit[0] * 255, unit[1]])
    fails("different types", ValueError, calibrate, model, [images[0], images[0].astype("uint16") * 257])
    fails("prune=True", ValueError, calibrate, model, images, activations=3)
    fails("held_out", ValueError, calibrate, model, images, strict=True)
    fails("seed is", ValueError, calibrate, model, images, seed=-1)
    fails("sigma is True", TypeError, calibrate, model, images, True)
    fails("3x3", ValueError, calibrate, ppdenoise.Model(MODELS / "tiny-9-5-24.npz"), [images[0][:3, :3]])


def test_a_network_is_calibrated_before_it_is_shared(tmp_path, fails):
    brought, out = MODELS / "range-minus1-1.pth", tmp_path / "imported.npz"
    model = ppdenoise.import_model(brought, out, sigma=25, activation="relu", range=(-1, 1))
    assert not model.calibrated
    fails("calibrate it first, with ppdenoise.calibrate", ValueError, ppdenoise.secure_denoise, model, noisy(), 25)
    calibrated = ppdenoise.calibrate(model, [noisy()])
    assert np.abs(ppdenoise.secure_denoise(calibrated, noisy(), 25) - calibrated(noisy(), 25)).mean() < 3
