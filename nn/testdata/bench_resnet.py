#!/usr/bin/env python3
"""Time PyTorch on the PGD step of ResNet-18 that BenchmarkResNet18 times, and print the ratio.

64 images of 32x32x3, fresh weights, evaluation mode; a step is a forward pass and the gradient of the
input. Both sides run in turn, and the medians of processor time count, since other programs on the
machine disturb the time of day. Needs torch (CPU) from PyPI, and Go. From the root of the repository:

  python3 nn/testdata/bench_resnet.py [--threads 2] [--rounds 3] [--compile]
"""
import argparse, re, resource, subprocess

p = argparse.ArgumentParser()
p.add_argument("--threads", type=int, default=2)
p.add_argument("--rounds", type=int, default=3)
p.add_argument("--compile", action="store_true", help="torch.compile, too")
a = p.parse_args()

import torch, torch.nn as nn, torch.nn.functional as F

torch.set_num_threads(a.threads)
rows, steps = 64, 2
torch.manual_seed(0)
images, labels = torch.rand(rows, 3, 32, 32), torch.zeros(rows, dtype=torch.long)


class Block(nn.Module):
    def __init__(self, inner, out, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inner, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut = nn.Sequential(nn.Conv2d(inner, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.shortcut(x))


def network():
    layers, inner = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()], 64
    for out in (64, 128, 256, 512):
        layers += [Block(inner, out, 1 if out == 64 else 2), Block(out, out, 1)]
        inner = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10)).eval().requires_grad_(False)


def setting(channels_last=False, compiled=False):
    net = network()
    x = images
    if channels_last:
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    f = torch.compile(net) if compiled else net

    def run():
        z, lo, hi = x.clone(), (x - 8 / 255).clamp(0, 1), (x + 8 / 255).clamp(0, 1)
        for _ in range(steps):
            z.requires_grad_(True)
            g, = torch.autograd.grad(F.cross_entropy(f(z), labels), z)
            z = torch.max(torch.min(z.detach() + 2 / 255 * g.sign(), hi), lo)

    return run


def spent():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime


def rampart():
    out = subprocess.run(["go", "test", "./nn", "-run", "^$", "-bench", "ResNet18/step", "-benchtime", "1x", "-cpu", str(a.threads)],
                         check=True, capture_output=True, text=True).stdout
    return float(re.search(r"([\d.]+) cpu-ms/step", out)[1]) / 1e3


settings = {"default": {}, "channels_last": dict(channels_last=True)}
if a.compile:
    settings |= {"compiled": dict(compiled=True), "compiled, channels_last": dict(compiled=True, channels_last=True)}
runs = {name: setting(**options) for name, options in settings.items()}
for run in runs.values():
    run()
times = {name: [] for name in ["rampart", *runs]}
for _ in range(a.rounds):
    times["rampart"].append(rampart())
    for name, run in runs.items():
        begun = spent()
        run()
        times[name].append((spent() - begun) / steps)
middle = {name: sorted(t)[len(t) // 2] for name, t in times.items()}
print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}, {a.threads} threads; median of {a.rounds} rounds")
for name, t in middle.items():
    print(f"{name:24s}{t:8.3f} s of processor time a step, {t / middle['rampart']:5.2f} times rampart's")
