#!/usr/bin/env python3
"""Writes adp.json beside it: values and gradients of the loss of adaptive diversity promoting (Pang et
al. 2019, equations 3 to 6), written down in PyTorch anew, in double precision."""
import json, os, torch

torch.manual_seed(5)


def adp(z, y, alpha, beta):
    """z is [members, classes]."""
    members, classes = z.shape
    p = torch.softmax(z, 1)
    cross_entropy = -torch.log_softmax(z, 1)[:, y].sum()
    mean = p.mean(0)
    entropy = -(mean * mean.log()).sum()
    rest = p[:, [c for c in range(classes) if c != y]]
    rest = rest / rest.norm(dim=1, keepdim=True)
    diversity = torch.logdet(rest @ rest.T + 1e-6 * torch.eye(members, dtype=z.dtype))
    return cross_entropy - alpha * entropy - beta * diversity


cases = []
for members, classes, alpha, beta, scale in [(2, 4, 2, 0.5, 1), (3, 10, 2, 0.5, 3), (5, 10, 1, 2, 6), (3, 10, 0, 0.5, 1), (3, 10, 2, 0, 1), (4, 3, 2, 0.5, 2)]:
    logits = (scale * torch.randn(3, members, classes, dtype=torch.float64)).float().double()
    labels = [int(v) for v in torch.randint(0, classes, (3,))]
    values, gradients = [], []
    for z, y in zip(logits, labels):
        z = z.clone().requires_grad_()
        loss = adp(z, y, alpha, beta)
        loss.backward()
        values.append(loss.item())
        gradients.append(z.grad.flatten().tolist())
    cases.append({"members": members, "classes": classes, "alpha": alpha, "beta": beta, "labels": labels,
                  "logits": [z.flatten().tolist() for z in logits], "value": values, "gradient": gradients})
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "adp.json"), "w") as f:
    json.dump(cases, f, separators=(",", ":"))
    f.write("\n")
