"""Whatever an array is, its picture is denoised in its own units, or refused: never another picture in silence."""

import numpy as np
import pytest
from pictures import SIZE, noisy

import ppdenoise

denoise = ppdenoise.denoise
# float32 has 24 bits, and levels of 0 to 255 are taken to other units and back.
CLOSE = 255 * 2**-20


@pytest.mark.parametrize("white", [1.0, 255.0, 4095.0, 65535.0, 1e-6])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sigma", [25.0, None, "auto"])
def test_floats_of_any_range_are_the_same_picture(tiny, white, dtype, sigma):
    levels = noisy("float64")
    image = (levels * (white / 255)).astype(dtype)
    told = sigma * white / 255 if isinstance(sigma, float) else sigma
    found = denoise(tiny, image, told, data_range=white)
    assert found.dtype == dtype and found.shape == SIZE
    np.testing.assert_allclose(found / white * 255, denoise(tiny, levels, sigma), rtol=0, atol=CLOSE)


def test_types_come_back(tiny):
    for dtype in ["uint8", "uint16", "float16", "float32", "float64"]:
        steps = {"uint8": 1, "uint16": 257}.get(dtype, 1)
        image = noisy(dtype)
        found = denoise(tiny, image, 25 * steps)
        assert found.dtype == dtype
        expected = denoise(tiny, (image.astype("float64") / steps), 25) * steps
        most = {"uint8": 0.51, "uint16": 1, "float16": 0.1}.get(dtype, CLOSE)
        inside = np.clip(expected, 0, 255 * steps) if steps > 1 or dtype == "uint8" else expected
        assert np.abs(found.astype("float64") - inside).max() <= most, dtype


