#!/usr/bin/env python3
"""Time PyTorch on the training step that `train bench` times, and print the ratio.

Both sides make one PGD adversarial training step (and a forward pass) of madry_cnn on the same
MNIST images with the same weights, every example attacked, in the same run, in turn. Needs torch
(CPU) and safetensors from PyPI, and Go. From the root of the repository:

  python3 train/testdata/pytorch_bench.py [--checkpoint FILE] [--batch 50] [--steps 40] [--threads 2]
"""
import argparse, gzip, json, subprocess, time
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F
from safetensors.torch import load_file

p = argparse.ArgumentParser()
p.add_argument("--checkpoint")
p.add_argument("--batch", type=int, default=50)
p.add_argument("--steps", type=int, default=40)
p.add_argument("--threads", type=int, default=2)
p.add_argument("--rounds", type=int, default=3)
a = p.parse_args()
torch.set_num_threads(a.threads)

raw = gzip.open("data/mnist/train-images-idx3-ubyte.gz").read()
x = torch.tensor(np.frombuffer(raw, np.uint8, offset=16)[: a.batch * 784].reshape(-1, 1, 28, 28).astype(np.float32) / 255)
y = torch.tensor(np.frombuffer(gzip.open("data/mnist/train-labels-idx1-ubyte.gz").read(), np.uint8, offset=8)[: a.batch].astype(np.int64))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 32, 5, padding=2), nn.Conv2d(32, 64, 5, padding=2)
        self.fc1, self.fc2 = nn.Linear(3136, 1024), nn.Linear(1024, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


def setting(channels_last, bf16, compiled):
    """Returns functions that make one training step and one forward pass."""
    torch.manual_seed(0)
    net = Net()
    if a.checkpoint:
        net.load_state_dict(load_file(a.checkpoint))
    if channels_last:
        net = net.to(memory_format=torch.channels_last)
    f = torch.compile(net) if compiled else net
    opt = torch.optim.Adam(net.parameters(), 0.0)

    def loss(z):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            return F.cross_entropy(f(z), y)

    def step():
        lo, hi = (x - 0.3).clamp(0, 1), (x + 0.3).clamp(0, 1)
        z = torch.rand_like(lo) * (hi - lo) + lo
        for q in net.parameters():
            q.requires_grad_(False)
        for _ in range(a.steps):
            z.requires_grad_(True)
            g, = torch.autograd.grad(loss(z), z)
            z = torch.max(torch.min(z.detach() + 0.01 * g.sign(), hi), lo)
        for q in net.parameters():
            q.requires_grad_(True)
        opt.zero_grad(set_to_none=True)
        loss(z.detach()).backward()
        opt.step()

    def forward():
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            f(x)

    return step, forward


def median(f, n, budget=10):
    """The median time of n calls after one that warms up, or of fewer once budget seconds are spent."""
    t, begun = [], time.perf_counter()
    f()
    while len(t) < n and (not t or time.perf_counter() - begun < budget):
        s = time.perf_counter()
        f()
        t.append(time.perf_counter() - s)
    return sorted(t)[len(t) // 2]


def rampart():
    cmd = ["go", "run", "./train", "bench", "-config", "madry.toml", "-json", "-threads", str(a.threads),
           "-set", f"train.batch={a.batch}", "-set", "defense.adversarial=1", "-set", f"defense.attack.steps={a.steps}", "-set", "defense.attack.step_size=0.01"]
    if a.checkpoint:
        cmd += ["-checkpoint", a.checkpoint]
    out = json.loads(subprocess.run(cmd, check=True, capture_output=True, text=True).stdout)
    return out, {s["name"]: s["images_per_s"] for s in out["stages"]}


settings = {"default": (0, 0, 0), "channels_last": (1, 0, 0), "bf16 autocast": (0, 1, 0),
            "channels_last + bf16": (1, 1, 0), "torch.compile": (0, 0, 1)}
rates = {}
for r in range(a.rounds):
    machine, ours = rampart()
    rates.setdefault("rampart", []).append((ours["training step"], ours["forward"]))
    for name, kw in settings.items():
        try:
            step, forward = setting(*map(bool, kw))
            rates.setdefault(name, []).append((a.batch / median(step, 3), a.batch / median(forward, 9)))
        except Exception as e:  # a setting that this build of PyTorch cannot run
            print(f"{name}: not measured ({type(e).__name__})") if r == 0 else None
middle = {n: [sorted(v)[len(v) // 2] for v in zip(*l)] for n, l in rates.items()}
print(f"{machine['cpu']}, {a.threads} threads, peak {machine['peak_gflops']:.0f} GFLOP/s, torch {torch.__version__}; "
      f"batch {a.batch}, PGD-{a.steps}, weights {'of a checkpoint' if a.checkpoint else 'fresh'}; median of {a.rounds} rounds")
print(f"{'':22s} {'training step':>20s} {'forward':>20s}   images/s (rampart's rate over it)")
for n, (s, f) in middle.items():
    print(f"{n:22s} {s:11.1f} ({middle['rampart'][0] / s:5.2f}) {f:11.1f} ({middle['rampart'][1] / f:5.2f})")
