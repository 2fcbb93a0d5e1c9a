"""Writes the networks of this folder as checkpoints that Rampart loads, and logits.json.gz beside them.

    pip download --no-deps --no-binary :all: --no-build-isolation advertorch==0.2.3   # and unpack it
    python train_substitute.py MNIST_FOLDER trades.pt
    python export.py MNIST_FOLDER advertorch-0.2.3 trades.pt

    advertorch_lenet5_robust.safetensors    public, adversarially trained (Linf 0.3)
    advertorch_lenet5_clean.safetensors     public, not defended
    substitute_trades.safetensors           ours, by PyTorch: train_substitute.py

NOTICE.md says where each comes from and under which licence. logits.json.gz holds, for the first 16 MNIST
test images: {"first": 16, "pixels": bytes [16][784], "labels": [16], "logits": {file name: [16][10]}},
the logits by PyTorch in float64.
"""

import gzip
import hashlib
import json
import pathlib
import struct
import sys

import torch

from mnist import fast_cnn, lenet5, load, mnist

HERE = pathlib.Path(__file__).parent
LENET5 = {"arch": "layers", "options": {"layer": [
    {"type": "conv", "out": 32, "kernel": 3, "padding": "1"}, {"type": "relu"}, {"type": "maxpool", "kernel": 2},
    {"type": "conv", "out": 64, "kernel": 3, "padding": "1"}, {"type": "relu"}, {"type": "maxpool", "kernel": 2},
    {"type": "flatten"}, {"type": "dense", "out": 200}, {"type": "relu"}, {"type": "dense"}]}}
FAST_CNN = {"arch": "fast_cnn", "options": {}}


def write(path, arch, tensors, epsilon):
    """The container of checkpoints/container.go: safetensors whose checksum covers the whole file."""
    compact = lambda v: json.dumps(v, separators=(",", ":"))
    model = {"spec": arch | {"input": [28, 28, 1], "classes": 10}, "classes": [str(i) for i in range(10)]}
    metadata = {
        "config": "", "figures": "[]", "format": "pt", "model": compact(model), "provenance": "{}", "rampart": "checkpoint",
        "seed": "0", "sha256": "0" * 64, "threat_model": compact({"norm": "linf", "epsilon": epsilon}), "version": "1"}
    header, at = {"__metadata__": metadata}, 0
    for name, t in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + 4 * t.numel()]}
        at += 4 * t.numel()
    text = compact(header).encode()
    text += b" " * (-len(text) % 8)
    body = b"".join(t.contiguous().numpy().astype("<f4").tobytes() for t in tensors.values())
    file = struct.pack("<Q", len(text)) + text + body
    digest = hashlib.sha256(file).hexdigest()
    path.write_bytes(file.replace(b'"sha256":"' + b"0" * 64, b'"sha256":"' + digest.encode(), 1))
    print(f"{path.name}: {path.stat().st_size} bytes")


def main(folder, advertorch, substitute):
    trained = pathlib.Path(advertorch) / "advertorch_examples" / "trained_models"
    x, y = (v[:16] for v in mnist(folder, "t10k"))
    logits = {}
    for name, arch, make, source, epsilon in (
        ("advertorch_lenet5_robust", LENET5, lenet5, trained / "mnist_lenet5_advtrained.pt", 0.3),
        ("advertorch_lenet5_clean", LENET5, lenet5, trained / "mnist_lenet5_clntrained.pt", 0),
        ("substitute_trades", FAST_CNN, fast_cnn, substitute, 0.3),
    ):
        net = make()
        values = list(torch.load(source, map_location="cpu", weights_only=True).values())
        names = [f"{layer}.{kind}" for layer in ("conv1", "conv2", "fc1", "fc2") for kind in ("weight", "bias")]
        net.load_state_dict(dict(zip(net.state_dict(), values, strict=True)))
        path = HERE / f"{name}.safetensors"
        write(path, arch, dict(zip(names, values)), epsilon)
        again = load(path)
        with torch.no_grad():
            assert torch.equal(again(x), net.eval()(x))
            logits[path.name] = net.double()(x.double()).tolist()
    pixels = (x * 255).round().int().flatten(1).tolist()
    text = json.dumps({"first": 16, "pixels": pixels, "labels": y.tolist(), "logits": logits}, separators=(",", ":"))
    (HERE / "logits.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


main(*sys.argv[1:])
