"""Writes golden.json.gz: images behind the transformations of scipy, NumPy, PyTorch and Pillow.

    python3 golden.py          (numpy, scipy, torch, pillow)

Images are [H,W,C] in [0,1], multiples of 1/255, so that no rounding depends on the last bit.
"""
import gzip
import io
import json

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

rng = np.random.default_rng(7)


def image(h, w, c):
    """A smooth picture with an edge and some noise, in whole bytes."""
    y, x = np.mgrid[:h, :w]
    planes = [120 + 70 * np.sin(x / 3 + k) + 50 * (y > h // 2 + k) for k in range(c)]
    b = np.stack(planes, -1) + rng.integers(-8, 9, (h, w, c))
    return np.clip(np.round(b), 0, 255).astype(np.uint8)


def split_bregman(x, keep, weight, rho=0.1, steps=20000):
    """min 1/2 |keep (z-x)|^2 + weight TV(z), isotropic, by Goldstein and Osher's split Bregman."""
    h, w = x.shape
    n = h * w
    d = np.zeros((2 * n, n))
    for i in range(n):
        if i // w < h - 1:
            d[i, i + w], d[i, i] = 1, -1
        if i % w < w - 1:
            d[n + i, i + 1], d[n + i, i] = 1, -1
    m = keep.ravel().astype(float)
    inverse = np.linalg.inv(np.diag(m) + rho * d.T @ d)
    g, b = np.zeros(2 * n), np.zeros(2 * n)
    for _ in range(steps):
        z = inverse @ (m * x.ravel() + rho * d.T @ (g - b))
        v = (d @ z + b).reshape(2, n)
        length = np.sqrt((v ** 2).sum(0))
        g = (v * np.maximum(0, 1 - weight / rho / np.maximum(length, 1e-30))).ravel()
        b = v.ravel() - g
    return z


cases = []


def add(name, pixels, options, want, **more):
    h, w, c = pixels.shape
    cases.append(dict(name=name, h=h, w=w, c=c, x=pixels.ravel().tolist(), options=options,
                      want=np.asarray(want, np.float64).ravel().tolist(), **more))


grey, colour = image(9, 7, 1), image(10, 12, 3)
for pixels in grey, colour:
    for size in 2, 3, 5:
        add("median", pixels, {"Size": size}, ndimage.median_filter(pixels / 255, size=(size, size, 1), mode="reflect"))
    for sigma in 0.6, 1.0, 3.0:
        add("gaussian", pixels, {"Sigma": sigma}, ndimage.gaussian_filter(pixels / 255, sigma=(sigma, sigma, 0), mode="reflect"))
    for bits in 1, 3, 8:
        most = np.float32(2 ** bits - 1)
        add("bit_depth", pixels, {"Bits": bits}, np.rint((pixels / 255).astype(np.float32) * most) / most)
    # PyTorch's interpolate, laid into a black image.
    for mode, extra in ("nearest", {}), ("bilinear", {"align_corners": False}):
        for top, left, h, w in (0, 0, 6, 5), (2, 1, 7, 6), (0, 0) + pixels.shape[:2]:
            x = torch.tensor(pixels / 255).permute(2, 0, 1)[None]
            z = torch.nn.functional.interpolate(x, size=(h, w), mode=mode, **extra)[0].permute(1, 2, 0).numpy()
            want = np.zeros(pixels.shape)
            want[top:top + h, left:left + w] = z
            add("random_resize_pad", pixels, {"Filter": mode}, want, box=[top, left, h, w])

for h, w, c in (28, 28, 1), (32, 32, 3):
    pixels = image(h, w, c)
    for quality in 30, 75, 95:
        file = io.BytesIO()
        Image.fromarray(pixels[..., 0] if c == 1 else pixels).save(file, "JPEG", quality=quality)
        add("jpeg", pixels, {"Quality": quality}, np.asarray(Image.open(file)) / 255)

small = image(8, 6, 1)
for drop, weight in (0, 0.03), (0, 0.2), (0.5, 0.03):
    keep = rng.random((8, 6)) >= drop
    add("total_variation", small, {"Weight": weight}, split_bregman(small[..., 0] / 255, keep, weight), keep=keep.ravel().tolist())

with gzip.GzipFile("golden.json.gz", "wb", mtime=0) as f:
    f.write(json.dumps(cases).encode())
