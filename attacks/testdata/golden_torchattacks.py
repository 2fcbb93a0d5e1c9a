"""Writes golden.json: what torchattacks finds on a small network, step by step.

golden_test.go compares FGSM and PGD with it. Needs torch and torchattacks (made with 2.15.0 and
3.5.1):  python golden_torchattacks.py
"""

import json
import math
import pathlib

import torch
import torchattacks

N, H, W, C, HIDDEN, CLASSES, STEPS = 6, 6, 6, 2, 12, 4, 5

torch.manual_seed(0)  # nothing below draws a number
torch.set_num_threads(1)


def weight(rows, columns, phase, scale):
    """[out, in], as golden_test.go computes it."""
    return torch.tensor(
        [[scale * math.sin(phase + 1.7 * o + 0.9 * i + 0.13 * o * i) for i in range(columns)] for o in range(rows)],
        dtype=torch.float64,
    ).float()


net = torch.nn.Sequential(
    torch.nn.Flatten(), torch.nn.Linear(C * H * W, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, CLASSES)
).eval()
with torch.no_grad():
    net[1].weight.copy_(weight(HIDDEN, C * H * W, 0.35, 0.4))
    net[1].bias.copy_(weight(1, HIDDEN, 0.5, 0.1)[0])
    net[3].weight.copy_(weight(CLASSES, HIDDEN, 0.7, 0.6))
    net[3].bias.copy_(weight(1, CLASSES, 0.9, 0.1)[0])

# Bytes in the order N, H, W, C.
size = H * W * C
pixels = torch.tensor([[(37 * n + 53 * j + 7 * n * j) % 256 for j in range(size)] for n in range(N)])
x = (pixels.float() / 255).reshape(N, H, W, C).permute(0, 3, 1, 2).contiguous()
labels = net(x).argmax(1)


def check(adv):
    """The sign of a gradient must not hang on rounding."""
    adv = adv.clone().requires_grad_(True)
    g = torch.autograd.grad(torch.nn.functional.cross_entropy(net(adv), labels, reduction="sum"), adv)[0]
    for row in g.flatten(1).abs():
        assert row.max() > 0 and row.min() > 1e-5 * row.max(), (row.min(), row.max())


def run(make, steps):
    found = []
    adv = x
    for k in range(1, steps + 1):
        check(adv)
        adv = make(k)(x, labels)
        found.append([float(f"{v:.8g}") for v in adv.permute(0, 2, 3, 1).flatten().tolist()])
    return found


golden = {
    "labels": labels.tolist(),
    "fgsm linf": run(lambda k: torchattacks.FGSM(net, eps=0.1), 1),
    "pgd linf": run(lambda k: torchattacks.PGD(net, eps=0.1, alpha=0.03, steps=k, random_start=False), STEPS),
    "pgd l2": run(lambda k: torchattacks.PGDL2(net, eps=0.6, alpha=0.25, steps=k, random_start=False), STEPS),
}
path = pathlib.Path(__file__).with_name("golden.json")
path.write_text("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in golden.items()) + "\n}\n")
