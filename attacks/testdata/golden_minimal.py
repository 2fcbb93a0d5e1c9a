"""Writes golden_minimal.json.gz: Carlini-Wagner L2 and EAD by foolbox 3.3.4, each inner step.

On the first N = 3 images of "small" in oracle.py, untargeted and targeted (label + 2 mod 4), without
early abort.

    "labels", "targets"   [N]
    by name ("cw", "cw targeted", "cw confidence", "ead en", "ead l1", "ead targeted"):
        "options"   searches, steps, step (learning rate), confidence, const (the first c); for EAD also
                    beta and rule ("en" or "l1")
        "const"     [search][N], the c of each binary search step
        "found"     [search][N], whether some step was adversarial by the confidence
        "x"         [search][step][N][72], the images that are judged: for CW those of which step's
                    gradient is taken (x[s][0] is the clean image, mapped to tanh space and back), for
                    EAD the iterate x_k after the step
        "y"         EAD only, [search][step][N][72]: the y_k at which step's gradient is taken
        "best"      [N][72], zeros where no step was adversarial
        "best at"   [N], search * steps + step at which the best was found, -1 for none

CW (Carlini and Wagner 2017, section VI): w0 = artanh(0.999999 (2x - 1)); x' = tanh(w0 + d)/2 + 1/2;
Adam (0.9, 0.999, 1e-8, bias corrected, fresh for each search) on d from 0 descends
    c max(0, z[y] - max other + confidence) + |x' - x0'|^2,  x0' the clean image mapped forth and back;
judged before each step, adversarial if the other class wins by more than the confidence; the best has
the least |x' - x|_2, x the clean image itself. Then c: x 10 until adversarial, else bisection.
EAD (Chen et al. 2018, algorithm 1): gradient of c max(0, ...) + |y - x|^2 at y_k; step_k = step
(1 - k/steps)^0.5; x_k+1 = shrink(y_k - step_k gradient) by beta round x, cut to [0,1];
y_k+1 = x_k+1 + k/(k+3) (x_k+1 - x_k). Rule en: least beta |d|_1 + |d|_2^2; l1: least |d|_1.
Targeted: max other - z[t] in place of z[y] - max other.
"""

import foolbox
import torch

from oracle import both, images, last, network, write

N = 3
CW = {"searches": 4, "steps": 12, "step": 0.05, "confidence": 0.0, "const": 0.03}
EAD = {"searches": 4, "steps": 12, "step": 0.02, "confidence": 0.0, "const": 0.3, "beta": 0.01, "rule": "en"}
OPTIONS = {
    "cw": CW,
    "cw targeted": CW,
    "cw confidence": CW | {"confidence": 0.5},
    "ead en": EAD,
    "ead l1": EAD | {"rule": "l1"},
    "ead targeted": EAD,
}


class Recorder(torch.nn.Module):
    """The network, remembering what it was asked and what it said."""

    def __init__(self, net):
        super().__init__()
        self.net, self.asked = net, []

    def forward(self, x):
        z = self.net(x)
        self.asked.append((x.detach().clone(), z.detach().clone()))
        return z


def record(dtype, name):
    o, x = OPTIONS[name], images("small", N, dtype)
    net = Recorder(network("small", dtype)).eval()
    common = {"binary_search_steps": o["searches"], "steps": o["steps"], "confidence": o["confidence"],
              "initial_const": o["const"], "abort_early": False}
    if name.startswith("cw"):
        attack = foolbox.attacks.L2CarliniWagnerAttack(stepsize=o["step"], **common)
    else:
        attack = foolbox.attacks.EADAttack(
            initial_stepsize=o["step"], regularization=o["beta"], decision_rule=o["rule"].upper(), **common)
    goal, targeted = LABELS, name.endswith("targeted")
    if targeted:
        goal = TARGETS
    criterion = foolbox.criteria.TargetedMisclassification(goal) if targeted else foolbox.criteria.Misclassification(goal)
    best = attack.run(foolbox.PyTorchModel(net, bounds=(0, 1)), x, criterion)

    every = 1 if name.startswith("cw") else 2  # EAD asks for y_k, then for the x_k after it
    judged = net.asked[every - 1 :: every]
    rows = torch.arange(N)

    def adversarial(z):
        # The margin decides by far, so that rounding does not.
        gap = z[rows, goal] - z.masked_fill(torch.nn.functional.one_hot(goal, 4).bool(), -torch.inf).max(1).values
        gap = (gap if targeted else -gap) - o["confidence"]
        assert (gap.abs() > 1e-5).all(), gap
        return gap > 0

    shape = o["searches"], o["steps"]
    won = torch.stack([adversarial(z) for _, z in judged])
    assert len(judged) == shape[0] * shape[1]
    best_at = [max([i for i, (v, _) in enumerate(judged) if won[i, n] and torch.equal(v[n], best[n])], default=-1) for n in range(N)]
    assert all(i >= 0 or not won[:, n].any() for n, i in enumerate(best_at))
    found = won.reshape(*shape, N).any(1)
    const = torch.full((N,), o["const"], dtype=torch.float64)
    low, high, consts = torch.zeros(N, dtype=torch.float64), torch.full((N,), torch.inf, dtype=torch.float64), []
    for f in found:  # foolbox's rule again: it does not say its constants; the iterates would tell
        consts.append(const.tolist())
        high, low = torch.where(f, const, high), torch.where(f, low, const)
        const = torch.where(high.isinf(), const * 10, (low + high) / 2)

    def nested(asked):
        flat = [last(v) for v, _ in asked]
        return [flat[s * shape[1] : (s + 1) * shape[1]] for s in range(shape[0])]

    out = {"options": o, "const": consts, "found": found.tolist(), "x": nested(judged), "best": last(best), "best at": best_at}
    if every == 2:
        out["y"] = nested(net.asked[::2])
    if dtype == torch.float32:
        print(name, "found", out["found"], "best at", best_at)
    return out


LABELS = network("small")(images("small", N)).argmax(1)
TARGETS = (LABELS + 2) % 4
write(__file__, {"labels": LABELS.tolist(), "targets": TARGETS.tolist()} | {name: both(record, name) for name in OPTIONS})
