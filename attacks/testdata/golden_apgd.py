"""Writes golden_apgd.json.gz: Auto-PGD of pyautoattack 0.2.0, each iteration, on "small" of oracle.py.

    "labels"     [N], N = 3 images, those of "index" (numbers of oracle.py's formula)
    "index"      [N]
    "noise"      [N][72], the draws: uniform in (-1, 1) for Linf, standing in for normal ones in L2 and L1
    "runs"       by name, "LOSS NORM": LOSS is "ce", "dlr", "dlr-targeted"; NORM "linf", "l2", "l1",
                 and "l1 phases", AutoAttack's version with 3 eps, 2 eps, eps for .3, .3, .4 of the iterations
        "eps", "iterations"
        "targets"    [N], for dlr-targeted: the likeliest other class on the clean image
        "phases"     list, one but for "l1 phases":
            "eps", "iterations"
            "x"          [iteration + 1][N][72], the images whose gradient is taken: x[0] is the start
                         (projected), x[i + 1] comes after iteration i
            "loss"       [iteration + 1][N], at those images
            "sign"       [iteration + 1][N], of the gradient there, a string of + - 0, order H, W, C
            "right"      [iteration + 1][N], whether the image is classified as its label
            "step size"  [iteration][N], the one that iteration i used
            "from"       [iteration][N], the number of the image from which iteration i went: i, or an earlier
                         one where a checkpoint went back to the best
            "top k"      [iteration][N], L1 only: the share of entries that iteration i moves
            "best x"     [N], the number of the image of greatest loss; "best loss" [N]
        "adversarial"    [N], whether some image of the last phase was misclassified
        "adv"            [N][72], the last image (of the last phase) that is misclassified, else the start

The reference neither stops at the first success nor drops the examples that it has broken. It starts at
x + eps noise/max|noise| (Linf), x + eps noise/|noise|_2 (L2), the projection of x + noise (L1; phases: of
x + noise onto 3 eps' ball, and then each phase starts from the best of the one before, projected).
x is clipped to [0,1] after it. In L1 the reference's first phase has top k = the support of the start
divided by 1.5, where it is given a start (phases), else 0.2.

Checkpoints at .22 of the iterations, then periods shorter by .03, no shorter than .06; in L1 every .04.
For momentum, iteration 0 has none; after a checkpoint went back to the best, the momentum term is still
(image gone from) - (image gone from before).
"""

import sys

import torch
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted

from oracle import EDGE, both, check_edge, images, last, network, noise, signs, write

INDEX = [0, 1, 2]
N = len(INDEX)
ITERATIONS = 40
RUNS = {
    f"{loss} {norm}": {"eps": eps, "iterations": ITERATIONS}
    for loss in ("ce", "dlr", "dlr-targeted")
    for norm, eps in (("linf", 0.1), ("l2", 0.8), ("l1", 5.0), ("l1 phases", 3.0))
    if loss != "dlr" or "l1" not in norm
}


class Watched(torch.nn.Module):
    """The network; reads what attack_single_run holds in its local variables when it asks."""

    def __init__(self, net):
        super().__init__()
        self.net, self.phases = net, []

    def forward(self, x):
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_name != "attack_single_run":
            frame = frame.f_back
        if frame is None:
            return self.net(x)
        here = frame.f_locals
        if "i" not in here:
            self.phases.append({"eps": here["self"].eps, "iterations": here["self"].n_iter, "asked": []})
        note = {"x": x.detach().clone()}
        if "i" in here:
            note["step"] = here["step_size"].flatten().clone()
            note["from"] = here["x_adv_old"].clone()
            if "topk" in here:
                note["topk"] = here["topk"].clone()
        self.phases[-1]["asked"].append(note)
        return self.net(x)


