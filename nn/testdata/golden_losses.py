"""Writes losses.json: values and gradients of the training losses, by PyTorch in float64.

    python3 golden_losses.py

The formulas are written from the papers, on plain tensors; autograd differentiates them. Each case
has n examples: the adversarial logits, the clean ones and a teacher's. `value` is the mean over
examples, and the gradients are that mean's.
"""

import json
import pathlib

import torch
import torch.nn.functional as F


def kl(target, logits, t=1.0):
    """KL(softmax(target/t) || softmax(logits/t)) of each example."""
    p = F.softmax(target / t, 1)
    return (p * (F.log_softmax(target / t, 1) - F.log_softmax(logits / t, 1))).sum(1)


def trades(adv, clean, _, y, beta=6.0, smoothing=0.0):
    return F.cross_entropy(clean, y, label_smoothing=smoothing) + beta * kl(clean, adv).mean()


def mart(adv, clean, _, y, beta=5.0):
    q, p = F.softmax(adv, 1), F.softmax(clean, 1)
    wrong = q.scatter(1, y[:, None], -1.0).max(1).values
    bce = F.cross_entropy(adv, y, reduction="none") - torch.log(1.0001 - wrong + 1e-12)
    divergence = (p * (torch.log(p) - torch.log(q + 1e-12))).sum(1)
    true = p.gather(1, y[:, None])[:, 0]
    return (bce + beta * divergence * (1.0000001 - true)).mean()


def pairing(adv, clean, _, y, weight=0.5, smoothing=0.0):
    both = F.cross_entropy(torch.cat([adv, clean]), torch.cat([y, y]), label_smoothing=smoothing)
    return both + weight * F.mse_loss(adv, clean)


def mixed(adv, clean, _, y, share=0.5, smoothing=0.0):
    return share * F.cross_entropy(adv, y, label_smoothing=smoothing) + (1 - share) * F.cross_entropy(clean, y, label_smoothing=smoothing)


def ard(adv, clean, teacher, y, alpha=1.0, t=30.0):
    return alpha * t * t * kl(teacher, adv, t).mean() + (1 - alpha) * F.cross_entropy(clean, y)


def rslad(adv, clean, teacher, y, alpha=5 / 6):
    return alpha * kl(teacher, adv).mean() + (1 - alpha) * kl(teacher, clean).mean()


CASES = [
    ("trades", trades, {"beta": 6.0}),
    ("trades", trades, {"beta": 1.0, "smoothing": 0.1}),
    ("mart", mart, {"beta": 5.0}),
    ("mart", mart, {"beta": 6.0}),
    ("pairing", pairing, {"weight": 0.5}),
    ("pairing", pairing, {"weight": 2.0, "smoothing": 0.2}),
    ("mixed", mixed, {"share": 0.5}),
    ("mixed", mixed, {"share": 0.25, "smoothing": 0.1}),
    ("ard", ard, {"alpha": 1.0, "t": 30.0}),
    ("ard", ard, {"alpha": 0.6, "t": 4.0}),
    ("rslad", rslad, {"alpha": 5 / 6}),
]


def main():
    generator = torch.Generator().manual_seed(5)
    out = []
    for spread in (0.5, 4.0, 15.0):  # unsure, as in training, and sure
        for n, classes in ((4, 10), (3, 4)):
            # Through float32, since that is what the losses are given.
            draw = lambda: (spread * torch.randn(n, classes, generator=generator)).double()
            adv, clean, teacher = draw(), draw(), draw()
            y = torch.randint(classes, (n,), generator=generator)
            y[0] = adv[0].argmax()  # right, and wrong below
            y[1] = adv[1].argmin()
            for name, loss, options in CASES:
                a, c = adv.clone().requires_grad_(), clean.clone().requires_grad_()
                value = loss(a, c, teacher, y, **options)
                grads = torch.autograd.grad(value, [a, c], allow_unused=True)
                grads = [torch.zeros_like(a) if g is None else g for g in grads]
                flat = lambda v: v.flatten().tolist()
                out.append({"loss": name, "options": options, "classes": classes, "labels": y.tolist(),
                            "adversarial": flat(adv), "clean": flat(clean), "teacher": flat(teacher),
                            "value": value.item(), "adversarial_grad": flat(grads[0]), "clean_grad": flat(grads[1])})
    path = pathlib.Path(__file__).with_name("losses.json")
    path.write_text("[\n" + ",\n".join(json.dumps(case) for case in out) + "\n]\n")


if __name__ == "__main__":
    main()
