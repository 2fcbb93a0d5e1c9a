"""Writes C source of a stub of libcuda: every function of cuda.h, weak, and returning "no device".

    python3 stub.py INCLUDE >stub.c

It is what a program with -tags cu is linked against where no driver is, and what completes the stand-in.
"""
import re, subprocess, sys

NO_DEVICE = 100  # CUDA_ERROR_NO_DEVICE

header = subprocess.run(["cc", "-E", "-P", "-x", "c", "-I" + sys.argv[1], "-include", "cuda.h", "/dev/null"],
                        capture_output=True, text=True, check=True).stdout
names = sorted(set(re.findall(r"\bCUresult\s+(cu[A-Z]\w*)\s*\(", header)))
if len(names) < 300:
    sys.exit(f"only {len(names)} functions were found in cuda.h")
for name in names:
    print(f"__attribute__((weak)) int {name}(void) {{ return {NO_DEVICE}; }}")
