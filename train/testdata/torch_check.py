"""Checks a run's checkpoints from outside: PyTorch loads them as they are and classifies exactly as
many of the test images right as the run's report says, before and after.

    python3 torch_check.py RUN_FOLDER MNIST_FOLDER      (needs torch, numpy, safetensors)
"""
import gzip
import json
import pathlib
import sys

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn


class Network(nn.Module):
    """The network as a PyTorch user would write it; the layers' names are the checkpoint's."""

    def __init__(self, arch, classes=10):
        super().__init__()
        if arch == "fast_cnn":
            self.conv1, self.conv2 = nn.Conv2d(1, 16, 4, 2, 1), nn.Conv2d(16, 32, 4, 2, 1)
            self.fc1, self.fc2 = nn.Linear(32 * 7 * 7, 100), nn.Linear(100, classes)
            self.pool = nn.Identity()
        elif arch == "madry_cnn":
            self.conv1, self.conv2 = nn.Conv2d(1, 32, 5, padding=2), nn.Conv2d(32, 64, 5, padding=2)
            self.fc1, self.fc2 = nn.Linear(64 * 7 * 7, 1024), nn.Linear(1024, classes)
            self.pool = nn.MaxPool2d(2)
        else:
            sys.exit(f"no PyTorch twin of {arch!r} here: fast_cnn and madry_cnn have one")

    def forward(self, x):
        x = self.pool(torch.relu(self.conv1(x)))
        x = self.pool(torch.relu(self.conv2(x)))
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


def load(path):
    """The network of a checkpoint, and its description."""
    with safe_open(path, "pt") as f:
        spec = json.loads(f.metadata()["model"])["spec"]
    net = Network(spec["arch"], spec["classes"])
    net.load_state_dict(load_file(path))  # strict: every tensor, by name and shape
    return net.eval(), spec


def idx(path, header):
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


def images(mnist, n):
    """n test images in [0,1] and their labels, evenly spaced, as package data chooses them."""
    labels = idx(mnist / "t10k-labels-idx1-ubyte.gz", 8)
    pixels = idx(mnist / "t10k-images-idx3-ubyte.gz", 16).reshape(len(labels), 1, 28, 28)
    chosen = np.arange(n) * len(labels) // n
    return torch.from_numpy(pixels[chosen].astype(np.float32) / np.float32(255)), torch.from_numpy(labels[chosen].astype(np.int64))


def check(run, mnist, stage, file):
    row = next(r for r in json.loads((run / "report.json").read_text())["rows"] if r["stage"] == stage and r["attack"] == "clean")
    net, spec = load(run / file)
    n = row["n"]
    x, labels = images(mnist, n)
    if spec.get("mean"):
        x = (x - torch.tensor(spec["mean"])[:, None, None]) / torch.tensor(spec["std"])[:, None, None]
    with torch.no_grad():
        right = int((net(x).argmax(1) == labels).sum())

    reported = row["accuracy"] * n
    print(f"{file}: PyTorch {torch.__version__} classifies {right} of {n} right, the report says {reported:g}")
    return abs(reported - right) < 1e-6


def main():
    run, mnist = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    same = [check(run, mnist, "before", "baseline.safetensors"), check(run, mnist, "after", "best.safetensors")]
    if not all(same):
        sys.exit("the accuracies differ")


if __name__ == "__main__":
    main()
