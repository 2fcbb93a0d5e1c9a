#!/usr/bin/env python3
"""Writes crown.json: CROWN-IBP bounds and the gradient of their training loss, by auto_LiRPA.

    python3 golden_crown.py > crown.json

Needs auto_LiRPA (made with 0.3, PyTorch 1.13.1): the bounds are its method "CROWN-IBP" with adaptive ReLU
bounds and its "IBP" with the last layer merged, the loss that of Zhang et al. (2020, equation 9), and the
gradient PyTorch's. Weights are in PyTorch's layout, images in N,H,W,C order.
"""

import json

import torch
from auto_LiRPA import BoundedModule, BoundedTensor, PerturbationLpNorm
from torch import nn


def numbers(t):
    return [float(v) for v in t.detach().flatten()]


def case(net, shape, eps, beta, labels, scale):
    x = torch.rand(len(labels), *shape)
    y = torch.tensor(labels)
    for p in net.parameters():
        p.data += 0.05 * torch.randn_like(p)
    classes = net[-1].out_features
    bounded = BoundedModule(net, x, bound_opts={"relu": "adaptive"})
    box = PerturbationLpNorm(norm=float("inf"), eps=eps, x_L=(x - eps).clamp(0, 1), x_U=(x + eps).clamp(0, 1))
    one = torch.eye(classes)
    c = one[y].unsqueeze(1) - one.unsqueeze(0)  # label minus each class
    keep = ~one[y].bool()
    c = c[keep].view(len(labels), classes - 1, classes)
    ibp, _ = bounded.compute_bounds(x=(BoundedTensor(x, box),), C=c, method="IBP", bound_upper=False)
    crown, _ = bounded.compute_bounds(x=(BoundedTensor(x, box),), C=c, method="CROWN-IBP", bound_upper=False)
    upper = -((1 - beta) * ibp + beta * crown)
    worst = torch.cat([torch.zeros(len(labels), 1), upper], dim=1)
    loss = torch.nn.functional.cross_entropy(worst, torch.zeros(len(labels), dtype=torch.long), reduction="sum")
    (scale * loss).backward()
    params = list(bounded.parameters())
    return {
        "eps": eps, "beta": beta, "scale": scale, "labels": labels, "images": numbers(x.permute(0, 2, 3, 1)),
        "weights": [numbers(p) for p in params], "gradients": [numbers(p.grad) for p in params],
        "interval": numbers(-ibp), "crown": numbers(-crown), "loss": float(loss),
    }


def main():
    torch.manual_seed(7)
    conv = nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 3, 2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 4))
    dense = nn.Sequential(nn.Flatten(), nn.Linear(16, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 3))
    print(json.dumps({
        "conv": case(conv, (2, 6, 6), 0.05, 0.7, [1, 3, 0], 0.5),
        "dense": case(dense, (1, 4, 4), 0.1, 1.0, [2, 0, 1, 1], 1.0),
    }))


if __name__ == "__main__":
    main()
