"""Measures the networks of this folder with pyautoattack 0.2.0, into NETWORK.reference.json.

    python reference.py [--parts] MNIST_FOLDER [NETWORK ...]

The first 1,000 MNIST test images, Linf, batches of 250 (the fastest), one thread, for seeds 0, 1, 2: AutoAttack standard,
and with --parts each of its attacks alone on the images that are classified right. Interrupted, it goes
on where it was. NETWORK.reference.json:

    {"eps", "n": 1000, "clean": flags, "runs": {ATTACK: {SEED: {"robust": count, "flags": flags,
     "seconds": CPU time}}}}

flags are 0 and 1 by image: 1 where it is classified right (and the attack failed). ATTACK is
    "apgd-ce", "apgd-t", "fab-t", "square"   the parts of standard, with its options: 100 iterations, 1 restart,
                                             9 targets, 5000 queries, p 0.8 by AutoAttack's schedule
    "apgd-dlr"                               100 iterations, 1 restart
    "standard"                               the four one after the other, survivors only
Standard's worst case and the conjunction of the four's flags have the same distribution: what an attack
does to an image depends on no other image, random numbers aside.
"""

import json
import pathlib
import sys
import time

import torch
from pyautoattack.autoattack import AutoAttack

from mnist import load, mnist

HERE = pathlib.Path(__file__).parent
# The last two at an eps that most images do not withstand: there the strength of an attack shows most, and
# the run takes minutes where smaller ones take half an hour.
NETWORKS = {"substitute_trades": 0.3, "advertorch_lenet5_robust": 0.35, "advertorch_lenet5_clean": 0.15}
PARTS = ["apgd-ce", "apgd-dlr", "apgd-t", "fab-t", "square"]
N, BATCH = 1000, 250


def flags(values):
    return "".join("1" if v else "0" for v in values.tolist())


def measure(net, x, y, eps, attack, seed):
    judge = AutoAttack(net, norm="Linf", eps=eps, version="standard", seed=seed)
    judge.verbose = False
    if attack != "standard":
        judge.attacks_to_run = [attack]
        judge.apgd.n_restarts = 1
    begun = time.process_time()
    adv, _ = judge.run_standard_evaluation(x, y, batch_size=BATCH)
    seconds = time.process_time() - begun
    assert ((adv - x).abs() <= eps + 1e-6).all() and (adv >= 0).all() and (adv <= 1).all()
    with torch.no_grad():
        robust = net(adv).argmax(1) == y
    return {"robust": robust.sum().item(), "flags": flags(robust), "seconds": round(seconds, 1)}


def main(parts, folder, *networks):
    torch.set_num_threads(1)
    x, y = (v[:N] for v in mnist(folder, "t10k"))
    for name in networks or NETWORKS:
        path = HERE / f"{name}.reference.json"
        net = load(HERE / f"{name}.safetensors").to(memory_format=torch.channels_last)
        with torch.no_grad():
            clean = {"eps": NETWORKS[name], "n": N, "clean": flags(net(x).argmax(1) == y), "runs": {}}
        found = json.loads(path.read_text()) if path.exists() else clean
        for attack, seed in [(a, s) for s in range(3) for a in ["standard"] + PARTS * parts]:
            runs = found["runs"].setdefault(attack, {})
            if str(seed) in runs:
                continue
            runs[str(seed)] = measure(net, x, y, found["eps"], attack, seed)
            print(name, attack, seed, runs[str(seed)]["robust"], runs[str(seed)]["seconds"], flush=True)
            path.with_suffix(".tmp").write_text(json.dumps(found, indent=1) + "\n")
            path.with_suffix(".tmp").replace(path)


main("--parts" in sys.argv, *(a for a in sys.argv[1:] if a != "--parts"))
