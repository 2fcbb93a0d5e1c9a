"""Trains the substitute with PyTorch alone; export.py turns it into a checkpoint.

It is NOT a public network: it stands where no third one was to be had from a package registry
(NOTICE.md). Wong et al.'s small MNIST CNN by TRADES (Zhang et al. 2019): Linf, eps 0.3 after a warm-up,
beta 2, 5 steps of eps/4 on the KL divergence, Adam, 1 epoch, seed 0.

    python train_substitute.py MNIST_FOLDER OUT.pt
"""

import sys
import time

import torch
import torch.nn.functional as F

from mnist import fast_cnn, mnist

EPS, BATCH, EPOCHS, PEAK, BETA, STEPS = 0.3, 128, 1, 3e-3, 2, 5


def ascend(loss, x, start, steps, eps):
    adv = start.clamp(0, 1)
    for _ in range(steps):
        adv.requires_grad_()
        g = torch.autograd.grad(loss(adv), adv)[0]
        adv = torch.clamp(torch.min(torch.max(adv.detach() + eps / 4 * g.sign(), x - eps), x + eps), 0, 1)
    return adv.detach()


def trades(net, x, y, eps):
    z = net(x)
    p = F.softmax(z.detach(), 1)
    divergence = lambda adv: F.kl_div(F.log_softmax(net(adv), 1), p, reduction="sum")
    adv = ascend(divergence, x, x + 0.001 * torch.randn_like(x), STEPS, eps)
    return F.cross_entropy(z, y) + BETA * F.kl_div(F.log_softmax(net(adv), 1), F.softmax(z, 1), reduction="batchmean")


def main(folder, out):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    x, y = mnist(folder, "train")
    tx, ty = (v[:1000] for v in mnist(folder, "t10k"))
    net = fast_cnn().to(memory_format=torch.channels_last)
    optimiser = torch.optim.Adam(net.parameters())
    per, begun = len(x) // BATCH, time.time()
    total = per * EPOCHS
    for step in range(total):
        if step % per == 0:
            order = torch.randperm(len(x))
        rows = order[step % per * BATCH :][:BATCH]
        for group in optimiser.param_groups:
            group["lr"] = PEAK * min(step / (0.3 * total), (total - step) / (0.7 * total))
        loss = trades(net, x[rows], y[rows], EPS * min(1, step / (0.3 * total)))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 50 == 49:
            with torch.no_grad():
                clean = (net(tx).argmax(1) == ty).float().mean().item()
            print(f"step {step + 1} of {total}: loss {loss:.3f}, clean {clean:.3f}, {time.time() - begun:.0f} s", flush=True)
    adv = ascend(lambda adv: F.cross_entropy(net(adv), ty, reduction="sum"), tx, tx.clone(), 40, EPS)
    print(f"PGD-40 {(net(adv).argmax(1) == ty).float().mean():.3f}")
    torch.save(net.state_dict(), out)


main(*sys.argv[1:])
