"""What the README shows is run; `help` says what there is."""

import inspect
import pydoc
import re

import numpy as np
import pytest
from conftest import ROOT

import ppdenoise

BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "src/python/README.md").read_text(), re.M | re.S)


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_readme_runs(number, monkeypatch, capsys):
    code = BLOCKS[number]
    if "deepinv" in code:
        pytest.importorskip("deepinv")
    monkeypatch.chdir(ROOT)
    exec(compile(code, f"README block {number}", "exec"), {})  # noqa: S102
    assert "deepinv" in code or capsys.readouterr().out


def test_help_shows_everything():
    text = pydoc.render_doc(ppdenoise, renderer=pydoc.plaintext)
    for name in ppdenoise.__all__:
        found = getattr(ppdenoise, name)
        assert name == "__version__" or name in text
        assert name == "__version__" or inspect.getdoc(found), f"{name} has no docstring"
    for word in ["data_range", "channel_axis", "sigma", "units of the image", "Ctrl-C", "ValueError"]:
        assert word in text, word
    for name, member in vars(ppdenoise.Model).items():
        if not name.startswith("_") and not inspect.isdatadescriptor(member) or isinstance(member, property):
            assert inspect.getdoc(member), name
    assert "activation" in pydoc.render_doc(ppdenoise.Model) and str(inspect.signature(ppdenoise.denoise))


def test_all_is_all():
    public = {name for name, found in vars(ppdenoise).items() if inspect.isfunction(found) or inspect.isclass(found)}
    own = {name for name in public if getattr(ppdenoise, name).__module__.startswith("ppdenoise")}
    assert {name for name in own if not name.startswith("_")} <= set(ppdenoise.__all__)
    assert re.fullmatch(r"\d+\.\d+\.\d+", ppdenoise.__version__)


def test_a_denoiser_of_deepinv(tiny):
    """The README's class with the package itself: an inverse problem, solved with it as a prior."""
    deepinv = pytest.importorskip("deepinv")
    torch = pytest.importorskip("torch")
    [code] = [code for code in BLOCKS if "deepinv.models.Denoiser" in code]
    names = {}
    exec(compile(code.split("# To here")[0], "README", "exec"), names)  # noqa: S102
    denoiser = names["Private"](str(ROOT / "fixtures/models/default.npz"))
    rows, columns = np.mgrid[:48, :56]
    clean = torch.tensor(0.2 + 0.3 * (rows > 24) + 0.3 * (columns > 20), dtype=torch.float32)[None, None]
    generator = torch.Generator().manual_seed(1)
    noisy = clean + 0.1 * torch.randn(2, 3, 48, 56, generator=generator)
    found = denoiser(noisy, 0.1)
    assert found.shape == noisy.shape and found.dtype == noisy.dtype
    error = lambda image: (image - clean).square().mean().item()  # noqa: E731
    assert error(found) < error(noisy) / 8
    each = denoiser(noisy, torch.tensor([0.05, 0.1]))
    assert torch.equal(each[1], found[1]) and not torch.equal(each[0], found[0])
    assert torch.equal(denoiser(noisy.double(), 0.1).float(), found)
    # Half of the pixels are missing.
    physics = deepinv.physics.Inpainting((1, 48, 56), mask=0.5, rng=generator)
    physics.noise_model = deepinv.physics.GaussianNoise(0.02)
    measured = physics(clean)
    solver = deepinv.optim.optim_builder(
        iteration="PGD", prior=deepinv.optim.PnP(denoiser=denoiser), data_fidelity=deepinv.optim.L2(), max_iter=30,
        params_algo={"stepsize": 1.0, "g_param": 0.06},
    )
    with torch.no_grad():
        restored = solver(measured, physics)
    assert error(restored) < error(measured) / 3, (error(restored), error(measured))
