"""Writes the golden files of the tests with Pillow: python3 make.py, in this folder.

formats/NAME is an image file, formats/NAME.want.png what Pillow's convert("RGB") makes of it.
resize/in_*.png are images, resize/IN_FILTER_WxH.png what Pillow's resize makes of them.
"""
import os
import struct
import zlib

import numpy as np
from PIL import Image

rng = np.random.default_rng(1)
os.makedirs("formats", exist_ok=True)
os.makedirs("resize", exist_ok=True)

h, w = 18, 23
y, x = np.mgrid[0:h, 0:w]
smooth = np.stack([x * 255 // w, y * 255 // h, (x + y) * 255 // (h + w)], -1).astype(np.uint8)
rgb = Image.fromarray(smooth)
noise = Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8))


def save(name, img, **options):
    img.save(f"formats/{name}", **options)
    Image.open(f"formats/{name}").convert("RGB").save(f"formats/{name}.want.png")


save("rgb.png", noise)
save("grey.png", noise.convert("L"))
save("bits.png", noise.convert("1"))
save("palette.png", noise.quantize(16))
rgba = noise.copy()
rgba.putalpha(Image.fromarray(rng.integers(0, 256, (h, w), dtype=np.uint8)))
save("alpha.png", rgba)
save("grey_alpha.png", rgba.convert("LA"))
save("lossless.webp", noise, lossless=True)
save("lossy.webp", rgb, quality=90)
save("still.gif", noise.quantize(32))
noise.quantize(32).save("formats/animated.gif", save_all=True, append_images=[rgb.quantize(32)], duration=100)
Image.open("formats/animated.gif").convert("RGB").save("formats/animated.gif.want.png")
noise.save("formats/animated.png", save_all=True, append_images=[rgb])
noise.save("formats/animated.png.want.png")
noise.save("formats/animated.webp", save_all=True, append_images=[rgb], lossless=True)
save("444.jpg", rgb, quality=95, subsampling=0)
save("420.jpg", rgb, quality=95, subsampling=2)
save("progressive.jpg", rgb, quality=95, subsampling=0, progressive=True)
save("grey.jpg", rgb.convert("L"), quality=95)
save("cmyk.jpg", rgb.convert("CMYK"), quality=95)


def png16(name, values):
    """A PNG of 16 bits a channel, whose high bytes are those wanted (Pillow writes none in colour)."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    chunk = lambda kind, body: struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    colour = 2 if values.ndim == 3 else 0
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, colour, 0, 0, 0)
    with open(f"formats/{name}", "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
    Image.fromarray((values >> 8).astype(np.uint8)).convert("RGB").save(f"formats/{name}.want.png")


png16("deep.png", rng.integers(0, 65536, (h, w, 3)))
png16("deep_grey.png", rng.integers(0, 65536, (h, w)))

for mode, size in ("RGB", (31, 17)), ("L", (9, 40)):
    img = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).convert(mode)
    img.save(f"resize/in_{mode}.png")
    for name, f in ("bilinear", Image.BILINEAR), ("bicubic", Image.BICUBIC):
        for to in (31, 8), (13, 17), (7, 5), (1, 1), (64, 50), (10, 40), (32, 32):
            img.resize(to, f).save(f"resize/{mode}_{name}_{to[0]}x{to[1]}.png")
