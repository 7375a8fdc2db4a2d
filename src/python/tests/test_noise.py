"""What may be told of the noise, and what is refused."""

import fractions

import numpy as np
import pytest
from pictures import SIZE, assert_within, noisy

import ppdenoise

denoise = ppdenoise.denoise


def test_a_level_is_any_real_number(tiny):
    expected = denoise(tiny, noisy(), 20.0)
    for sigma in [20, np.float32(20), np.int16(20), np.uint8(20), fractions.Fraction(20), np.array(20.0)]:
        np.testing.assert_array_equal(denoise(tiny, noisy(), sigma), expected)


def test_what_is_no_level_is_refused(tiny, fails):
    image = noisy()
    for sigma in [True, False, np.True_, np.array(True), [True], 1j, b"auto", {}, object()]:
        fails("sigma is", TypeError, denoise, tiny, image, sigma)
    for sigma in [0, -1, -0.0, np.nan, np.inf, -np.inf, "some", "Auto", np.array(-1.0), np.nan * np.ones(SIZE)]:
        fails("sigma ", ValueError, denoise, tiny, image, sigma)
    fails("sigma is 256, more than white", ValueError, denoise, tiny, image, 256)
    for shape in [(1,), (2,), SIZE[::-1], (2, *SIZE), (47,), (34, 1)]:
        sigma = np.full(shape, 25.0)
        fails(r"sigma has the shape .*\(34, 47\) for each pixel", ValueError, denoise, tiny, image, sigma)
    batch = np.stack([image, image])
    for sigma in [[25], [25, 25, 25], np.full((3, *SIZE), 25.0), np.full((2, 1), 25.0), np.full(47, 25.0), []]:
        fails(r"sigma has the shape .*\(2,\) for each image", ValueError, denoise, tiny, batch, sigma)
    fails("sigma is -3.0", ValueError, denoise, tiny, batch, [25, -3])
    fails("sigma is masked|expected a number, or an array", TypeError, denoise, tiny, batch, np.ma.array([25.0, 25.0]))


def test_noise_that_a_model_does_not_serve_is_told(tiny, told, fails):
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    little = 80 + rows + columns + np.random.default_rng(1).normal(0, 2, SIZE)
    with pytest.warns(ppdenoise.NoiseWarning, match="noise of 2.000 grey levels, and the model serves 5"):
        denoise(tiny, little, 2)
    with pytest.warns(ppdenoise.NoiseWarning, match=r"'image\[1\]': noise of 2"):
        denoise(tiny, np.stack([noisy("float64"), little]), [25, 2])
    # In units of another white; on shares, which hold the levels of some noise only, it is refused.
    with pytest.warns(ppdenoise.NoiseWarning, match="noise of 2.000 grey levels"):
        denoise(tiny, little / 255, 2 / 255, data_range=1)
    said = "lie outside the levels that the model was shared for, .* noise of 2.000 grey levels"
    fails(said, ValueError, ppdenoise.secure_denoise, tiny, little / 255, 2 / 255, data_range=1)
    with pytest.warns(ppdenoise.NoiseWarning, match="sigma is not told, and is taken for 75 grey levels"):
        denoise(told, noisy())
    fails("noise of 80 grey levels, and the model was trained for at most 75", ValueError, denoise, told, noisy(), 80)


def test_the_most_noise_that_is_served_may_be_told_in_any_units(told):
    most = np.float32(75 / 255)
    assert float(most) * 255 > 75, "float32 rounds it up"
    for sigma in [most, 75 / 255, np.full(SIZE, most)]:
        denoise(told, noisy() / 255, sigma, data_range=1)


def test_a_network_that_is_told_the_noise_takes_a_level_for_each_pixel(told):
    image = noisy()
    expected = denoise(told, image, 25)
    np.testing.assert_array_equal(denoise(told, image, np.full(SIZE, 25.0)), expected)
    unit = denoise(told, image / 255, np.full(SIZE, 25 / 255), data_range=1)
    np.testing.assert_allclose(unit * 255, expected, atol=2e-3)
    # More noise on the right than on the left.
    wide = np.tile(image, (1, 4))
    sigmas = np.full(wide.shape, 10.0)
    sigmas[:, 94:] = 60
    found, little, much = denoise(told, wide, sigmas), denoise(told, wide, 10), denoise(told, wide, 60)
    left, right = (slice(None), slice(0, 40)), (slice(None), slice(150, None))
    assert np.abs(found[left] - little[left]).max() < 1 < 5 < np.abs(found[left] - much[left]).max()
    assert np.abs(found[right] - much[right]).max() < 1 < 5 < np.abs(found[right] - little[right]).max()
    # One for all of several images, or one for each; and for all channels of one.
    batch = np.stack([wide, wide[::-1]])
    np.testing.assert_array_equal(denoise(told, batch, sigmas)[0], found)
    both = denoise(told, batch, np.stack([sigmas, np.full(wide.shape, 10.0)]))
    np.testing.assert_array_equal(both[0], found)
    np.testing.assert_array_equal(both[1], denoise(told, wide[::-1], 10))
    colour = denoise(told, np.stack([wide, wide, wide], axis=-1), sigmas, channel_axis=-1)
    np.testing.assert_array_equal(colour[:, :, 2], found)


def test_other_networks_and_servers_take_one_level(tiny, told, parties, fails):
    image, sigmas = noisy(), np.full(SIZE, 25.0)
    fails("this network is told none", ValueError, denoise, tiny, image, sigmas)
    fails("on shares an image has one level", ValueError, denoise, told, image, sigmas, twin=True)
    fails("on shares an image has one level", ValueError, ppdenoise.secure_denoise, told, image, sigmas)
    public, keys = parties / "model.pub", parties / "keys"
    fails("on shares an image has one level", ValueError, ppdenoise.share, image, public, keys, sigmas)
    fails("at most 75", ValueError, denoise, told, image, np.full(SIZE, 80.0))
    fails("negative or not finite", ValueError, denoise, told, image, np.full(SIZE, -1.0))
    fails("'image'.*row 0, column 0|negative or not finite", ValueError, denoise, told, image, np.full(SIZE, np.nan))


def test_several_images_go_through_the_servers_each_with_its_noise(tiny):
    images = np.stack([noisy("float64"), noisy("float64")[::-1]]) / 255
    sigmas = np.array([20, 40]) / 255
    secure = ppdenoise.secure_denoise(tiny, images, sigmas, data_range=1)
    twin = denoise(tiny, images, sigmas, data_range=1, twin=True)
    assert secure.dtype == np.float64 and secure.shape == images.shape
    # The bound is for noise of 25 grey levels, to which that of 40 is scaled.
    assert_within(secure * 255, twin * 255, (1.0, 5.0))
    assert np.abs(twin[0] - twin[1][::-1]).max() * 255 > 3, "the two are no one picture"
