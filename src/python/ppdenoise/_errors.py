"""Why something cannot be done. Every exception is an `Error`, and also what Python calls such a thing."""

from __future__ import annotations

import errno


class Error(Exception):
    """Why something cannot be done, in one sentence."""


class InvalidValueError(Error, ValueError):
    """A value, an image or the contents of a file that cannot be meant."""


class InvalidTypeError(Error, TypeError):
    """An argument of a type that has no meaning here."""


class _FileError(Error, OSError):
    """A file, in ``filename``; ``errno`` says what is wrong with it."""

    def __str__(self) -> str:
        # One sentence, where OSError would begin with a number.
        return str(self.args[1]) if len(self.args) > 1 else super().__str__()


class MissingFileError(_FileError, FileNotFoundError):
    """A file or folder that is not there."""


class ExistingFileError(_FileError, FileExistsError):
    """A file that is there already, and is not replaced unless that is asked for."""


class OperatingSystemError(Error, OSError):
    """What the operating system refuses: a full disk, a file that others may not read."""


class NoiseWarning(UserWarning):
    """A picture that may be no good: its noise is none that the model serves, or values left their ranges."""


class ModelWarning(UserWarning):
    """A description beside a model's file that makes a noisy picture no better."""


_OF_FILES = {"MissingFileError": errno.ENOENT, "ExistingFileError": errno.EEXIST}


def made(name: str, sentence: str, file: str | None) -> Error:
    """The exception of a failure in the compiled half."""
    kind: type[Error] = globals()[name]
    if name in _OF_FILES:
        return kind(_OF_FILES[name], sentence, None if file is None else str(file))
    return kind(sentence)
