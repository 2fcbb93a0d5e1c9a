#!/usr/bin/env bash
# What continuous integration checks of CUDA without a GPU, beyond go test: the committed PTX is what
# NVIDIA's compiler makes of the kernels and its assembler takes it without spilling; the binding of the
# driver agrees with cuda.h, and its calls and errors work on a stand-in; without CUDA the program is a
# static binary that runs where there is no file but itself. Needs Linux on x86-64, Go, a C compiler,
# and Python 3 with pip, which brings NVIDIA's wheels. Nothing is skipped: what cannot run fails.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "-- NVIDIA's wheels"
python3 -m pip install --quiet --no-deps --target "$work/wheels" \
    nvidia-cuda-nvrtc-cu12==12.9.86 nvidia-cuda-nvcc-cu12==12.9.86 nvidia-cuda-runtime-cu12==12.9.79

echo "-- the PTX is what the kernels compile to"
chmod +x "$work/wheels/nvidia/cuda_nvcc/bin/ptxas"
CUDA_WHEELS=$work/wheels/nvidia python3 nn/cuda/kernels/generate.py --check

echo "-- the binding agrees with cuda.h, and works on a stand-in for the driver"
for cgo in 0 1; do
    CGO_ENABLED=$cgo CUDA_INCLUDE=$work/wheels/nvidia/cuda_runtime/include go test -count=1 -v ./nn/cuda/driver >"$work/driver" ||
        { cat "$work/driver"; exit 1; }
    if grep -- '--- SKIP' "$work/driver"; then
        exit 1
    fi
    tail -1 "$work/driver"
done

echo "-- without CUDA the program is one file"
mkdir "$work/root"
CGO_ENABLED=0 go build -tags nocuda -o "$work/root/train" ./train
if [ "$(id -u)" = 0 ]; then
    chroot "$work/root" /train -h >"$work/help"
else
    unshare --map-root-user chroot "$work/root" /train -h >"$work/help"
fi
grep 'here: this program was built without CUDA' "$work/help"
