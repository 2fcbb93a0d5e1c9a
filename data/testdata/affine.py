"""Writes affine.json, the goldens of the affine augmentation, with torchvision: python3 affine.py, here."""
import json

import torch
import torchvision.transforms.v2.functional as F
from torchvision.transforms import InterpolationMode

torch.manual_seed(1)
cases = []
for angle, translate, scale, shear in (
    (0, (0, 0), 1, (0, 0)),
    (90, (0, 0), 1, (0, 0)),
    (-13, (0, 0), 1, (0, 0)),
    (0, (2, -1), 1, (0, 0)),
    (0, (0, 0), 1.3, (0, 0)),
    (0, (0, 0), 1, (11, -7)),
    (17, (-1, 2), 0.8, (5, 9)),
):
    for c, mode, fill in ((1, "bilinear", 0), (3, "bilinear", 0.25), (3, "nearest", 0.25)):
        image = torch.rand(c, 5, 7)
        # With a fill torchvision weighs what borders on it twice, so it gets the difference to it, and none.
        out = F.affine(image - fill, angle, translate, scale, shear, InterpolationMode(mode)) + fill
        flat = lambda t: [round(v, 7) for v in t.permute(1, 2, 0).flatten().tolist()]
        cases.append({"angle": angle, "right": translate[0], "down": translate[1], "scale": scale, "shearX": shear[0],
                      "shearY": shear[1], "c": c, "interpolation": mode, "fill": fill, "in": flat(image), "out": flat(out)})
with open("affine.json", "w") as out:
    json.dump({"h": 5, "w": 7, "cases": cases}, out, separators=(",", ":"))
