"""Writes torch_golden.bin.gz, which nn/torch_test.go compares with.

    python3 golden_torch.py        (PyTorch 2.x; the Go tests do not need it)

All numbers come from formulas that both sides compute, so that the file holds PyTorch's results
only: gzipped little-endian float32, in the order of the calls of save(). The weight tensors of a
network are numbered in the order of state_dict(), counting no "num_batches_tracked".
"""
import gzip, math, os
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)
out = []


def save(x):
    out.append(np.asarray(x.detach() if torch.is_tensor(x) else x, dtype="<f4").ravel())


def fraction(n, offset):
    """frac((i+offset) * golden ratio) for i < n."""
    v = (np.arange(n, dtype=np.float64) + offset) * 0.61803398875
    return v - np.floor(v)


def batch(n, h, w, c, number):
    """Images [n,h,w,c] in [0,1), given as PyTorch's [n,c,h,w], and labels."""
    x = fraction(n * h * w * c, 1000.0 * number).astype(np.float32).reshape(n, h, w, c)
    y = (np.arange(n) * 3 + number) % 10
    return torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).requires_grad_(), torch.from_numpy(y)


def set_weights(net):
    """Kaiming's standard deviation for matrices; vectors near their first value."""
    number = 0
    for name, w in net.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        number += 1
        u = fraction(w.numel(), 77.0 * number) * 2 - 1
        if w.dim() > 1:
            u = u * math.sqrt(6 / (w.numel() // w.shape[0]))
        else:
            first = 1 if float(w.flatten()[0]) == 1 and w.dim() == 1 else 0
            if name.endswith("bias"):
                first = 0
            u = first + 0.1 * u
        w.copy_(torch.from_numpy(u.astype(np.float32)).reshape(w.shape))


class FastCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 4, 2, 1)
        self.conv2 = nn.Conv2d(16, 32, 4, 2, 1)
        self.fc1 = nn.Linear(32 * 7 * 7, 100)
        self.fc2 = nn.Linear(100, 10)

    def forward(self, x):
        x = F.relu(self.conv2(F.relu(self.conv1(x)))).flatten(1)
        return self.fc2(F.relu(self.fc1(x)))


class Residual(nn.Module):
    """Two residual blocks with batch normalisation, max and average pooling, on 8x8 images of 3 channels."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, 1, 1)
        self.bn1 = nn.BatchNorm2d(6)
        self.conv2 = nn.Conv2d(6, 8, 3, 2, 1)
        self.bn2 = nn.BatchNorm2d(8)
        self.conv3 = nn.Conv2d(8, 8, 3, 1, 1)
        self.bn3 = nn.BatchNorm2d(8)
        self.conv4 = nn.Conv2d(6, 8, 1, 2, 0)
        self.fc1 = nn.Linear(8 * 2 * 2, 12)
        self.bn4 = nn.BatchNorm1d(12)
        self.fc2 = nn.Linear(12, 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.max_pool2d(x, 3, 1, 1)
        x = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(x))))) + self.conv4(x)
        x = F.avg_pool2d(F.relu(x), 2).flatten(1)
        return self.fc2(F.relu(self.bn4(self.fc1(x))))


def fresh(make):
    net = make()
    with torch.no_grad():
        set_weights(net)
    return net


def sample(x):
    """Every 37th value of a large tensor."""
    x = x.detach().flatten()
    return x[::37] if x.numel() > 2000 else x


def one_pass(net, x, y):
    logits = net(x)
    loss = F.cross_entropy(logits, y, reduction="none")
    loss.mean().backward()
    save(logits)
    save(loss)
    save(x.grad.permute(0, 2, 3, 1) * len(y))  # of the sum over rows, channels last
    for p in net.parameters():
        save(sample(p.grad))


def train(net, optimizer, steps, h, w, c):
    for step in range(steps):
        x, y = batch(8, h, w, c, step)
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x.detach()), y)
        loss.backward()
        optimizer.step()
        save(loss.reshape(1))


def write(name):
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), name)
    with open(path, "wb") as f:
        f.write(gzip.compress(np.concatenate(out).tobytes(), 9, mtime=0))
    print(path, os.path.getsize(path), "bytes,", sum(len(x) for x in out), "values, PyTorch", torch.__version__)


def main():
    # fast_cnn: one pass, then ten steps with each optimiser.
    one_pass(fresh(FastCNN), *batch(4, 28, 28, 1, 0))
    for make in (
        lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9),
        lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True, weight_decay=5e-3),
        lambda p: torch.optim.Adam(p, lr=1e-3),
        lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.1),
    ):
        net = fresh(FastCNN)
        train(net, make(net.parameters()), 10, 28, 28, 1)

    # The residual network: evaluation, then training mode, then statistics after three steps.
    x, y = batch(8, 8, 8, 3, 0)
    one_pass(fresh(Residual).eval(), x, y)
    net = fresh(Residual).train()
    logits = net(x.detach())
    loss = F.cross_entropy(logits, y, reduction="none")
    loss.mean().backward()
    save(logits)
    save(loss)
    for p in net.parameters():
        save(sample(p.grad))
    net = fresh(Residual).train()
    train(net, torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9), 3, 8, 8, 3)
    for name, b in net.named_buffers():
        if not name.endswith("num_batches_tracked"):
            save(b)
    write("torch_golden.bin.gz")


if __name__ == "__main__":
    main()
