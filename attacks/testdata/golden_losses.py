"""Writes golden_losses.json.gz: values of attack losses and their gradients with respect to logits.

    "3", "4", "10"   by number of classes:
        "logits"     [rows][classes], float32 values
        "labels"     [rows]
        "targets"    [rows], each another class than the label
        "losses"     by name: {"value": [rows], "grad": [rows][classes]}, computed in float64

Names, each ascended by an attack (Croce and Hein 2020, section 4, for DLR):
    "cross_entropy"         -log softmax(z)[y]
    "margin"                max over j != y of z[j], minus z[y]
    "logit_difference"      z[t] - z[y], t the target
    "dlr"                   -(z[y] - max over j != y of z[j]) / (z(1) - z(3) + 1e-12), z(k) the k-th largest
    "dlr_targeted"          -(z[y] - z[t]) / (z(1) - (z(3) + z(4)) / 2 + 1e-12); not for 3 classes
    "dlr_pyautoattack", "dlr_targeted_pyautoattack"   the same by pyautoattack 0.2.0's own code
    "cross_entropy_targeted"  log softmax(z)[t]
The rows hold misclassified examples, logits far apart and close together, and two rows scaled by
1000 and 0.001.
"""

import torch
from pyautoattack.autopgd_base import APGDAttack_targeted

from oracle import distance, write

ROWS = 24


def logits(rows, classes):
    """Irregular float32 values; ties and near ties would make the gradients arbitrary."""
    j = torch.arange(rows * classes, dtype=torch.float64)
    z = (4 * torch.sin(0.3 + 12.9898 * j + 0.37 * j * j)).reshape(rows, classes)
    z[-2] *= 1000
    z[-1] *= 1e-3
    z = z.float().double()
    s = z.sort(dim=1).values
    assert ((s[:, 1:] - s[:, :-1]) > 1e-4 * s.abs().amax(1, keepdim=True)).all()
    return z


def losses(z, y, t):
    rows = torch.arange(len(z))
    top = z.sort(dim=1, descending=True).values
    other = z.masked_fill(torch.nn.functional.one_hot(y, z.shape[1]).bool(), -torch.inf).max(1).values
    found = {
        "cross_entropy": torch.nn.functional.cross_entropy(z, y, reduction="none"),
        "cross_entropy_targeted": -torch.nn.functional.cross_entropy(z, t, reduction="none"),
        "margin": other - z[rows, y],
        "logit_difference": z[rows, t] - z[rows, y],
        "dlr": -(z[rows, y] - other) / (top[:, 0] - top[:, 2] + 1e-12),
    }
    apgd = APGDAttack_targeted(None, eps=0.1)
    apgd.y_target = t
    with_float = torch.Tensor.float
    torch.Tensor.float = torch.Tensor.double
    found["dlr_pyautoattack"] = apgd.dlr_loss(z, y)
    if z.shape[1] > 3:
        found["dlr_targeted"] = -(z[rows, y] - z[rows, t]) / (top[:, 0] - (top[:, 2] + top[:, 3]) / 2 + 1e-12)
        found["dlr_targeted_pyautoattack"] = apgd.dlr_loss_targeted(z, y)
    torch.Tensor.float = with_float
    return found


golden = {}
for classes in 3, 4, 10:
    z = logits(ROWS, classes).requires_grad_()
    order = z.detach().argsort(dim=1, descending=True)
    rows = torch.arange(ROWS)
    y = order[rows, rows % 2 * (rows % classes)]  # half of the rows are classified right
    t = (y + 1 + rows % (classes - 1)) % classes
    assert (y != t).all()
    record = {}
    for name, value in losses(z, y, t).items():
        grad = torch.autograd.grad(value.sum(), z, retain_graph=True)[0]
        record[name] = {"value": value.tolist(), "grad": grad.tolist()}
    for name in "dlr", "dlr_targeted":
        if name in record:
            assert distance(record[name], record[name + "_pyautoattack"])[0] < 1e-9
    golden[str(classes)] = {"logits": z.tolist(), "labels": y.tolist(), "targets": t.tolist(), "losses": record}
write(__file__, golden)
