#!/usr/bin/env bash
# What continuous integration checks of CUDA without a GPU, beyond go test: the committed PTX is what
# NVIDIA's compiler makes of the kernels and its assembler takes it without spilling; the binding of the
# driver agrees with cuda.h, and its calls and errors work on a stand-in, through purego and through
# gorgonia.org/cu, and that of NCCL likewise with nccl.h, which also loads NVIDIA's own library; the bundle
# for a machine with a GPU builds, and says where there is none; without CUDA the program is a static binary
# that runs where there is no file but itself. Needs Linux on x86-64, Go, a C compiler, and Python 3 with
# pip, which brings NVIDIA's wheels. Nothing is skipped: what cannot run fails.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "-- NVIDIA's wheels"
python3 -m pip install --quiet --no-deps --target "$work/wheels" \
    nvidia-cuda-nvrtc-cu12==12.9.86 nvidia-cuda-nvcc-cu12==12.9.86 nvidia-cuda-runtime-cu12==12.9.79 \
    nvidia-cuda-cccl-cu12==12.9.27 nvidia-nccl-cu12==2.19.3 # the smallest NCCL of those for CUDA 12: 160 MB

echo "-- the PTX is what the kernels compile to"
chmod +x "$work/wheels/nvidia/cuda_nvcc/bin/ptxas"
CUDA_WHEELS=$work/wheels/nvidia python3 nn/cuda/kernels/generate.py --check

echo "-- the bindings agree with cuda.h and nccl.h, and work on stand-ins for both libraries"
nvidia=$work/wheels/nvidia
export NCCL_INCLUDE=$nvidia/nccl/include:$nvidia/cuda_runtime/include:$nvidia/cuda_nvcc/include:$nvidia/cuda_cccl/include
for cgo in 0 1; do
    for package in driver nccl; do
        CGO_ENABLED=$cgo CUDA_INCLUDE=$nvidia/cuda_runtime/include NCCL_LIBRARY=$nvidia/nccl/lib/libnccl.so.2 \
            go test -count=1 -v ./nn/cuda/$package >"$work/binding" || { cat "$work/binding"; exit 1; }
        if grep -- '--- SKIP' "$work/binding"; then
            exit 1
        fi
        tail -1 "$work/binding"
    done
done

echo "-- two emulated devices as one pass the whole suite"
RAMPART_SUITE=full go test -count=1 -timeout 30m -run '^TestGroupSuite$' ./nn/cuda

echo "-- with gorgonia.org/cu it links with a stub of libcuda, and works on the stand-in"
include=$work/wheels/nvidia/cuda_runtime/include
for lib in stub standin; do
    mkdir "$work/$lib"
    sources=$work/stub.c
    [ $lib = stub ] || sources="$sources nn/cuda/driver/testdata/standin.c"
    python3 nn/cuda/driver/testdata/stub.py "$include" >"$work/stub.c"
    cc -shared -fPIC -I"$include" -Wl,-soname,libcuda.so.1 -o "$work/$lib/libcuda.so.1" $sources
    ln -s libcuda.so.1 "$work/$lib/libcuda.so"
done
(
    export CGO_ENABLED=1 CGO_CFLAGS=-I$include CGO_LDFLAGS=-L$work/stub
    go vet -tags cu ./nn/cuda/...
    go build -tags cu -o "$work/train-cu" ./train
    LD_LIBRARY_PATH=$work/standin go test -tags cu -count=1 ./nn/cuda/driver
)
LD_LIBRARY_PATH=$work/standin "$work/train-cu" -h >"$work/help"
grep 'here: cuda:0 is Stand-in 40, compute 8.6' "$work/help"
if LD_LIBRARY_PATH=$work/standin "$work/train-cu" -config quick -device cuda:all 2>"$work/help"; then
    echo "several GPUs work together without NCCL"
    exit 1
fi
grep 'install the package libnccl2' "$work/help"
if LD_LIBRARY_PATH=$work/stub "$work/train-cu" -h >"$work/help"; then
    echo "gorgonia.org/cu no longer ends a program where there is no GPU: it could be in the default binary"
    exit 1
fi

echo "-- the bundle for a machine with a GPU builds, and says where there is none"
bash nn/cuda/ondevice.sh "$work/bundle"
"$work/bundle/ondevice.sh" >"$work/report" 2>&1 || grep '^no GPU to run on: ' "$work/report" || { cat "$work/report"; exit 1; }

echo "-- without CUDA the program is one file"
mkdir "$work/root"
CGO_ENABLED=0 go build -tags nocuda -o "$work/root/train" ./train
if [ "$(id -u)" = 0 ]; then
    chroot "$work/root" /train -h >"$work/help"
else
    unshare --map-root-user chroot "$work/root" /train -h >"$work/help"
fi
grep 'here: this program was built without CUDA' "$work/help"
