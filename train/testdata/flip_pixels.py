"""Attacks a network for MNIST behind a bit depth of 1 where it sees images: in black and white.

    python3 train/testdata/flip_pixels.py best.safetensors -n 1000

Within eps only the pixels that rounding can bring to either side are free. Each is flipped where the gradient at the
black and white image says that the margin grows: the best 16, half as many whenever that fails, at last each of the
best 24 alone, until none of them helps (projected coordinate ascent). Restarts begin with a quarter or half of the free
pixels flipped at random. None of our code is used, and no gradient through the rounding: a check on what BPDA and
Square leave (configs/madry_bitdepth.toml). Needs torch and safetensors; minutes a start.
"""

import argparse, pathlib

import torch

from torch_check import images, load

args = argparse.ArgumentParser()
args.add_argument("checkpoint")
args.add_argument("-n", type=int, default=1000, help="test images, evenly spaced")
args.add_argument("--eps", type=float, default=0.3)
args.add_argument("--restarts", type=int, default=10)
args.add_argument("--data", type=pathlib.Path, default="data/mnist")
a = args.parse_args()
torch.manual_seed(0)
net, _ = load(a.checkpoint)
x, y = images(a.data, a.n)
free = torch.round((x - a.eps).clamp(0, 1)) != torch.round((x + a.eps).clamp(0, 1))
clean = torch.round(x)


def margin(x, y):
    """The largest wrong logit less the right one: an example is adversarial from 0 on."""
    z = net(x)
    right = z.gather(1, y[:, None])[:, 0]
    return z.scatter(1, y[:, None], -torch.inf).amax(1) - right


def flipped(b, order, take):
    """b with the pixels order[:, j] flipped where take[:, j]."""
    mask = torch.zeros(len(b), 784, dtype=torch.bool).scatter_(1, order, take).view_as(b)
    return torch.where(mask, 1 - b, b)


def climb(b, free, y):
    """Flips pixels of b until none of the best alone helps; returns the margins."""
    with torch.no_grad():
        best = margin(b, y)
    count = torch.full((len(b),), 16)
    going = best < 0
    while going.any():
        on = going.nonzero()[:, 0]
        at = b[on].requires_grad_(True)
        (g,) = torch.autograd.grad(margin(at, y[on]).sum(), at)
        gain = torch.where(free[on], g * (1 - 2 * at.detach()), -torch.inf).flatten(1)
        gain, order = gain.sort(1, descending=True)
        with torch.no_grad():
            new = flipped(b[on], order, (torch.arange(784) < count[on][:, None]) & (gain > 0))
            value = margin(new, y[on])
            for i in ((value <= best[on]) & (count[on] == 1)).nonzero()[:, 0]:  # each alone
                alone = torch.eye(784, dtype=torch.bool)[:24] & (gain[i] > -torch.inf)
                tries = flipped(b[on[i]].expand(24, 1, 28, 28), order[i].expand(24, 784), alone)
                values = margin(tries, y[on[i]].expand(24))
                k = values.argmax()
                new[i], value[i] = tries[k], values[k]
                going[on[i]] = values[k] > best[on[i]]
        better = value > best[on]
        b[on[better]], best[on[better]] = new[better], value[better]
        count[on[~better]] = (count[on[~better]] // 2).clamp(min=1)
        going &= best < 0
    return best


with torch.no_grad():
    robust = margin(clean, y) < 0
print(f"{free.flatten(1).sum(1).float().mean():.1f} free pixels an image; clean {100 * robust.float().mean():.1f} %")
for r in range(a.restarts):
    on = robust.nonzero()[:, 0]
    b = clean[on].clone()
    if r > 0:
        drawn = torch.rand_like(b) < (0.25 if r % 2 else 0.5)
        b = torch.where(free[on] & drawn, 1 - b, b)
    robust[on] &= climb(b, free[on], y[on]) < 0
    print(f"start {r + 1}: {100 * robust.float().mean():.1f} % left", flush=True)
