"""Writes binomial.json: confidence bounds and p-values by scipy, for smoothing_test.go."""

import json
from pathlib import Path

from scipy.stats import beta, binom, binomtest

LOWER = [(1, 10, .05), (5, 10, .001), (9, 10, .05), (10, 10, .001), (60, 100, .001), (99, 100, .001), (100, 100, .001),
         (990, 1000, .001), (9500, 10000, .001), (10000, 10000, .001), (50000, 100000, .001), (50500, 100000, .001),
         (99999, 100000, .001), (100000, 100000, .001)]
TEST = [(5, 10), (8, 10), (10, 10), (60, 100), (75, 100), (5100, 10000), (5200, 10000), (60, 111)]
TAIL = [(0, 20, .002), (1, 20, .002), (2, 20, .002), (3, 500, .002), (6, 500, .002), (500, 500, .5)]

out = {
    "lower": [{"k": k, "n": n, "p": a, "want": float(beta.ppf(a, k, n - k + 1))} for k, n, a in LOWER],
    "test": [{"k": k, "n": n, "want": float(binomtest(k, n, .5).pvalue)} for k, n in TEST],
    "tail": [{"k": k, "n": n, "p": p, "want": float(binom.sf(k - 1, n, p))} for k, n, p in TAIL],
}
Path(__file__).with_suffix(".json").write_text(json.dumps(out, indent=1) + "\n")
