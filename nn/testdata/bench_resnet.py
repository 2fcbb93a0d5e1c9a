#!/usr/bin/env python3
"""Time PyTorch on adversarial training steps beside Rampart, and compare the memory that they need.

64 images of 32x32x3 and fresh weights. "step" is a forward pass and the gradient of the input of ResNet-18 in
evaluation mode (BenchmarkResNet18/step). "training" is PGD-10 in evaluation mode and the update by SGD with
momentum in training mode, of ResNet-18 and WRN-16-4 (BenchmarkTraining). Sides run in turn, each in a process
of its own, and the medians of processor time count, since other programs on the machine disturb the time of
day; the memory is the most that a process ever held, libraries included. The time that torch.compile takes
before its first step does not count. Needs torch (CPU) from PyPI, and Go. From the root of the repository:

  python3 nn/testdata/bench_resnet.py [--threads 2] [--rounds 3] [--compile] [--settings default,compiled] [--what step,resnet18,wide_resnet]
"""
import argparse, json, os, re, resource, subprocess, sys, tempfile

p = argparse.ArgumentParser()
p.add_argument("--threads", type=int, default=2)
p.add_argument("--rounds", type=int, default=3)
p.add_argument("--compile", action="store_true", help="torch.compile, too")
p.add_argument("--what", default="step,resnet18,wide_resnet", help="what to time, by commas")
p.add_argument("--settings", help="which of PyTorch's settings, by commas; all are default, channels_last, compiled, compiled channels_last")
p.add_argument("--side", help=argparse.SUPPRESS)  # of a process that times one: a setting's name
a = p.parse_args()

settings = {"default": {}, "channels_last": dict(channels_last=True)}
if a.compile or a.side or a.settings:
    settings |= {"compiled": dict(compiled=True), "compiled channels_last": dict(compiled=True, channels_last=True)}
if a.settings:
    settings = {name: settings[name] for name in a.settings.split(",")}


def spent():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime


def side(what, channels_last=False, compiled=False):
    """Times one setting of PyTorch: seconds of processor time a step, and bytes at most."""
    import torch, torch.nn as nn, torch.nn.functional as F

    torch.set_num_threads(a.threads)
    torch.manual_seed(0)
    rows, steps = 64, 2 if what == "step" else 10
    x, y = torch.rand(rows, 3, 32, 32), torch.zeros(rows, dtype=torch.long)

    def conv(inner, out, k, stride=1):
        return nn.Conv2d(inner, out, k, stride, k // 2, bias=False)

    class Block(nn.Module):
        def __init__(self, inner, out, stride):
            super().__init__()
            self.conv1, self.bn1, self.conv2, self.bn2 = conv(inner, out, 3, stride), nn.BatchNorm2d(out), conv(out, out, 3), nn.BatchNorm2d(out)
            self.shortcut = nn.Sequential()
            if stride > 1:
                self.shortcut = nn.Sequential(conv(inner, out, 1, stride), nn.BatchNorm2d(out))

        def forward(self, x):
            return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + self.shortcut(x))

    class WideBlock(nn.Module):  # Zagoruyko and Komodakis 2016: normalised before
        def __init__(self, inner, out, stride):
            super().__init__()
            self.bn1, self.conv1, self.bn2, self.conv2 = nn.BatchNorm2d(inner), conv(inner, out, 3, stride), nn.BatchNorm2d(out), conv(out, out, 3)
            self.shortcut = conv(inner, out, 1, stride) if inner != out else None

        def forward(self, x):
            h = F.relu(self.bn1(x))
            return self.conv2(F.relu(self.bn2(self.conv1(h)))) + (x if self.shortcut is None else self.shortcut(h))

    def network():
        if what == "wide_resnet":
            layers, inner = [conv(3, 16, 3)], 16
            for stage, out in enumerate((64, 128, 256)):
                layers += [WideBlock(inner, out, 1 if stage == 0 else 2), WideBlock(out, out, 1)]
                inner = out
            layers += [nn.BatchNorm2d(inner), nn.ReLU()]
        else:
            layers, inner = [conv(3, 64, 3), nn.BatchNorm2d(64), nn.ReLU()], 64
            for out in (64, 128, 256, 512):
                layers += [Block(inner, out, 1 if out == 64 else 2), Block(out, out, 1)]
                inner = out
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inner, 10))

    net = network()
    if channels_last:
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    f = torch.compile(net) if compiled else net
    rule = torch.optim.SGD(net.parameters(), 0.01, momentum=0.9)

    def attack(steps):
        net.eval().requires_grad_(False)
        z, lo, hi = x.clone(), (x - 8 / 255).clamp(0, 1), (x + 8 / 255).clamp(0, 1)
        for _ in range(steps):
            z.requires_grad_(True)
            g, = torch.autograd.grad(F.cross_entropy(f(z), y), z)
            z = torch.max(torch.min(z.detach() + 2 / 255 * g.sign(), hi), lo)
        return z

    def run(steps):
        z = attack(steps)
        if what == "step":
            return
        net.train().requires_grad_(True)
        rule.zero_grad()
        F.cross_entropy(f(z), y).backward()
        rule.step()

    run(1)  # compiles, and makes memory
    begun = spent()
    run(steps)
    return (spent() - begun) / (steps if what == "step" else 1), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if a.side:
    print(json.dumps(side(a.what, **settings[a.side])))
    sys.exit()

bench = {"step": "ResNet18/step", "resnet18": "Training/resnet18", "wide_resnet": "Training/wide_resnet"}
with tempfile.TemporaryDirectory() as folder:
    binary = os.path.join(folder, "nn.test")
    subprocess.run(["go", "test", "-c", "-o", binary, "./nn"], check=True)

    def rampart(name):
        out = subprocess.run([binary, "-test.run", "^$", "-test.bench", f"^Benchmark{name}$", "-test.benchtime", "1x", "-test.cpu", str(a.threads)],
                             check=True, capture_output=True, text=True, cwd="nn").stdout
        peak = re.search(r"([\d.]+) peak-MB", out)
        return float(re.search(r"([\d.]+) cpu-ms", out)[1]) / 1e3, float(peak[1]) * 1e6 if peak else 0

    def torch_side(what, name):
        out = subprocess.run([sys.executable, __file__, "--what", what, "--side", name, "--threads", str(a.threads)], check=True, capture_output=True, text=True).stdout
        return tuple(json.loads(out.splitlines()[-1]))

    import importlib.metadata
    print(f"torch {importlib.metadata.version('torch')}, {a.threads} threads; median of {a.rounds} rounds")
    for what in a.what.split(","):
        sides = {"rampart": lambda: rampart(bench[what])}
        if what != "step":
            sides["rampart, 4 segments"] = lambda: rampart(bench[what] + "_in_4_segments")
        sides |= {name: (lambda name=name: torch_side(what, name)) for name in settings}
        times = {name: [] for name in sides}
        for _ in range(a.rounds):
            for name, run in sides.items():
                times[name].append(run())
                print(f"{what}, {name}: %.3f s, %.1f MB" % (times[name][-1][0], times[name][-1][1] / 1e6), file=sys.stderr, flush=True)
        middle = {name: sorted(t for t, _ in list_)[a.rounds // 2] for name, list_ in times.items()}
        for name, t in middle.items():
            peak = max(m for _, m in times[name]) / 1e6
            memory = f"; {peak:7.1f} MB at most" if peak and what != "step" else ""
            print(f"{what:12s} {name:24s}{t:8.3f} s of processor time a step, {t / middle['rampart']:5.2f} times rampart's{memory}")
