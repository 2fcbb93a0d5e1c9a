"""Writes golden_fab.json.gz: FAB of pyautoattack 0.2.0, each iteration, from the clean image, on "small" of oracle.py.

    "labels"   [N], N = 5
    "target classes"   [N], the second likeliest other class on the clean image, the second that FAB-T
                       takes
    "runs"     by name: "linf", "l2", "l1", "linf targeted", "l2 targeted", "l1 targeted":
        "iterations", "alpha_max" 0.1, "eta" 1.05, "beta" 0.9
        "x"            [iteration][N][72], where the logits are linearised; x[0] is the clean image
        "plane"        [iteration][N], the class to whose boundary the step goes: the nearest in the dual
                       norm, or the target
        "f"            [iteration][N], z[plane] - z[label] at x
        "candidate"    [iteration][N][72], after the step: clip((1 - a)(x + eta d1) + a (x0 + eta d2)), d1
                       and d2 the projections of x and x0 onto the plane, a = min(|d1|/(|d1| + |d2|), alpha_max),
                       each norm at least 1e-8
        "adversarial"  [iteration][N], whether the candidate's class is not the label (targeted ones too)
        "best"         [iteration][N], the least norm of candidate - x0 so far among the adversarial, 0 for none;
                       after an adversarial candidate, x = x0 + beta (candidate - x0)
        "adv"          [N][72], the adversarial candidate of least norm, else the clean image
"""

import torch
from pyautoattack.fab_pt import FABAttack_PT

from oracle import both, images, last, network, write

N, ITERATIONS = 5, 10
ORDERS = {"linf": torch.inf, "l2": 2, "l1": 1}


class Watched(FABAttack_PT):
    """FAB that remembers where it linearises and what it tries."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.x, self.f, self.slope, self.candidates = [], [], [], []

    def keep(self, x, planes):
        self.x.append(x.clone())
        self.f.append(planes[0].clone())
        self.slope.append(planes[1].clone())
        return planes

    def get_diff_logits_grads_batch(self, x, y):
        return self.keep(x, super().get_diff_logits_grads_batch(x, y))

    def get_diff_logits_grads_batch_targeted(self, x, y, t):
        return self.keep(x, super().get_diff_logits_grads_batch_targeted(x, y, t))

    def _get_predicted_label(self, x):
        if self.x:
            self.candidates.append(x.clone())
        return super()._get_predicted_label(x)


def run(dtype, name):
    norm, targeted = name.split()[0], "targeted" in name
    net, x0 = network("small", dtype), images("small", N, dtype)
    attack = Watched(net, norm=norm.replace("l", "L"), n_iter=ITERATIONS, eps=1.0)
    attack.target_class = 3
    adv = attack.attack_single_run(x0, LABELS, use_rand_start=False, is_targeted=targeted)
    out = {"iterations": ITERATIONS, "alpha_max": attack.alpha_max, "eta": attack.eta, "beta": attack.beta,
           "x": [], "plane": [], "f": [], "candidate": [], "adversarial": [], "best": []}
    rows, best = torch.arange(N), [0.0] * N
    dual = {"linf": 1, "l2": 2, "l1": torch.inf}[norm]
    for x, f, slope, candidate in zip(attack.x, attack.f, attack.slope, attack.candidates, strict=True):
        far = f.abs() / slope.flatten(2).norm(p=dual, dim=2)
        plane = far.argmin(1)
        if not targeted:
            two = far.sort(dim=1).values
            assert (two[:, 1] - two[:, 0] > 1e-4 * two[:, 1]).all(), (name, two)
        z = net(candidate)
        wrong = z.argmax(1) != LABELS
        two = z.sort(dim=1).values
        assert (two[:, -1] - two[:, -2] > 4e-6).all(), (name, two)
        away = (candidate - x0).flatten(1).norm(p=ORDERS[norm], dim=1).tolist()
        for n in range(N):
            if wrong[n] and (best[n] == 0 or away[n] < best[n]):
                best[n] = away[n]
        out["x"].append(last(x))
        out["plane"].append((TARGETS if targeted else plane).tolist())
        out["f"].append(f[rows, plane].tolist())
        out["candidate"].append(last(candidate))
        out["adversarial"].append(wrong.tolist())
        out["best"].append(list(best))
    out["adv"] = last(adv)
    moved = (adv - x0).flatten(1).norm(p=ORDERS[norm], dim=1)
    assert torch.allclose(moved, torch.tensor(best), rtol=1e-5), (moved, best)
    if dtype == torch.float32:
        print(name, "best", best, "of adversarial", torch.tensor(out["adversarial"]).sum(0).tolist())
    return out


CLEAN = network("small")(images("small", N))
LABELS = CLEAN.argmax(1)
TARGETS = CLEAN.argsort(dim=1)[:, -3]
write(__file__, {
    "labels": LABELS.tolist(),
    "target classes": TARGETS.tolist(),
    "runs": {norm + kind: both(run, norm + kind) for norm in ORDERS for kind in ("", " targeted")},
})
