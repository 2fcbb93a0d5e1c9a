"""Compares our exports with ONNX Runtime: the logits of every architecture and combination agree to 1e-4
of the largest, and onnx's checker accepts the files.

    pip install onnx onnxruntime safetensors
    python check.py         # anywhere; runs go test
"""

import glob
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime
from safetensors.numpy import load_file

here = os.path.dirname(os.path.abspath(__file__))
with tempfile.TemporaryDirectory() as folder:
    subprocess.run(["go", "test", "-count=1", "-run", "TestONNXRuntime", ".."], check=True, cwd=here, env={**os.environ, "ONNX_CHECK": folder})
    paths = sorted(glob.glob(os.path.join(folder, "*.onnx")))
    failed = 0
    for path in paths:
        onnx.checker.check_model(path, full_check=True)
        want = load_file(path[:-4] + "safetensors")
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        got = session.run(["logits"], {"input": np.ascontiguousarray(want["images"].transpose(0, 3, 1, 2))})[0]
        error = np.abs(got - want["logits"]).max() / np.abs(want["logits"]).max()
        bad = not error <= 1e-4 or got.shape != want["logits"].shape
        failed += bad
        print(f"{os.path.basename(path)}: differs by {error:.1e} of the largest logit{'  <- too much' if bad else ''}")
    if failed or len(paths) < 40:
        sys.exit(f"{failed} of {len(paths)} exports disagree with ONNX Runtime")
