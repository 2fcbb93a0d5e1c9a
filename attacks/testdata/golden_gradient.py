"""Writes golden_gradient.json.gz: iterates of attacks that draw nothing, on "small" of oracle.py.

The first N = 6 images; cross-entropy, untargeted unless the name says so.

    "labels"              [N]
    "targets"             [N], label + 1 mod 4, of the targeted ones
    "options"             by attack: what it ran with
    "noise"               [N][72], in (-1, 1): the draws of the two attacks that need some
    "steps"               by attack: [step][N][72], the image after each step
        "mi-fgsm linf"              torchattacks MIFGSM: g = decay g + grad/mean|grad|, x += alpha sign(g), eps ball, box
        "mi-fgsm linf targeted"     the same, descending the target's cross-entropy
        "mi-fgsm l2", "mi-fgsm l1"  foolbox: gradients normalised to norm 1, g = decay g + gradient, step = alpha g/|g|,
                                    scaled back onto the ball, then the box
        "pgd linf targeted", "pgd l2 targeted"   torchattacks PGD, PGDL2 without random start
        "pgd l1 dense"              foolbox L1PGD (step = alpha grad/|grad|_1), but projected exactly onto ball and box
        "pgd l1 sparse"             foolbox SparseL1Descent (Tramer and Boneh 2019): entries that would leave the box are
                                    left out, then those below the quantile of |grad| (linear interpolation over all 72
                                    entries, >= keeps); step = alpha sign/number kept; projected exactly onto ball and box
        "r+fgsm"                    Tramer et al. 2018: clip(x + alpha sign(noise)), then (eps - alpha) sign(grad), eps ball, box
        "fgsm-rs"                   torchattacks FFGSM: clip(x + eps noise), then alpha sign(grad), eps ball, box
        "deepfool l2", "deepfool linf"   foolbox: all classes, logits, r += (|f|/norm + 1e-4) direction,
                                    x = clip(x0 + (1 + overshoot) r); an example stays once it is misclassified
"""

import foolbox
import torch
import torchattacks
from foolbox.attacks import mi_fgsm
from pyautoattack.autopgd_base import L1_projection

from oracle import both, check_edge, images, last, network, noise, write

N, STEPS = 6, 6
OPTIONS = {
    "mi-fgsm linf": {"eps": 0.1, "step": 0.025, "decay": 1.0, "steps": STEPS},
    "mi-fgsm linf targeted": {"eps": 0.1, "step": 0.025, "decay": 0.7, "steps": STEPS},
    "mi-fgsm l2": {"eps": 0.6, "step": 0.15, "decay": 1.0, "steps": STEPS},
    "mi-fgsm l1": {"eps": 3.0, "step": 0.8, "decay": 1.0, "steps": STEPS},
    "pgd linf targeted": {"eps": 0.1, "step": 0.03, "steps": STEPS},
    "pgd l2 targeted": {"eps": 0.6, "step": 0.25, "steps": STEPS},
    "pgd l1 dense": {"eps": 3.0, "step": 0.8, "steps": STEPS},
    "pgd l1 sparse": {"eps": 3.0, "step": 0.8, "quantile": 0.9, "steps": STEPS},
    "r+fgsm": {"eps": 0.1, "step": 0.04, "steps": 1},
    "fgsm-rs": {"eps": 0.1, "step": 0.125, "steps": 1},
    "deepfool l2": {"overshoot": 0.02, "steps": 4},
    "deepfool linf": {"overshoot": 0.02, "steps": 4},
}


def exact(base, **options):
    """A foolbox attack in L1 with the projection onto ball and box at once."""

    class Exact(base):
        def project(self, x, x0, epsilon):
            d = x.raw - x0.raw
            return type(x0)(x0.raw + d + L1_projection(x0.raw, d, epsilon))

    return Exact(random_start=False, **options)


