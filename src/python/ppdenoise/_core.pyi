import os
from typing import Literal, Sequence, Union

_Shape = tuple[int, int, int]
_Sigma = Union[float, Literal["auto"], None]
_Bytes = Union[bytes, str]

__version__: str

class Error(Exception):
    """Why something cannot be done, in one sentence."""

class Model:
    """A network as it was trained, from a .npz, safetensors, PyTorch, ONNX or MATLAB file.

    A description beside it, ``NAME.json``, is read too.
    """

    def __init__(self, path: Union[str, "os.PathLike[str]"]) -> None: ...
    @property
    def sigma(self) -> float:
        """The noise that it was trained on, in grey levels; the most, if it is told that of each image."""

    @property
    def weights(self) -> int:
        """How many weights it has."""

def denoise(model: Model, samples: bytes, shape: _Shape, dtype: str, sigma: _Sigma, twin: bool) -> bytes: ...
def secure_denoise(
    model: Model, samples: bytes, shape: _Shape, dtype: str, sigma: _Sigma, material: str, work: str | None
) -> bytes: ...
def share(
    samples: bytes, shape: _Shape, dtype: str, public: _Bytes, keys: str, sigma: _Sigma, passphrase: str | None
) -> list[tuple[bytes, bytes]]: ...
def reconstruct(
    results: Sequence[tuple[_Bytes, _Bytes]], keys: str, passphrase: str | None
) -> tuple[bytes, _Shape]: ...
def inspect(path: str) -> str: ...
