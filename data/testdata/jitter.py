"""Writes jitter.json, the goldens of the colour jitter, with torchvision: python3 jitter.py, here."""
import json

import torch
import torchvision.transforms.v2.functional as F

torch.manual_seed(1)
rgb = torch.rand(3, 4, 5)
rgb[:, 0, 0] = 0.5  # grey
rgb[:, 0, 1] = torch.tensor([1.0, 0.0, 0.0])
rgb[:, 0, 2] = torch.tensor([0.2, 0.7, 0.7])
grey = torch.rand(1, 4, 5)
cases = []
for name, f, factors in (
    ("brightness", F.adjust_brightness, (0, 0.4, 1, 1.7)),
    ("contrast", F.adjust_contrast, (0, 0.4, 1, 1.7)),
    ("saturation", F.adjust_saturation, (0, 0.4, 1, 1.7)),
    ("hue", F.adjust_hue, (-0.5, -0.13, 0, 0.21, 0.5)),
):
    for image in (rgb, grey) if name in ("brightness", "contrast") else (rgb,):
        for factor in factors:
            flat = lambda t: [round(v, 7) for v in t.permute(1, 2, 0).flatten().tolist()]
            cases.append({"op": name, "factor": factor, "c": image.shape[0], "in": flat(image), "out": flat(f(image, factor))})
with open("jitter.json", "w") as out:
    json.dump({"h": 4, "w": 5, "cases": cases}, out, separators=(",", ":"))
