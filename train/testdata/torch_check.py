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


def network(arch, classes):
    """The network as a PyTorch user would write it; the layers' names are the checkpoint's."""
    net = nn.Module()
    if arch == "fast_cnn":
        net.conv1, net.conv2 = nn.Conv2d(1, 16, 4, 2, 1), nn.Conv2d(16, 32, 4, 2, 1)
        net.fc1, net.fc2 = nn.Linear(32 * 7 * 7, 100), nn.Linear(100, classes)
        pool = nn.Identity()
    elif arch == "madry_cnn":
        net.conv1, net.conv2 = nn.Conv2d(1, 32, 5, padding=2), nn.Conv2d(32, 64, 5, padding=2)
        net.fc1, net.fc2 = nn.Linear(64 * 7 * 7, 1024), nn.Linear(1024, classes)
        pool = nn.MaxPool2d(2)
    else:
        sys.exit(f"no PyTorch twin of {arch!r} here: fast_cnn and madry_cnn have one")

    def forward(x):
        x = pool(torch.relu(net.conv1(x)))
        x = pool(torch.relu(net.conv2(x)))
        return net.fc2(torch.relu(net.fc1(x.flatten(1))))

    net.forward = forward
    return net.eval()


def idx(path, header):
    return np.frombuffer(gzip.decompress(path.read_bytes()), np.uint8, offset=header)


def check(run, mnist, stage, file):
    row = next(r for r in json.loads((run / "report.json").read_text())["rows"] if r["stage"] == stage and r["attack"] == "clean")
    with safe_open(run / file, "pt") as f:
        spec = json.loads(f.metadata()["model"])["spec"]
    net = network(spec["arch"], spec["classes"])
    net.load_state_dict(load_file(run / file))  # strict: every tensor, by name and shape

    labels = idx(mnist / "t10k-labels-idx1-ubyte.gz", 8)
    images = idx(mnist / "t10k-images-idx3-ubyte.gz", 16).reshape(len(labels), 1, 28, 28)
    n = row["n"]
    chosen = np.arange(n) * len(labels) // n  # evenly spaced, as package data chooses them
    x = torch.from_numpy(images[chosen].astype(np.float32) / np.float32(255))
    if spec.get("mean"):
        x = (x - torch.tensor(spec["mean"])[:, None, None]) / torch.tensor(spec["std"])[:, None, None]
    with torch.no_grad():
        right = int((net(x).argmax(1).numpy() == labels[chosen]).sum())

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
