#!/usr/bin/env python3
"""Writes crown.json: CROWN-IBP bounds, their training loss and its gradient, by PyTorch in float64.

    python3 golden_crown.py > crown.json
    python3 golden_crown.py --check      # compares with auto_LiRPA, where it is installed

Written from Zhang et al. (2020), sections 3.2 and 4, on plain matrices: each linear layer becomes one by its
images of the unit vectors, and autograd differentiates all of it. The lower line of a ReLU is the adaptive one
(Zhang et al. 2018). Weights are in PyTorch's layout, images in N,H,W,C order.
"""

import json
import sys

import torch
from torch import nn


def matrix(layer, shape):
    """The layer for inputs of a shape as (W, b, shape of the result), with gradients in its parameters."""
    size = torch.Size(shape).numel()
    zero = layer(torch.zeros(1, *shape))
    w = layer(torch.eye(size).view(size, *shape)) - zero
    return w.reshape(size, -1).T, zero.reshape(-1), zero.shape[1:]


def bounds(net, x, labels, lower, upper):
    """Upper bounds of each other logit minus the label's: by intervals, by CROWN-IBP."""
    shape, layers = x.shape[1:], []
    l, u = lower.flatten(1), upper.flatten(1)
    modules = list(net)
    one = torch.eye(modules[-1].out_features)
    c = torch.stack([torch.stack([one[k] - one[y] for k in range(len(one)) if k != y]) for y in labels])
    for m in modules[:-1]:
        if isinstance(m, nn.ReLU):
            layers.append((l, u))
            l, u = l.clamp(min=0), u.clamp(min=0)
            continue
        w, b, shape = matrix(m, shape)
        layers.append((w, b))
        mid, half = (l + u) / 2 @ w.T + b, (u - l) / 2 @ w.abs().T
        l, u = mid - half, mid + half
    w, b, _ = matrix(modules[-1], shape)
    d, e = c @ w, c @ b
    ibp = (d @ ((l + u) / 2).unsqueeze(2)).squeeze(2) + (d.abs() @ ((u - l) / 2).unsqueeze(2)).squeeze(2) + e
    a, offset = d, e
    for m, (p, q) in reversed(list(zip(modules, layers))):
        if not isinstance(m, nn.ReLU):
            offset = offset + a @ q
            a = a @ p
            continue
        low, high = p.clamp(max=0), q.clamp(min=0)
        slope = high / (high - low).clamp(min=1e-12)
        slope = torch.where(p >= 0, torch.ones_like(slope), slope)
        intercept = torch.where((p < 0) & (q > 0), -slope * low, torch.zeros_like(slope))
        floor = (slope > 0.5).to(slope)
        offset = offset + (a.clamp(min=0) * intercept.unsqueeze(1)).sum(2)
        a = a.clamp(min=0) * slope.unsqueeze(1) + a.clamp(max=0) * floor.unsqueeze(1)
    crown = (a.clamp(min=0) * upper.flatten(1).unsqueeze(1) + a.clamp(max=0) * lower.flatten(1).unsqueeze(1)).sum(2) + offset
    return ibp, crown


def by_auto_lirpa(net, x, labels, lower, upper):
    from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm

    bounded = BoundedModule(net, x, bound_opts={"relu": "adaptive"})
    box = BoundedTensor(x, PerturbationLpNorm(norm=float("inf"), eps=1.0, x_L=lower, x_U=upper))
    one = torch.eye(net[-1].out_features)
    c = torch.stack([torch.stack([one[y] - one[k] for k in range(len(one)) if k != y]) for y in labels])
    return [-bounded.compute_bounds(x=(box,), C=c, method=m, bound_upper=False)[0] for m in ("IBP", "CROWN-IBP")]


def case(net, shape, eps, beta, labels, scale, check):
    for p in net.parameters():
        p.data = (2 * p.data + 0.1 * torch.randn_like(p)).float().double()
    x = torch.rand(len(labels), *shape).float().double()
    lower, upper = (x - eps).clamp(0, 1), (x + eps).clamp(0, 1)
    ibp, crown = bounds(net, x, labels, lower, upper)
    if check:
        for name, ours, theirs in zip(("IBP", "CROWN-IBP"), (ibp, crown), by_auto_lirpa(net, x, labels, lower, upper)):
            print(name, "differs by", float((ours - theirs).abs().max()))
    worst = torch.cat([torch.zeros(len(labels), 1), (1 - beta) * ibp + beta * crown], dim=1)
    loss = nn.functional.cross_entropy(worst, torch.zeros(len(labels), dtype=torch.long), reduction="sum")
    net.zero_grad()
    (scale * loss).backward()
    numbers = lambda t: [float(v) for v in t.detach().flatten()]
    return {
        "eps": eps, "beta": beta, "scale": scale, "labels": labels, "images": numbers(x.permute(0, 2, 3, 1)),
        "weights": [numbers(p) for p in net.parameters()], "gradients": [numbers(p.grad) for p in net.parameters()],
        "interval": numbers(ibp), "crown": numbers(crown), "loss": float(loss.detach()),
    }


def main():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(7)
    check = "--check" in sys.argv
    conv = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 4))
    dense = nn.Sequential(nn.Flatten(), nn.Linear(16, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 3))
    cases = {
        "conv": case(conv, (2, 6, 6), 0.05, 0.7, [1, 3, 0], 0.5, check),
        "dense": case(dense, (1, 4, 4), 0.1, 1.0, [2, 0, 1, 1], 1.0, check),
    }
    if not check:
        print(json.dumps(cases))


if __name__ == "__main__":
    main()
