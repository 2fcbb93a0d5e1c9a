"""MNIST from its four gzipped files, and the networks whose figures reference.py measures."""

import gzip
import json
import pathlib
import struct

import numpy
import torch
from safetensors import safe_open
from torch import nn


def mnist(folder, part):
    """part "train" or "t10k": pixels [n, 1, 28, 28] in [0,1], labels [n]."""
    read = lambda name: gzip.decompress((pathlib.Path(folder) / f"{part}-{name}-ubyte.gz").read_bytes())
    images, labels = read("images-idx3"), read("labels-idx1")
    n = struct.unpack(">I", images[4:8])[0]
    x = numpy.frombuffer(images, numpy.uint8, offset=16).reshape(n, 1, 28, 28)
    y = numpy.frombuffer(labels, numpy.uint8, offset=8)
    return torch.from_numpy(x.astype(numpy.float32) / 255), torch.from_numpy(y.astype(numpy.int64))


def fast_cnn():
    """Wong et al. 2020, "Fast is better than free": their MNIST network."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(32 * 7 * 7, 100), nn.ReLU(), nn.Linear(100, 10))


def lenet5():
    """The layers of advertorch.test_utils.LeNet5, in its order."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(64 * 7 * 7, 200), nn.ReLU(), nn.Linear(200, 10))


def load(path):
    """A network from a checkpoint that export.py wrote, by its own description."""
    with safe_open(path, "pt") as f:
        arch = json.loads(f.metadata()["model"])["spec"]["arch"]
        values = [f.get_tensor(k) for k in f.keys()]
        names = list(f.keys())
    net = (fast_cnn() if arch == "fast_cnn" else lenet5()).eval()
    wanted = ["conv1", "conv2", "fc1", "fc2"]
    layers = [m for m in net if hasattr(m, "weight")]
    tensors = dict(zip(names, values))
    for name, layer in zip(wanted, layers, strict=True):
        layer.weight.data = tensors.pop(name + ".weight")
        layer.bias.data = tensors.pop(name + ".bias")
    assert not tensors, tensors.keys()
    return net.requires_grad_(False)