def run(dtype, name):
    loss, norm = name.split(" ", 1)
    o = RUNS[name]
    x = images("small", max(INDEX) + 1, dtype)[INDEX]
    y = LABELS
    net = Watched(network("small", dtype))
    options = {"n_iter": o["iterations"], "eps": o["eps"], "norm": {"linf": "Linf", "l2": "L2"}.get(norm, "L1"),
               "use_largereps": norm == "l1 phases"}
    draw = noise((N, 6, 6, 2), 0.8, dtype).permute(0, 3, 1, 2)
    plain = torch.rand, torch.randn, torch.randn_like
    torch.rand = lambda shape: (draw + 1) / 2
    torch.randn = lambda shape: draw.clone()
    torch.randn_like = lambda x: draw.clone()
    if loss == "dlr-targeted":
        attack = APGDAttack_targeted(net, n_target_classes=1, **options)
    else:
        attack = APGDAttack(net, loss=loss, **options)
    adv = attack.perturb(x, y)
    torch.rand, torch.randn, torch.randn_like = plain

    out = dict(o)
    if loss == "dlr-targeted":
        out["targets"] = attack.y_target.tolist()
    criterion = {
        "ce": lambda z, y: torch.nn.functional.cross_entropy(z, y, reduction="none"),
        "dlr": attack.dlr_loss, "dlr-targeted": getattr(attack, "dlr_loss_targeted", None),
    }[loss]
    out["phases"] = [phase(net.net, criterion, p, x, y, norm, name) for p in net.phases]
    right = out["phases"][-1]["right"]
    out["adversarial"] = [not all(r[n] for r in right) for n in range(N)]
    out["adv"] = last(adv)
    for n in range(N):
        misses = [i for i, r in enumerate(right) if not r[n] and i > 0]
        if misses:
            assert out["adv"][n] == out["phases"][-1]["x"][misses[-1]][n]
    if dtype == torch.float32:
        print(name, "adversarial", out["adversarial"], "halved to", out["phases"][-1]["step size"][-1])
    return out


def phase(net, criterion, p, x, y, norm, name):
    asked = p["asked"]
    assert len(asked) == p["iterations"] + 1
    found = {"eps": p["eps"], "iterations": p["iterations"], "x": [], "loss": [], "sign": [], "right": []}
    values = []
    for a in asked:
        v = a["x"].clone().requires_grad_()
        z = net(v)
        loss = criterion(z, y)
        g = torch.autograd.grad(loss.sum(), v)[0]
        check_edge(g, name)
        values.append(loss.detach())
        found["x"].append(last(v))
        found["loss"].append(loss.tolist())
        found["sign"].append(signs(g))
        found["right"].append((z.argmax(1) == y).tolist())
    values = torch.stack(values)
    best = values[0].clone()
    for i in range(1, len(values)):
        # A checkpoint counts rises of the loss and asks whether the best has grown: neither may hang on rounding.
        for old in (values[i - 1], best):
            gap = (values[i] - old).abs()
            same = (asked[i]["x"] == asked[i - 1]["x"]).flatten(1).all(1)
            near = (gap < EDGE * values[i].abs().clamp(min=1e-3)) & ~same
            assert not near.any(), (name, i, gap, values[i])
        best = torch.maximum(best, values[i])
    found["best x"] = values.argmax(0).tolist()
    found["best loss"] = best.tolist()
    found["step size"] = [a["step"].tolist() for a in asked[1:]]
    found["from"] = []
    for i, a in enumerate(asked[1:]):
        found["from"].append([max(j for j in range(i + 1) if torch.equal(asked[j]["x"][n], a["from"][n])) for n in range(N)])
    if norm.startswith("l1"):
        found["top k"] = [a["topk"].tolist() for a in asked[1:]]
    return found


LABELS = network("small")(images("small", max(INDEX) + 1)[INDEX]).argmax(1)
write(__file__, {
    "labels": LABELS.tolist(),
    "index": INDEX,
    "noise": noise((N, 72), 0.8).tolist(),
    "runs": {name: both(run, name) for name in RUNS},
})
