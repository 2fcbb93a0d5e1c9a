#!/usr/bin/env python3
"""Times PyTorch on the GPU at what ondevice.sh times with train bench: input gradients and PGD
training steps of madry_cnn (batch 64) and of the network of resblock.toml (batch 128), in float32
without TF32, and with it. Needs torch with CUDA; fresh weights, random images."""
import statistics, time
import torch, torch.nn as nn, torch.nn.functional as F


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64))

    def forward(self, x):
        return F.relu(x + self.body(x))


networks = {
    "madry_cnn": (64, lambda: nn.Sequential(
        nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(3136, 1024), nn.ReLU(), nn.Linear(1024, 10))),
    "resblock": (128, lambda: nn.Sequential(
        nn.Conv2d(1, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), Block(), nn.AvgPool2d(28), nn.Flatten(), nn.Linear(64, 10))),
}


def median(f, repeats=20):
    times = []
    for i in range(repeats + 3):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        f()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return statistics.median(times[3:])


print(f"PyTorch {torch.__version__} on {torch.cuda.get_device_name()}")
for tf32 in False, True:
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.benchmark = True
    for name, (batch, build) in networks.items():
        for channels_last in False, True:
            net = build().cuda()
            x, y = torch.rand(batch, 1, 28, 28, device="cuda"), torch.randint(10, (batch,), device="cuda")
            if channels_last:
                net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
            optimizer = torch.optim.SGD(net.parameters(), 0.0, momentum=0.9)

            def gradient(at):
                at = at.detach().requires_grad_(True)
                return torch.autograd.grad(F.cross_entropy(net(at), y, reduction="sum"), at)[0]

            def step():
                net.eval()
                adv = (x + torch.empty_like(x).uniform_(-0.3, 0.3)).clamp(0, 1)
                for _ in range(10):
                    adv = torch.min(torch.max(adv + 0.1 * gradient(adv).sign(), x - 0.3), x + 0.3).clamp(0, 1)
                net.train()
                optimizer.zero_grad()
                F.cross_entropy(net(adv), y).backward()
                optimizer.step()

            print(f"{name}, batch {batch}, {'TF32' if tf32 else 'float32'}, {'channels_last' if channels_last else 'NCHW'}: "
                  f"input gradient {1e3 * median(lambda: gradient(x)):.2f} ms, PGD-10 training step {1e3 * median(step):.2f} ms")
