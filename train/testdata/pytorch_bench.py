#!/usr/bin/env python3
"""Time PyTorch on the training step that `train bench` times, and print the ratio.

Both sides make one PGD adversarial training step of madry_cnn, every example attacked, and a forward
pass of a larger batch, on the same MNIST images with the same weights, in turn, several rounds; the
medians count. Needs torch (CPU) and safetensors from PyPI, and Go. From the root of the repository:

  python3 train/testdata/pytorch_bench.py [--checkpoint FILE] [--batch 50 128] [--forward 256]
      [--steps 40] [--threads 2] [--rounds 3] [--avx2]

--avx2 holds both sides to AVX2, on machines that have more. Other programs on the machine disturb
both sides, but not equally: look at the load first.
"""
import argparse, json, os, pathlib, subprocess, tempfile, time

p = argparse.ArgumentParser()
p.add_argument("--checkpoint")
p.add_argument("--batch", type=int, nargs="+", default=[50, 128], help="of the training step")
p.add_argument("--forward", type=int, default=256, help="batch of the forward pass")
p.add_argument("--steps", type=int, default=40)
p.add_argument("--threads", type=int, default=2)
p.add_argument("--rounds", type=int, default=3)
p.add_argument("--avx2", action="store_true")
p.add_argument("--settings", nargs="+", help="of PyTorch; all are measured by default")
a = p.parse_args()
if a.avx2:  # read when PyTorch is loaded
    os.environ.update(ATEN_CPU_CAPABILITY="avx2", ONEDNN_MAX_CPU_ISA="AVX2", RAMPART_CPU="avx2")

import numpy as np, torch, torch.nn.functional as F

from torch_check import Network, idx, load

torch.set_num_threads(a.threads)
most = max(a.batch + [a.forward])
folder = pathlib.Path("data/mnist")
images = torch.tensor(idx(folder / "train-images-idx3-ubyte.gz", 16)[: most * 784].reshape(-1, 1, 28, 28).astype(np.float32) / 255)
labels = torch.tensor(idx(folder / "train-labels-idx1-ubyte.gz", 8)[:most].astype(np.int64))


def setting(channels_last=False, bf16=False, compiled=False):
    """Returns functions of a batch size: one training step, one forward pass."""
    torch.manual_seed(0)
    net = load(a.checkpoint)[0] if a.checkpoint else Network("madry_cnn")
    if channels_last:
        net = net.to(memory_format=torch.channels_last)
    f = torch.compile(net) if compiled else net
    opt = torch.optim.Adam(net.parameters(), 0.0)

    def loss(z, y):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            return F.cross_entropy(f(z), y)

    def step(batch):
        x, y = images[:batch], labels[:batch]
        lo, hi = (x - 0.3).clamp(0, 1), (x + 0.3).clamp(0, 1)
        z = torch.rand_like(lo) * (hi - lo) + lo
        for q in net.parameters():
            q.requires_grad_(False)
        for _ in range(a.steps):
            z.requires_grad_(True)
            g, = torch.autograd.grad(loss(z, y), z)
            z = torch.max(torch.min(z.detach() + 0.01 * g.sign(), hi), lo)
        for q in net.parameters():
            q.requires_grad_(True)
        opt.zero_grad(set_to_none=True)
        loss(z.detach(), y).backward()
        opt.step()

    def forward(batch):
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            f(images[:batch])

    return step, forward


def rate(f, batch, n, budget=10):
    """Images/s by the median of n calls after one that warms up, or of fewer once budget seconds are spent."""
    t, begun = [], time.perf_counter()
    f(batch)
    while len(t) < n and (not t or time.perf_counter() - begun < budget):
        s = time.perf_counter()
        f(batch)
        t.append(time.perf_counter() - s)
    return batch / sorted(t)[len(t) // 2]


def rampart(program, batch, steps, repeats):
    cmd = [program, "bench", "-config", "madry.toml", "-json", "-threads", str(a.threads), "-repeats", str(repeats),
           "-set", f"train.batch={batch}", "-set", "defense.adversarial=1",
           "-set", f"defense.attack.steps={steps}", "-set", "defense.attack.eps=0.3", "-set", "defense.attack.step_size=0.01"]
    if a.checkpoint:
        cmd += ["-checkpoint", a.checkpoint]
    out = json.loads(subprocess.run(cmd, check=True, capture_output=True, text=True).stdout)
    return out, {s["name"]: s["images_per_s"] for s in out["stages"]}


settings = {
    "default": {},
    "channels_last": dict(channels_last=True),
    "torch.compile": dict(compiled=True),
    "compile, channels_last": dict(compiled=True, channels_last=True),
    "bf16 autocast": dict(bf16=True),
    "bf16, channels_last": dict(bf16=True, channels_last=True),
}
columns = [f"step, {b}" for b in a.batch] + [f"forward, {a.forward}"]
rates = {}  # by setting: a list by round of a list by column
with tempfile.TemporaryDirectory() as folder:
    program = os.path.join(folder, "train")
    subprocess.run(["go", "build", "-o", program, "./train"], check=True)
    for r in range(a.rounds):
        row = []
        for batch in a.batch:
            machine, ours = rampart(program, batch, a.steps, 3)
            row.append(ours["training step"])
        # One attack step: only the forward pass is wanted.
        row.append(rampart(program, a.forward, 1, 9)[1]["forward"])
        rates.setdefault("rampart", []).append(row)
        for name, options in settings.items():
            if a.settings and name not in a.settings:
                continue
            try:
                step, forward = setting(**options)
                row = [rate(step, b, 3) for b in a.batch] + [rate(forward, a.forward, 9)]
                rates.setdefault(name, []).append(row)
            except Exception as e:  # a setting that this build of PyTorch cannot run
                if r == 0:
                    print(f"{name}: not measured ({type(e).__name__})")

middle = {n: [sorted(v)[len(v) // 2] for v in zip(*rows)] for n, rows in rates.items()}
print(f"{machine['cpu']}, {a.threads} threads, {machine['kernels']} kernels, peak {machine['peak_gflops']:.0f} GFLOP/s; torch {torch.__version__}, "
      f"{torch.backends.cpu.get_cpu_capability()}; PGD-{a.steps}, weights {'of a checkpoint' if a.checkpoint else 'fresh'}; "
      f"median of {a.rounds} rounds; images/s, and how many times faster rampart is")
print(f"{'':24s}" + "".join(f"{c:>22s}" for c in columns))
for name, values in middle.items():
    print(f"{name:24s}" + "".join(f"{v:13.1f} ({middle['rampart'][i] / v:5.2f})" for i, v in enumerate(values)))
