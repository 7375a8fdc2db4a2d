"""The package against the program: the same bytes where nothing is drawn at random, the twin's bounds where it is."""

import json
import socket
import threading

import numpy as np
import pytest

import ppdenoise
from pictures import BOUND, SIZE, assert_within, noisy, read_pnm, write_pnm


@pytest.mark.parametrize("sigma", [None, 20.0, "auto"])
@pytest.mark.parametrize("twin", [False, True])
def test_floats_are_denoised_as_by_the_program(program, tiny, tmp_path, sigma, twin):
    image = noisy()
    np.save(tmp_path / "noisy.npy", image)
    flags = ["--sigma", sigma] if sigma else []
    flags += ["--twin"] if twin else []
    program(tmp_path, "denoise", "noisy.npy", "--model", tiny, "--out", "out.npy", *flags)
    denoised = ppdenoise.denoise(tiny, image, sigma, twin=twin)
    assert denoised.dtype == np.float32 and denoised.shape == SIZE
    np.testing.assert_array_equal(denoised, np.load(tmp_path / "out.npy"))


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("channels", [None, 3])
def test_integers_and_colour_are_denoised_as_by_the_program(program, tiny, tmp_path, dtype, channels):
    image = noisy(dtype, channels)
    name = "ppm" if channels else "pgm"
    write_pnm(tmp_path / f"noisy.{name}", image)
    flags = ["--color"] if channels else []
    program(tmp_path, "denoise", f"noisy.{name}", "--model", tiny, "--out", f"out.{name}", *flags)
    axis = -1 if channels else None
    denoised = ppdenoise.denoise(ppdenoise.Model(tiny), image, channel_axis=axis)
    expected = read_pnm(tmp_path / f"out.{name}")
    assert denoised.dtype == image.dtype == expected.dtype
    np.testing.assert_array_equal(denoised, expected)
    # Whatever the order of an array's bytes in memory.
    turned = np.asfortranarray(image)
    np.testing.assert_array_equal(ppdenoise.denoise(tiny, turned, channel_axis=axis), expected)


@pytest.mark.parametrize("material", ["dealt", "made"])
def test_the_servers_denoise_as_the_twin(tiny, tmp_path, material):
    image = noisy()
    model = ppdenoise.Model(tiny)
    secure = ppdenoise.secure_denoise(model, image, 25, material=material, work=tmp_path)
    twin = ppdenoise.denoise(model, image, 25, twin=True)
    assert secure.dtype == np.float32
    assert_within(secure, twin)
    assert not np.array_equal(secure, twin), "rounded at random, and so not the twin itself"
    assert list(tmp_path.iterdir()) == [], "keys, state and material are gone"


def test_colour_of_few_bits_goes_through_the_servers(tiny):
    image = noisy("uint8", 3)
    secure = ppdenoise.secure_denoise(tiny, image, channel_axis=-1)
    assert secure.dtype == np.uint8 and secure.shape == image.shape
    assert_within(secure, ppdenoise.denoise(tiny, image, channel_axis=-1, twin=True), (BOUND[0] + 0.5, BOUND[1] + 1))


def serve(program, folder):
    """Both servers as processes of the program."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    common = ["--keys", "keys", "--insecure"]

    def server(party):
        half = f"s{party}"
        line = ["serve", "--party", party, "--model", f"model.{half}", "--triplets", f"trip.{half}"]
        line += ["--image", f"image.{half}", "--out", f"result.{half}", "--state", f"state{party}", *common]
        return program.start(folder, *line, "--listen" if party == 0 else "--connect", address)

    started = [server(0), server(1)]
    for process in started:
        _, told = process.communicate(timeout=300)
        assert process.returncode == 0, told


def test_what_is_shared_here_is_denoised_by_the_program_and_put_together_here(program, parties, tiny):
    image = noisy()
    keys, public = parties / "keys", parties / "model.pub"
    [(first, second)] = ppdenoise.share(image, public, keys, 25)
    assert len(second) < 1000 < len(first), "server 1's half is a seed"
    (parties / "image.s0").write_bytes(first)
    (parties / "image.s1").write_bytes(second)
    height, width = SIZE
    program(parties, "gen-triplets", "--keys", "keys", "--model", "model.pub", "--size", f"{height}x{width}",
            "--images", 1, "--out", "trip")
    serve(program, parties)
    program(parties, "reconstruct", "result.s0", "result.s1", "--keys", "keys", "--out", "out.npy")
    of_files = ppdenoise.reconstruct([(parties / "result.s0", parties / "result.s1")], keys)
    halves = tuple((parties / f"result.s{party}").read_bytes() for party in (1, 0))
    np.testing.assert_array_equal(of_files, np.load(parties / "out.npy"))
    np.testing.assert_array_equal(ppdenoise.reconstruct([halves], keys), of_files)
    assert_within(of_files, ppdenoise.denoise(tiny, image, 25, twin=True))
    for name, kind in [("image.s0", "image share"), ("model.pub", "public model description")]:
        facts = ppdenoise.inspect(parties / name)
        told = json.loads(program(parties, "inspect", name, "--json"))
        assert facts["kind"] == kind and facts == {field: told[field] for field in facts}
    assert ppdenoise.inspect(parties / "image.s0")["height"] == height


def test_each_channel_is_shared_by_itself(parties):
    public = (parties / "model.pub").read_bytes()
    shares = ppdenoise.share(noisy("uint16", 3), public, parties / "keys", channel_axis=-1)
    assert len(shares) == 3 and len({half for pair in shares for half in pair}) == 6


def test_other_threads_run_meanwhile(tiny):
    """The lock is released: while one thread computes another counts."""
    model, image = ppdenoise.Model(tiny), np.tile(noisy(), (8, 8))
    worker = threading.Thread(target=ppdenoise.denoise, args=(model, image), kwargs={"twin": True})
    worker.start()
    turns = 0
    while worker.is_alive():
        turns += 1
    worker.join()
    assert turns > 1000, turns


def test_a_model_for_colours_takes_the_channels_together(colour, tmp_path, fails):
    image = noisy("float32", 3)[:21, :18]
    twin = ppdenoise.denoise(colour, image, 25, channel_axis=-1, twin=True)
    secure = ppdenoise.secure_denoise(colour, image, 25, channel_axis=-1, work=tmp_path)
    assert secure.shape == image.shape
    assert_within(secure, twin)
    fails("the image is grey", ValueError, ppdenoise.denoise, colour, image[:, :, 0], 25)
    # Noise that is the same in all planes is that of a grey image.
    equal = np.repeat(image[:, :, :1], 3, axis=2)
    fails("the image is grey", ValueError, ppdenoise.denoise, colour, equal, 25, channel_axis=-1)
