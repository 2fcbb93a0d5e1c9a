"""Writes tiny files in the format of SVHN with SciPy: python3 svhn.py, in this folder."""
import numpy as np
from scipy.io import savemat

n, h, w = np.arange(3), np.arange(3), np.arange(4)
# pixel = 50*image + 12*row + 3*column + channel
x = (12 * h[:, None, None, None] + 3 * w[:, None, None] + np.arange(3)[:, None] + 50 * n).astype(np.uint8)
y = np.array([[1], [10], [9]], dtype=np.uint8)


def save(name, compressed=False, **arrays):
    savemat(f"svhn/{name}.mat", arrays, do_compression=compressed)


save("train_32x32", True, X=x, y=y)
save("test_32x32", X=x[..., :2], y=np.array([[5.0], [10.0]]))
save("bad_shape", X=x[:, :, :1], y=y)
save("bad_double", X=x.astype(float), y=y)
save("bad_label", X=x, y=np.array([[1], [11], [9]]))
save("bad_half", X=x, y=np.array([[1.5], [1], [9]]))
save("bad_count", X=x[..., :2], y=y)
save("bad_names", images=x, y=y)
