"""What the golden_*.py scripts share: the fixed networks and images, and the rerun in double precision.

A network is flatten, dense, ReLU, dense, the first layer's columns in PyTorch's order C, H, W (which
SetWeights takes). Its weights and its images follow from formulas, so that Go computes them anew:

    weight(phase, scale)[o][i] = scale * sin(phase + 1.7 o + 0.9 i + 0.13 o i), in float64, rounded to float32
    byte j of image n          = (37 n + 53 j + 7 n j) mod 256, j in the order H, W, C; pixel = byte / 255

    "small":  6 x 6 x 2   -> 12 -> 4    the network of golden_torchattacks.py
    "wide":   6 x 6 x 2   -> 24 -> 10
    "square": 17 x 17 x 2 -> 16 -> 4    first layer scaled by 0.1 instead of 0.4

Labels are the network's own predictions. Every record is made in float32 and again in float64; an
attack whose records differ by more than TOLERANCE hangs on rounding, and the script fails. Files
are gzipped JSON, images in the order N, H, W, C, numbers to 8 digits.

Needs torch, torchattacks, pyautoattack and foolbox; made with 2.15.0, 3.5.1, 0.2.0 and 3.3.4.
"""

import contextlib
import gzip
import json
import math
import pathlib

import torch

TOLERANCE = 4e-6
EDGE = 1e-5  # of the largest entry: nearer to 0 than this, the sign of a gradient is rounding's
SHAPES = {"small": (6, 6, 2, 12, 4, 0.4), "wide": (6, 6, 2, 24, 10, 0.4), "square": (17, 17, 2, 16, 4, 0.1)}

torch.set_num_threads(1)


def weight(rows, columns, phase, scale):
    """[out, in] in float32."""
    o = torch.arange(rows, dtype=torch.float64)[:, None]
    i = torch.arange(columns, dtype=torch.float64)[None, :]
    return (scale * torch.sin(phase + 1.7 * o + 0.9 * i + 0.13 * o * i)).float()


def network(name, dtype=torch.float32):
    h, w, c, hidden, classes, scale = SHAPES[name]
    net = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(c * h * w, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, classes)
    ).eval()
    net.requires_grad_(False)
    net[1].weight.copy_(weight(hidden, c * h * w, 0.35, scale))
    net[1].bias.copy_(weight(1, hidden, 0.5, 0.1)[0])
    net[3].weight.copy_(weight(classes, hidden, 0.7, 0.6))
    net[3].bias.copy_(weight(1, classes, 0.9, 0.1)[0])
    return net.to(dtype)


def images(name, n, dtype=torch.float32):
    """[n, C, H, W]"""
    h, w, c = SHAPES[name][:3]
    pixels = torch.tensor([[(37 * k + 53 * j + 7 * k * j) % 256 for j in range(h * w * c)] for k in range(n)])
    return (pixels.float() / 255).reshape(n, h, w, c).permute(0, 3, 1, 2).contiguous().to(dtype)


def noise(shape, phase, dtype=torch.float32):
    """What stands in for a random draw: values in (-1, 1) that look irregular enough."""
    j = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(phase + 12.9898 * j + 0.37 * j * j).float().reshape(shape).to(dtype)


def last(x):
    """[..., C, H, W] as numbers in the order H, W, C, examples first."""
    return x.detach().movedim(-3, -1).flatten(-3).tolist()


def signs(g):
    """A string of + - 0 for each example, in the order H, W, C."""
    return ["".join("+" if v > 0 else "-" if v < 0 else "0" for v in row) for row in last(g)]


def check_edge(g, name=""):
    """The sign of a gradient [N, ...] must not hang on rounding; an example without any is fine."""
    for row in g.flatten(1).abs():
        assert row.max() == 0 or row.min() > EDGE * row.max(), (name, row.min(), row.max())


@contextlib.contextmanager
def precision(dtype):
    """Libraries that say .float() get float64 where that is wanted."""
    old, single = torch.get_default_dtype(), torch.Tensor.float
    torch.set_default_dtype(dtype)
    if dtype == torch.float64:
        torch.Tensor.float = torch.Tensor.double
    try:
        yield
    finally:
        torch.set_default_dtype(old)
        torch.Tensor.float = single


def distance(a, b, path=""):
    """The largest relative difference of two records, and where; anything but numbers must be equal."""
    if isinstance(a, dict):
        assert a.keys() == b.keys(), path
        return max((distance(a[k], b[k], f"{path}/{k}") for k in a), default=(0, path))
    if isinstance(a, (list, tuple)):
        assert len(a) == len(b), (path, len(a), len(b))
        return max((distance(p, q, f"{path}/{k}") for k, (p, q) in enumerate(zip(a, b))), default=(0, path))
    if isinstance(a, float) and isinstance(b, (float, int)) and a != b:
        return abs(a - b) / max(1, abs(a)), path
    assert a == b, (path, a, b)
    return 0, path


def both(record, *arguments, tolerance=TOLERANCE):
    """The record that record(dtype, *arguments) makes in float32, checked against float64."""
    found = []
    for dtype in torch.float32, torch.float64:
        with precision(dtype):
            found.append(record(dtype, *arguments))
    worst, where = distance(*found)
    print(f"{record.__name__} {arguments}: float32 and float64 differ by {worst:.2g} at {where}")
    assert worst < tolerance
    return found[0]


def rounded(v):
    if isinstance(v, dict):
        return {k: rounded(x) for k, x in v.items()}
    if isinstance(v, (list, tuple)):
        return [rounded(x) for x in v]
    if isinstance(v, float):
        assert math.isfinite(v)
        short = float(f"{v:.8g}")
        return int(short) if short == int(short) else short
    return v


def write(script, golden):
    """Writes NAME.json.gz beside NAME.py, the same bytes for the same values."""
    path = pathlib.Path(script).with_suffix(".json.gz")
    text = json.dumps(rounded(golden), separators=(",", ":"))
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{path.name}: {path.stat().st_size} bytes")
