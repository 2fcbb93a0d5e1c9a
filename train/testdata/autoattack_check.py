"""AutoAttack standard by pyautoattack 0.2.0 on a checkpoint of madry_cnn or fast_cnn, Linf .3, MNIST's test
images as Rampart chooses them. PyTorch loads the checkpoint and judges every image at the end.

    python3 autoattack_check.py CHECKPOINT MNIST_FOLDER [--n 1000] [--seed 0] [--victim BINARY]

Logits and gradients come from PyTorch or, faster on a CPU, from the program of testdata/victim
(go build -o BINARY ./train/testdata/victim): then the attack is pyautoattack's, the network's arithmetic ours, and
what it found is PyTorch's to judge. Both arithmetics are compared first. Needs torch, numpy, safetensors, pyautoattack.
"""
import argparse
import logging
import pathlib
import struct
import subprocess
import time

import numpy as np
import torch
from pyautoattack.autoattack import AutoAttack

from torch_check import images, load

EPS = 0.3


class Victim:
    """The network, answered by our program."""

    def __init__(self, binary, checkpoint):
        self.process = subprocess.Popen([binary, checkpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, x, cotangents=None):
        n, width = len(x), 10 if cotangents is None else x[0].numel()
        parts = [struct.pack("<ii", n, int(cotangents is not None)), x.detach().contiguous().numpy().tobytes()]
        if cotangents is not None:
            parts.append(cotangents.contiguous().numpy().tobytes())
        self.process.stdin.write(b"".join(parts))
        self.process.stdin.flush()
        answer = self.process.stdout.read(4 * n * width)
        return torch.from_numpy(np.frombuffer(answer, np.float32).copy()).reshape(n, width)

    def __call__(self, x):
        return Answer.apply(x, self)


class Answer(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, victim):
        ctx.save_for_backward(x)
        ctx.victim = victim
        return victim.ask(x)

    @staticmethod
    def backward(ctx, cotangents):
        x, = ctx.saved_tensors
        return ctx.victim.ask(x, cotangents).reshape(x.shape), None


def compare(net, victim, x):
    """The largest difference of logits, relative to the largest, and the share of images whose gradients
    differ by more than 1e-4 of their largest value: a few lie so near a kink that the last bit decides."""
    moved, results = (x + 0.1 * torch.rand(x.shape)).clamp(0, 1), []
    for f in (net, victim):
        at = moved.clone().requires_grad_()
        z = f(at)
        (z * torch.arange(10.0).cos()).sum().backward()
        results.append((z.detach(), at.grad.flatten(1)))
    (z, g), (ours, grad) = results
    apart = (g - grad).abs().amax(1) > 1e-4 * g.abs().amax(1)
    return float((z - ours).abs().max() / z.abs().max()), float(apart.float().mean())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("checkpoint")
    p.add_argument("mnist")
    p.add_argument("--n", type=int, default=1000)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--victim")
    args = p.parse_args()
    torch.manual_seed(args.seed)
    net, _ = load(args.checkpoint)
    net.to(memory_format=torch.channels_last).requires_grad_(False)
    x, y = images(pathlib.Path(args.mnist), args.n)
    target = net
    if args.victim:
        target = Victim(args.victim, args.checkpoint)
        logits, apart = compare(net, target, images(pathlib.Path(args.mnist), 100)[0])
        print(f"PyTorch and the victim differ by {logits:.1e} in logits, and in the gradients of {100 * apart:.0f} % of images", flush=True)
        assert logits < 1e-4 and apart <= 0.05
    logging.basicConfig(level=logging.DEBUG, format="%(asctime)s %(message)s")
    begun = time.perf_counter()
    judge = AutoAttack(target, norm="Linf", eps=EPS, version="standard", seed=args.seed, device="cpu")
    adv, _ = judge.run_standard_evaluation(x, y, batch_size=min(args.n, 500))
    moved = float((adv - x).abs().max())
    assert moved <= EPS + 1e-6 and float(adv.min()) >= 0 and float(adv.max()) <= 1, moved
    with torch.no_grad():
        clean, robust = (int((net(v).argmax(1) == y).sum()) for v in (x, adv))
    print(f"{args.checkpoint}: by PyTorch {clean} of {args.n} are right, {robust} robust to AutoAttack standard at Linf {EPS}; {time.perf_counter() - begun:.0f} s", flush=True)


main()
