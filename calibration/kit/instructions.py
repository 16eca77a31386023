"""The kit's ``README.txt``, for somebody with a board on the desk."""

from __future__ import annotations

from costmodel.calibration.kit.manifest import RESULTS_FILE, Manifest

__all__ = ["instructions"]


def instructions(manifest: Manifest, folder: str) -> str:
    """What to do with a kit.

    Args:
        manifest: What it holds.
        folder: Name of its folder, once unpacked.
    """
    settings = manifest.settings
    threads = f"{settings.threads} thread{'s' if settings.threads > 1 else ''}"
    title = f"Measure {len(manifest.models)} networks on your device"
    return f"""\
{title}
{"=" * len(title)}

1. Copy this folder to the device (unpack it first if it is a zip file).

2. On the device you need Python 3.8 or later, and two packages:

       pip install numpy onnxruntime

   Boards with an accelerator often have an onnxruntime of their own; that one is as good.

3. In the folder, on the device:

       python run.py

   Every network is visited {settings.visits} times, with {settings.runs} timed runs in each visit, on {threads}.
   Leave the device alone meanwhile: close what else computes on it, keep it plugged in and cooled.
   If it is interrupted, by Ctrl-C, a crash or a power cut, start it again: it goes on where it was.
   "python run.py --help" lists what can be changed, the execution provider for example.

4. Copy {RESULTS_FILE} from the folder on the device back into this one and, where costmodel is installed:

       costmodel calibrate import {folder} --name my-board

   From then on "costmodel predict MODEL.onnx -p my-board" tells what a network takes on your device.

The weights in models/ are made up. A network that crashes, hangs or does not fit is noted and skipped.
"""