def test_sigma_of_16_bits_is_in_their_units(tiny, fails):
    image = noisy("uint16")
    np.testing.assert_array_equal(denoise(tiny, image, 25 * 257), denoise(tiny, image))
    said = "takes away 2.4 times the noise told.*noise of 0.097 grey levels, and the model serves 5.000"
    fails(said, ValueError, denoise, tiny, image, 25)
    # Of 12 bits in 16.
    twelve = (image // 16).astype("uint16")
    fails("say what white is, such as data_range=", ValueError, denoise, tiny, twelve // 16)
    found = denoise(tiny, twelve, 25 / 255 * 4095, data_range=4095)
    assert np.abs(found / 4095 * 65535 - denoise(tiny, image)).max() < 48, "16 steps of 16 bits, and rounding"


def test_integers_are_rounded_and_clipped(tiny):
    image = np.zeros(SIZE, "uint8")
    image[:, 24:] = 255
    found = denoise(tiny, np.clip(image + np.random.default_rng(1).normal(0, 25, SIZE), 0, 255).astype("uint8"))
    assert found.min() == 0 and found.max() == 255


def test_a_range_is_never_guessed_and_refused_when_unlikely(tiny, fails):
    unit = noisy("float64") / 255
    fails("floats from .* to .*, and white is 255.*say data_range=1", ValueError, denoise, tiny, unit)
    fails("say data_range=1", ValueError, denoise, tiny, unit, 0.1)
    fails("say data_range=1", ValueError, denoise, tiny, unit, "auto")
    fails("say data_range=1", ValueError, denoise, tiny, unit.astype("float32"), data_range=255)
    fails("say data_range=1", ValueError, ppdenoise.secure_denoise, tiny, unit)
    # Beyond 0 and 1 by noise.
    assert (unit.min() < 0.1) and denoise(tiny, unit, 0.1, data_range=1).max() < 2
    # The other way round.
    fails("data_range=1 says that white is 1", ValueError, denoise, tiny, unit * 255, data_range=1)
    fails("sigma is 25, more than white, which is 1", ValueError, denoise, tiny, unit, 25, data_range=1)
    fails("reach 255, and data_range=1 says", ValueError, denoise, tiny, np.full(SIZE, 255, "uint8"), data_range=1)
    # One of several.
    batch = np.stack([noisy("float32"), noisy("float32") / 255])
    fails(r"'image\[1\]'.*say data_range=1", ValueError, denoise, tiny, batch)
    # A picture of one value, and one of little contrast where white is told.
    denoise(tiny, np.zeros(SIZE, "float32"))
    dark = 0.3 + 0.02 * unit
    fails("data_range=255 if that is meant", ValueError, denoise, tiny, dark * 255)
    for white in [1.0, 255.0]:
        denoise(tiny, dark * white, 0.1 * white, data_range=white)
    denoise(tiny, 1e-3 * unit, 0.1, data_range=1)
    for white in [0, -1, np.nan, np.inf, 1e-40]:
        fails("data_range is", ValueError, denoise, tiny, unit, data_range=white)
    for white in [True, "1", [1]]:
        fails("data_range is", TypeError, denoise, tiny, unit, data_range=white)


def test_several_images_are_each_its_own(tiny):
    images = np.stack([noisy(), noisy()[::-1], noisy() * 0.5 + 60])
    found = denoise(tiny, images, 25)
    assert found.shape == images.shape
    for one, image in zip(found, images):
        np.testing.assert_array_equal(one, denoise(tiny, image, 25))
    for sigmas in [[22, 25, 40], (22, 25, 40), np.array([22, 25, 40]), np.array([22, 25, 40]).reshape(3, 1, 1)]:
        found = denoise(tiny, images, sigmas)
        for one, image, sigma in zip(found, images, [22, 25, 40]):
            np.testing.assert_array_equal(one, denoise(tiny, image, sigma))
    found = denoise(tiny, images, "auto")
    np.testing.assert_array_equal(found[1], denoise(tiny, images[1], "auto"))
    assert denoise(tiny, images[:0]).shape == (0, *SIZE)
    assert denoise(tiny, images[:1]).shape == (1, *SIZE)
    assert ppdenoise.secure_denoise(tiny, images[:0]).shape == (0, *SIZE)


def test_channels_are_told_as_in_scikit_image(tiny, fails):
    image = noisy("float32", 3)
    planes = [denoise(tiny, image[:, :, channel]) for channel in range(3)]
    expected = np.stack(planes, axis=-1)
    for axis in range(3):
        moved = np.moveaxis(image, -1, axis)
        for told in [axis, axis - 3, np.int64(axis)]:
            found = denoise(tiny, moved, channel_axis=told)
            np.testing.assert_array_equal(found, np.moveaxis(expected, -1, axis))
            assert found.flags.c_contiguous
    batch = np.stack([image, image[::-1]])
    for axis in [1, 2, 3, -1]:
        found = denoise(tiny, np.moveaxis(batch, -1, axis), channel_axis=axis)
        np.testing.assert_array_equal(np.moveaxis(found, axis, -1)[0], expected)
    # Images in grey, which the first axis counts.
    np.testing.assert_array_equal(denoise(tiny, np.moveaxis(image, -1, 0)), np.stack(planes))
    np.testing.assert_array_equal(denoise(tiny, image[:, :, :1], channel_axis=-1)[:, :, 0], planes[0])
    fails(r"\(34, 47, 3\) may be one image in colour", ValueError, denoise, tiny, image)
    fails("say which axis they are", ValueError, denoise, tiny, batch)
    fails("expected another", ValueError, denoise, tiny, batch, channel_axis=0)
    fails("47 channels", ValueError, denoise, tiny, image, channel_axis=1)
    fails("the array has 3 axes", ValueError, denoise, tiny, image, channel_axis=3)
    fails("an image has 3 axes", ValueError, denoise, tiny, image[0], channel_axis=-1)
    fails("expected a number of an axis", TypeError, denoise, tiny, image, channel_axis=True)
    fails("expected a number of an axis", TypeError, denoise, tiny, image, channel_axis=1.0)


def odd(image):
    """The same picture as arrays lie in memory."""
    spread = np.zeros((2 * SIZE[0], 3 * SIZE[1]), image.dtype)
    spread[::2, ::3] = image
    still = image.copy()
    still.flags.writeable = False
    return {
        "big-endian": image.astype(image.dtype.newbyteorder(">")),
        "little-endian": image.astype(image.dtype.newbyteorder("<")),
        "Fortran": np.asfortranarray(image),
        "strided": spread[::2, ::3],
        "reversed": np.ascontiguousarray(image[::-1, ::-1])[::-1, ::-1],
        "transposed": np.ascontiguousarray(image.T).T,
        "read-only": still,
        "matrix": np.asmatrix(image),
        "buffer": memoryview(np.ascontiguousarray(image)),
    }


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_it_does_not_matter_how_an_array_lies_in_memory(tiny, dtype):
    image = noisy(dtype)
    before, expected = image.copy(), denoise(tiny, image)
    for how, same in odd(image).items():
        found = denoise(tiny, same)
        np.testing.assert_array_equal(found, expected, err_msg=how)
        assert type(found) is np.ndarray and found.dtype == expected.dtype and found.flags.writeable, how
    np.testing.assert_array_equal(image, before, err_msg="the image is left as it was")


def test_what_is_no_picture_is_refused_by_name(tiny, fails):
    image = noisy()
    of_type = lambda text, what: fails(text, TypeError, denoise, tiny, what)  # noqa: E731
    for dtype in ["int8", "int16", "int32", "int64", "uint32", "uint64", "complex64", "object", "datetime64[s]"]:
        name = np.dtype(dtype).name.split("[")[0]
        of_type(rf"array of {name}.*image\.astype\('float64'\)", np.zeros(SIZE).astype(dtype))
    of_type("array of bool, which has no noise", image > 100)
    of_type("array of str", np.full(SIZE, "a"))
    of_type("masked array", np.ma.masked_greater(image, 200))
    of_type("expected uint8", None)
    of_type("no array", [[1.0, 2.0], [3.0]])
    of_type("int64", image.astype("int64").tolist())
    if np.dtype("longdouble") != np.dtype("float64"):
        of_type("array of float128|array of longdouble", image.astype("longdouble"))
    of_value = lambda text, what: fails(text, ValueError, denoise, tiny, what)  # noqa: E731
    of_value(r"shape \(\)", np.float32(3))
    of_value(r"shape \(47,\)", image[0])
    of_value(r"shape \(1, 1, 34, 47\)", image[np.newaxis, np.newaxis])
    for empty in [(0, 47), (34, 0), (0, 0), (2, 0, 47)]:
        of_value("both sides must be at least 1", np.zeros(empty, "float32"))
    of_value("3x3", image[:3, :3])
    for value in [np.nan, np.inf, -np.inf]:
        spoilt = image.astype("float64")
        spoilt[5, 7] = value
        of_value("row 5, column 7", spoilt)
        of_value(r"'image\[1\]'.*row 5, column 7", np.stack([image.astype("float64"), spoilt]))
    of_value("row 5, column 7", np.where(np.isnan(spoilt) | np.isinf(spoilt), 1e300, spoilt))


def test_pictures_of_pillow(tiny, fails):
    pillow = pytest.importorskip("PIL.Image")
    grey, colour = pillow.fromarray(noisy("uint8")), pillow.fromarray(noisy("uint8", 3))
    np.testing.assert_array_equal(denoise(tiny, grey), denoise(tiny, noisy("uint8")))
    found = denoise(tiny, colour, channel_axis=-1)
    np.testing.assert_array_equal(found, denoise(tiny, noisy("uint8", 3), channel_axis=-1))
    fails("mode 'P'; convert it", TypeError, denoise, tiny, grey.convert("P"))
    fails("mode 'RGBA'; convert it", TypeError, denoise, tiny, colour.convert("RGBA"), channel_axis=-1)
    fails("mode '1'; convert it", TypeError, denoise, tiny, grey.convert("1"))


def test_tensors_of_torch(tiny, fails):
    torch = pytest.importorskip("torch")
    image = torch.from_numpy(noisy())
    np.testing.assert_array_equal(denoise(tiny, image, torch.tensor(25.0)), denoise(tiny, noisy(), 25))
    batch = torch.stack([image, image.flip(0)])[:, None]
    found = denoise(tiny, batch, torch.tensor([20.0, 30.0]), channel_axis=1)
    np.testing.assert_array_equal(found[1, 0], denoise(tiny, noisy()[::-1], 30))
    fails("requires grad", TypeError, denoise, tiny, image.requires_grad_())
    fails("no array", TypeError, denoise, tiny, image.detach().to(torch.bfloat16))
