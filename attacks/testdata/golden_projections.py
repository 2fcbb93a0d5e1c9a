"""Writes golden_projections.json.gz: exact projections by pyautoattack 0.2.0, in float64.

    "l1 box"     the perturbation nearest to y in L2 with |delta|_1 <= eps and 0 <= x + delta <= 1
                 (Croce and Hein 2021, "Mind the box", section 4)
        list of {"eps", "x": [size], "y": [size] (a perturbation, x + y may leave the box),
                 "delta": [size], "size"}
        checked here: feasible, and no nearer feasible point (by the optimality condition)
    "linf plane", "l2 plane", "l1 plane"
                 the smallest perturbation in the norm that brings x to the hyperplane <w, x> = b within
                 [0,1], or as near to it as the box allows (Croce and Hein 2020, FAB, section 3.1)
        checked here: the norm is the least, where the plane is reached
        list of {"x": [size], "w": [size], "b", "delta": [size], "reached": whether the plane is met}
The minimal L1 perturbation may not be unique; the weights here differ, so that it is.
"""

import torch
from pyautoattack import fab_projections
from pyautoattack.autopgd_base import L1_projection

from oracle import noise, precision, write


def optimal(x, y, delta, eps):
    """delta = clip(shrink(y, lambda), -x, 1-x) for the one lambda >= 0 that the budget sets."""
    free = y.clamp(-x, 1 - x)
    if free.abs().sum() <= eps + 1e-9:
        return torch.allclose(delta, free, atol=1e-9)
    low, high = 0.0, y.abs().max().item()
    for _ in range(200):
        middle = (low + high) / 2
        shrunk = (y.sign() * (y.abs() - middle).clamp(min=0)).clamp(-x, 1 - x)
        low, high = (middle, high) if shrunk.abs().sum() > eps else (low, middle)
    return torch.allclose(delta, shrunk, atol=1e-9) and abs(delta.abs().sum().item() - eps) < 1e-9


def smallest(name, x, w, b):
    """The least norm of a perturbation that reaches the plane, found another way."""
    c = (b - (w * x).sum()).item()
    w = w if c >= 0 else -w
    room = torch.where(w > 0, 1 - x, -x)
    if name == "l1":  # the largest weights first, each as far as the box goes
        order = w.abs().argsort(descending=True)
        spent, left = 0.0, abs(c)
        for i in order:
            step = min(room[i].abs().item(), left / w[i].abs().item())
            spent, left = spent + step, left - step * w[i].abs().item()
        return spent
    direction = w.sign() if name == "linf" else w
    low, high = 0.0, 1e3
    for _ in range(200):
        middle = (low + high) / 2
        delta = torch.minimum((middle * direction).abs(), room.abs()) * w.sign()
        low, high = (low, middle) if (w * delta).sum() >= abs(c) else (middle, high)
    return delta.norm(p=2 if name == "l2" else torch.inf).item()


golden = {"l1 box": [], "linf plane": [], "l2 plane": [], "l1 plane": []}
with precision(torch.float64):
    k = 0
    for size in 1, 2, 7, 72:
        for eps, scale in (0.3, 0.2), (0.3, 1.0), (1.5, 0.5), (4.0, 0.05), (4.0, 3.0):
            for box in "inside", "edges":
                k += 1
                x = (noise((1, size), 0.1 * k) / 2 + 0.5).double()
                if box == "edges":  # many pixels at 0 or 1, as in MNIST
                    x = torch.where(x < 0.4, 0.0, torch.where(x > 0.7, 1.0, x))
                y = scale * noise((1, size), 3 + 0.1 * k).double()
                delta = y + L1_projection(x, y, eps)
                assert optimal(x[0], y[0], delta[0], eps), (size, eps, scale, box)
                golden["l1 box"].append({"size": size, "eps": eps, "x": x[0].tolist(), "y": y[0].tolist(), "delta": delta[0].tolist()})
    for name in "linf", "l2", "l1":
        project = getattr(fab_projections, "projection_" + name)
        for size in 2, 9, 72:
            x = (noise((12, size), 0.4) / 2 + 0.5).double()
            x[1::2] = torch.where(x[1::2] < 0.4, 0.0, torch.where(x[1::2] > 0.7, 1.0, x[1::2]))
            w = noise((12, size), 1.9).double()
            # from planes close by to those that no point of the box reaches
            b = (w * x).sum(1) + noise((12,), 2.3).double() * torch.linspace(0.05, 0.6, 12) * w.abs().sum(1)
            delta = project(x, w, b)
            assert ((x + delta) > -1e-9).all() and ((x + delta) < 1 + 1e-9).all()
            reached = ((w * (x + delta)).sum(1) - b).abs() < 1e-9
            for i in reached.nonzero()[:, 0].tolist():
                norm = delta[i].norm(p={"linf": torch.inf, "l2": 2, "l1": 1}[name]).item()
                assert abs(norm - smallest(name, x[i], w[i], b[i])) < 1e-9, (name, size, i)
            for i in range(12):
                golden[name + " plane"].append({"x": x[i].tolist(), "w": w[i].tolist(), "b": b[i].item(), "delta": delta[i].tolist(), "reached": reached[i].item()})
write(__file__, golden)
