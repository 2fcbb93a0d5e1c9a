#!/usr/bin/env python3
"""Writes mix.json: training losses of mixed examples (mixup, CutMix), by PyTorch in float64.

    python3 golden_mix.py > mix.json

Targets are two labels with weights; PyTorch's cross_entropy takes them as probabilities. `value` is the
mean over examples, and the gradients are that mean's.
"""

import json

import torch
import torch.nn.functional as F


def trades(adv, clean, target, smoothing, beta=6.0):
    p = F.softmax(clean, 1)
    kl = (p * (F.log_softmax(clean, 1) - F.log_softmax(adv, 1))).sum(1)
    return F.cross_entropy(clean, target, label_smoothing=smoothing) + beta * kl.mean()


def mixed(adv, clean, target, smoothing, share=0.25):
    return share * F.cross_entropy(adv, target, label_smoothing=smoothing) + (1 - share) * F.cross_entropy(clean, target, label_smoothing=smoothing)


def pairing(adv, clean, target, smoothing, weight=0.5):
    both = F.cross_entropy(torch.cat([adv, clean]), torch.cat([target, target]), label_smoothing=smoothing)
    return both + weight * F.mse_loss(adv, clean)


def cross_entropy(adv, clean, target, smoothing):
    return F.cross_entropy(adv, target, label_smoothing=smoothing) + 0 * clean.sum()


def main():
    g = torch.Generator().manual_seed(3)
    out = []
    for loss in (cross_entropy, mixed, trades, pairing):
        for smoothing, spread in ((0.0, 1.0), (0.1, 6.0)):
            n, classes = 5, 4
            adv, clean = ((spread * torch.randn(n, classes, generator=g)).double().requires_grad_() for _ in range(2))
            labels = torch.tensor([0, 3, 1, 2, 2])
            other = torch.tensor([1, 3, 0, 0, 1])
            weight = torch.tensor([0.75, 0.6, 0.5, 1.0, 0.9375], dtype=torch.float64)
            one = torch.eye(classes, dtype=torch.float64)
            target = weight[:, None] * one[labels] + (1 - weight[:, None]) * one[other]
            value = loss(adv, clean, target, smoothing)
            value.backward()
            out.append({
                "loss": loss.__name__, "smoothing": smoothing, "classes": classes, "labels": labels.tolist(), "other": other.tolist(), "weight": weight.tolist(),
                "adversarial": adv.detach().flatten().tolist(), "clean": clean.detach().flatten().tolist(), "value": value.item(),
                "adversarial_grad": adv.grad.flatten().tolist(), "clean_grad": clean.grad.flatten().tolist(),
            })
    print(json.dumps(out, indent=0))


if __name__ == "__main__":
    main()