def attack(net, name, k, draw):
    """A function of images and labels or targets that runs k steps."""
    o, a = OPTIONS[name], torchattacks
    step = {"abs_stepsize": o.get("step"), "steps": k}
    match name.removesuffix(" targeted"):
        case "mi-fgsm linf":
            return a.MIFGSM(net, eps=o["eps"], alpha=o["step"], decay=o["decay"], steps=k)
        case "pgd linf":
            return a.PGD(net, eps=o["eps"], alpha=o["step"], steps=k, random_start=False)
        case "pgd l2":
            return a.PGDL2(net, eps=o["eps"], alpha=o["step"], steps=k, random_start=False)
        case "r+fgsm":
            one = a.FGSM(net, eps=o["eps"] - o["step"])
            return lambda x, y: x + (one(start(name, x, draw), y) - x).clamp(-o["eps"], o["eps"])
        case "fgsm-rs":
            return a.FFGSM(net, eps=o["eps"], alpha=o["step"])
        case "mi-fgsm l2":
            made = mi_fgsm.L2MomentumIterativeFastGradientMethod(momentum=o["decay"], **step)
        case "mi-fgsm l1":
            made = mi_fgsm.L1MomentumIterativeFastGradientMethod(momentum=o["decay"], **step)
        case "pgd l1 dense":
            made = exact(foolbox.attacks.L1PGD, **step)
        case "pgd l1 sparse":
            made = exact(foolbox.attacks.SparseL1DescentAttack, quantile=o["quantile"], **step)
        case "deepfool l2":
            made = foolbox.attacks.L2DeepFoolAttack(steps=k, candidates=None, overshoot=o["overshoot"])
        case "deepfool linf":
            made = foolbox.attacks.LinfDeepFoolAttack(steps=k, candidates=None, overshoot=o["overshoot"])
    model = foolbox.PyTorchModel(net, bounds=(0, 1))
    more = {"epsilon": o["eps"]} if "eps" in o else {}
    return lambda x, y: made.run(model, x, foolbox.criteria.Misclassification(y), **more)


def start(name, x, draw):
    """Where the first gradient is taken."""
    o = OPTIONS[name]
    if name == "r+fgsm":
        return (x + o["step"] * draw.sign()).clamp(0, 1)
    return (x + o["eps"] * draw).clamp(0, 1) if name == "fgsm-rs" else x


def gradient(net, x, y):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(torch.nn.functional.cross_entropy(net(x), y, reduction="sum"), x)[0]


def steps(dtype, name):
    net, x = network("small", dtype), images("small", N, dtype)
    draw = noise((N, 6, 6, 2), 0.8, dtype).permute(0, 3, 1, 2)
    found = []
    adv, momentum = start(name, x, draw), torch.zeros_like(x)
    targeted = name.endswith("targeted")
    for k in range(1, OPTIONS[name]["steps"] + 1):
        if "deepfool" not in name:
            g = gradient(net, adv, TARGETS if targeted else LABELS)
            check_edge(g, name)
            momentum = OPTIONS[name].get("decay", 0) * momentum + g / g.abs().mean(dim=(1, 2, 3), keepdim=True)
            check_edge(momentum, name)
        run = attack(net, name, k, draw)
        if targeted:
            run.set_mode_targeted_by_label(quiet=True)
        torch.Tensor.uniform_ = lambda self, low, high: low + (high - low) * (draw + 1) / 2
        adv = run(x, TARGETS if targeted else LABELS)
        torch.Tensor.uniform_ = plain_uniform
        assert (adv != x).any()
        found.append(last(adv))
    assert "deepfool" not in name or (net(adv).argmax(1) != LABELS).all(), "raise steps"
    return found


plain_uniform = torch.Tensor.uniform_
LABELS = network("small")(images("small", N)).argmax(1)
TARGETS = (LABELS + 1) % 4
write(__file__, {
    "labels": LABELS.tolist(),
    "targets": TARGETS.tolist(),
    "noise": noise((N, 72), 0.8).tolist(),
    "options": OPTIONS,
    "steps": {name: both(steps, name) for name in OPTIONS},
})
