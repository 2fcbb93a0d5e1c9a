"""Times our evaluation beside PyTorch packages on the same checkpoint, images and cores.

    python3 attack_bench.py TRAIN_BINARY CHECKPOINT MNIST_FOLDER [--n 100] [--autoattack] [--pgd]

--autoattack: AutoAttack standard, ours against pyautoattack 0.2.0 (all images in one batch,
channels_last, whichever of that and PyTorch's own layout classifies them faster).
--pgd: PGD-100 with 10 restarts, survivors only between restarts, ours against torchattacks.

Prints wall time and CPU time of each side and how many images stay robust. CPU time, added over
threads, is what to compare on a machine that others use too. Needs torch, numpy, safetensors,
pyautoattack, torchattacks.
"""
import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import torch

from torch_check import images, load

EPS = 0.3


def timed(f):
    cpu = lambda: sum(getattr(resource.getrusage(w), k) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN) for k in ("ru_utime", "ru_stime"))
    wall, used = time.perf_counter(), cpu()
    robust = f()
    return robust, time.perf_counter() - wall, cpu() - used


def ours(args, attack):
    """Runs our binary with one attack and no checks; returns how many images stay robust."""
    with tempfile.TemporaryDirectory() as folder:
        config = pathlib.Path(folder, "bench.toml")
        config.write_text(f"[eval]\nn = {args.n}\ncurve_eps = []\nprotocol = \"none\"\n[[eval.attack]]\n{attack}\n")
        out = pathlib.Path(folder, "out")
        subprocess.run([args.train, "eval", "-config", config, "-checkpoint", args.checkpoint, "-out", out, "-quiet"], check=True, stdout=subprocess.DEVNULL)
        rows = json.loads((out / "report.json").read_text())["rows"]
        return round(min(r["accuracy"] for r in rows) * args.n)


def theirs(args):
    """The network in its faster layout, and the images that ours takes."""
    net, _ = load(args.checkpoint)
    x, y = images(pathlib.Path(args.mnist), args.n)
    best = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        net.to(memory_format=layout)
        times = []
        for _ in range(5):
            begun = time.perf_counter()
            net.forward(x.clone().requires_grad_()).sum().backward()
            times.append(time.perf_counter() - begun)
        best[layout] = sorted(times)[2]
    net.to(memory_format=min(best, key=best.get))
    for p in net.parameters():
        p.requires_grad_(False)
    return net, x, y


def pyautoattack(net, x, y):
    from pyautoattack.autoattack import AutoAttack
    judge = AutoAttack(net, norm="Linf", eps=EPS, version="standard", seed=0)
    judge.verbose = False
    adv, _ = judge.run_standard_evaluation(x, y, batch_size=len(x))
    with torch.no_grad():
        return int((net(adv).argmax(1) == y).sum())


def torchattacks_pgd(net, x, y):
    import torchattacks
    with torch.no_grad():
        alive = net(x).argmax(1) == y
    for _ in range(10):
        if alive.any():
            adv = torchattacks.PGD(net, eps=EPS, alpha=0.01, steps=100, random_start=True)(x[alive], y[alive])
            with torch.no_grad():
                alive[alive.clone()] = net(adv).argmax(1) == y[alive]
    return int(alive.sum())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("train", "checkpoint", "mnist"):
        p.add_argument(name)
    p.add_argument("--n", type=int, default=100)
    p.add_argument("--autoattack", action="store_true")
    p.add_argument("--pgd", action="store_true")
    args = p.parse_args()
    torch.manual_seed(0)
    net, x, y = theirs(args)
    jobs = []
    if args.autoattack:
        jobs.append(("AutoAttack standard", 'name = "autoattack"', "pyautoattack", pyautoattack))
    if args.pgd:
        jobs.append(("PGD-100 x10", 'name = "pgd"\nsteps = 100\nstep_size = 0.01\nrestarts = 10', "torchattacks", torchattacks_pgd))
    if not jobs:
        sys.exit("nothing to time: give --autoattack, --pgd or both")
    for title, attack, package, run in jobs:
        mine, other = timed(lambda: ours(args, attack)), timed(lambda: run(net, x, y))
        print(f"{title}, n = {args.n}, {torch.get_num_threads()} threads")
        for who, (robust, wall, cpu) in (("rampart", mine), (package, other)):
            print(f"  {who:12s} {robust:4d} robust  {wall:8.1f} s  {cpu:8.1f} s of CPU time")
        print(f"  ratio        {other[1] / mine[1]:.1f} x by wall time, {other[2] / mine[2]:.1f} x by CPU time", flush=True)


main()
