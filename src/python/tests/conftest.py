"""The program that the package is compared with, and the pictures and models of the project."""

import re
import subprocess
from pathlib import Path

import pytest

import ppdenoise

ROOT = Path(__file__).resolve().parents[3]


def pytest_addoption(parser):
    parser.addoption("--program", required=True, help="the program ppdenoise, built from the same tree")


@pytest.fixture(scope="session")
def program(request):
    """Runs a command of the program in a folder."""
    binary = Path(request.config.getoption("--program")).resolve()

    def run(folder, *args):
        line = [str(binary), *map(str, args)]
        ended = subprocess.run(line, cwd=folder, capture_output=True, text=True, timeout=600, check=False)
        assert ended.returncode == 0, f"{args}: {ended.stderr}"
        return ended.stdout

    run.start = lambda folder, *args: subprocess.Popen(
        [str(binary), *map(str, args)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    return run


@pytest.fixture(scope="session")
def tiny():
    return ROOT / "fixtures/models/tiny-9-5-24.npz"


@pytest.fixture(scope="session")
def told():
    """A network that is told the noise."""
    return ppdenoise.Model(ROOT / "fixtures/models/default.npz")


@pytest.fixture(scope="session")
def colour():
    """A network for colour pictures."""
    return ppdenoise.Model(ROOT / "fixtures/models/colour.npz")


@pytest.fixture
def parties(program, tiny, tmp_path):
    """Keys of all parties and a shared model."""
    program(tmp_path, "keygen", "--out", "keys")
    program(tmp_path, "share-model", tiny, "--keys", "keys", "--out", "model")
    return tmp_path


@pytest.fixture
def fails():
    """Asserts that a call is refused in one sentence that matches, by an exception of these classes."""

    def check(text, kind, function, *args, **more):
        with pytest.raises(kind) as caught:
            function(*args, **more)
        told = str(caught.value)
        assert isinstance(caught.value, ppdenoise.Error), repr(caught.value)
        assert "\n" not in told and re.search(text, told), told
        return caught.value

    return check
