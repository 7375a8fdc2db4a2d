"""Ctrl-C ends a call long before its work would end, and leaves nothing behind."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from conftest import ROOT

import ppdenoise

MODELS = ROOT / "fixtures/models"
# Runs a call and interrupts it as a terminal does: by a signal to the process, once the call has begun. Tells after how
# many seconds from the signal it ended, and how.
CHILD = """
import os, signal, sys, threading, time
import numpy as np
import ppdenoise

def image(side):
    rows, columns = np.mgrid[:side, :side]
    return (60 + rows % 97 + columns % 89 + np.random.default_rng(1).normal(0, 25, (side, side))).astype("float32")

call = {call}
sent = []

def interrupt():
    sent.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)

timer = threading.Timer({after}, interrupt)
timer.start()
try:
    call()
    how = "done"
except KeyboardInterrupt:
    how = "interrupted"
print(how, time.monotonic() - sent[0] if sent else -1.0, flush=True)
"""
DEFAULT = f"ppdenoise.Model({str(MODELS / 'default.npz')!r})"
CALLS = {
    "float": f"lambda model={DEFAULT}, noisy=image(4096): model(noisy, 25)",
    "several": f"lambda model={DEFAULT}, noisy=np.stack([image(64)] * 9999): model(noisy, 25)",
    "twin": f"lambda model={DEFAULT}, noisy=image(4096): model(noisy, 25, twin=True)",
    "dealt": f"lambda model={DEFAULT}, noisy=image(1024): ppdenoise.secure_denoise(model, noisy, 25, work='.')",
    "made": f"lambda model={DEFAULT}, noisy=image(1024): "
    "ppdenoise.secure_denoise(model, noisy, 25, material='made', work='.')",
    "calibrate": f"lambda model={DEFAULT}, clean=[image(512)] * 64: ppdenoise.calibrate(model, clean)",
    "import": f"lambda: [ppdenoise.import_model({str(MODELS / 'tiny-9-5-24.pth')!r}, 'out.npz', sigma=25, "
    "overwrite=True) for _ in range(9999)]",
}


@pytest.mark.parametrize("name", CALLS)
def test_an_interrupt_ends_a_call_within_a_second(name, tmp_path):
    started = time.monotonic()
    program = CHILD.format(call=CALLS[name], after=1.5)
    line = [sys.executable, "-c", program]
    ended = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 0, ended.stderr
    how, seconds = ended.stdout.split()
    assert how == "interrupted" and 0 <= float(seconds) < 2, (ended.stdout, ended.stderr)
    assert "panicked" not in ended.stderr and ended.stderr == "", ended.stderr
    # Of the folder of work, and of outputs that are not complete.
    assert [path.name for path in tmp_path.iterdir() if path.name != "out.npz"] == []
    # What was not interrupted would take minutes.
    assert time.monotonic() - started < 60


def test_a_call_can_be_repeated_after_an_interrupt(tiny):
    """What the interrupted call held is free again: here in one process, by a signal that Python raises itself."""
    image = np.random.default_rng(1).normal(128, 25, (2048, 2048)).astype("float32")
    model = ppdenoise.Model(tiny)
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), 2))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        while True:
            model(image)
    timer.join()
    assert model(image[:64, :64]).shape == (64, 64)


def test_a_thread_that_is_not_the_main_one_works_to_its_end(tiny):
    model, image, found = ppdenoise.Model(tiny), np.full((128, 128), 99, "uint8"), []
    worker = threading.Thread(target=lambda: found.append(model(image)))
    worker.start()
    worker.join()
    assert found[0].shape == image.shape
