"""Writes the MAT-files of the tests with SciPy: python3 make.py"""
import numpy as np
from scipy.io import savemat

x = np.arange(2 * 3 * 3 * 4, dtype=np.uint8).reshape(2, 3, 3, 4, order="F")
y = np.array([[1], [10], [3], [2]])
arrays = {
    "X": x,
    "y8": y.astype(np.uint8),
    "y": y.astype(np.float64),
    "small": np.array([[-3, 70000]], dtype=np.int32),
    "single": np.array([[0.5, -2]], dtype=np.float32),
    "words": "text is passed over",
    "cell": np.array([1, "two"], dtype=object),
    "complex": np.array([1 + 2j]),
    "wide": np.array([[-(2**40)]], dtype=np.int64),
    "short": np.array([[-300, 300]], dtype=np.int16),
    "empty": np.zeros((0, 3)),
}
savemat("plain.mat", arrays, do_compression=False)
savemat("packed.mat", arrays, do_compression=True)
