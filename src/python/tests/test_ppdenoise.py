"""The package against the program: the same bytes where nothing is drawn at random, the twin's bounds where it is."""

import json
import re
import socket
import threading

import numpy as np
import pytest

import ppdenoise

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
    denoised = ppdenoise.denoise(ppdenoise.Model(tiny), image)
    expected = read_pnm(tmp_path / f"out.{name}")
    assert denoised.dtype == image.dtype == expected.dtype
    np.testing.assert_array_equal(denoised, expected)
    # Whatever the order of an array's bytes in memory.
    turned = np.asfortranarray(image)
    np.testing.assert_array_equal(ppdenoise.denoise(tiny, turned), expected)


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
    secure = ppdenoise.secure_denoise(tiny, image)
    assert secure.dtype == np.uint8 and secure.shape == image.shape
    assert_within(secure, ppdenoise.denoise(tiny, image, twin=True), (BOUND[0] + 0.5, BOUND[1] + 1))


@pytest.fixture
def parties(program, tiny, tmp_path):
    program(tmp_path, "keygen", "--out", "keys")
    program(tmp_path, "share-model", tiny, "--keys", "keys", "--out", "model")
    return tmp_path


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
    shares = ppdenoise.share(noisy("uint16", 3), (parties / "model.pub").read_bytes(), parties / "keys")
    assert len(shares) == 3 and len({half for pair in shares for half in pair}) == 6


def test_failures_are_exceptions_of_one_sentence(parties, tiny, tmp_path):
    image = noisy()

    def fails(text, function, *args, **more):
        with pytest.raises(ppdenoise.Error) as caught:
            function(*args, **more)
        assert "\n" not in str(caught.value) and re.search(text, str(caught.value)), caught.value

    denoise = ppdenoise.denoise
    fails("array of float64; expected uint8, uint16 or float32", denoise, tiny, image.astype("float64"))
    fails(r"shape \(34, 47, 2\)", denoise, tiny, np.zeros((*SIZE, 2), "uint8"))
    fails("row 0, column 0", denoise, tiny, np.full(SIZE, np.nan, "float32"))
    fails("3x3", denoise, tiny, image[:3, :3])
    fails("sigma is -1", denoise, tiny, image, -1)
    fails("sigma is 'some'", denoise, tiny, image, "some")
    fails("nowhere", denoise, tmp_path / "nowhere.npz", image)
    (tmp_path / "no.npz").write_bytes(b"no model")
    fails("no.npz'", ppdenoise.Model, tmp_path / "no.npz")
    fails("material is 'bought'", ppdenoise.secure_denoise, tiny, image, material="bought")
    fails("nowhere", ppdenoise.secure_denoise, tiny, image, work=tmp_path / "nowhere")
    keys, public = parties / "keys", parties / "model.pub"
    fails("no ppdenoise file", ppdenoise.share, image, b"no description", keys)
    fails("no key folder", ppdenoise.share, image, public, tmp_path / "nowhere")
    [(first, second)] = ppdenoise.share(image, public, keys)
    fails("expected a result share", ppdenoise.reconstruct, [(first, second)], keys)
    fails("does not exist", ppdenoise.reconstruct, [("a", "b")], keys)
    fails("1 plane or 3, found 0", ppdenoise.reconstruct, [], keys)
    fails("does not exist", ppdenoise.inspect, tmp_path / "nowhere")
    # Arguments of another type are Python's own business.
    with pytest.raises(TypeError):
        ppdenoise.denoise(tiny, image, sigma=[25])


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


def test_a_model_tells_what_it_is(tiny):
    model = ppdenoise.Model(str(tiny))
    assert (model.sigma, model.weights) == (25.0, 2544)
    assert "2544" in repr(model) and ppdenoise.__version__
