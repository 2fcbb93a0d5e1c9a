#!/usr/bin/env bash
# Runs the CUDA executor on a GPU and writes one report.
#
#   nn/cuda/ondevice.sh [DIR]   in the repository: builds a bundle in DIR (default: cuda-bundle)
#   DIR/ondevice.sh             on the machine with the GPU: runs it and writes DIR/report.txt; where there is
#                               no GPU it says so at once and writes nothing
#
# Building needs Go. The bundle needs nothing but glibc and NVIDIA's driver; compute-sanitizer, and PyTorch
# with CUDA, are used where they are.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)

if [ ! -e "$here/cuda.test" ]; then # in the repository
    set -e
    bundle=$(mkdir -p "${1:-cuda-bundle}" && cd "${1:-cuda-bundle}" && pwd)
    cd "$here/../.."
    export CGO_ENABLED=0 GOOS=linux GOARCH=${GOARCH:-amd64}
    go test -c -o "$bundle/cuda.test" ./nn/cuda
    go build -o "$bundle/train" ./train
    cp "$here/ondevice.sh" "$here/testdata/resblock.toml" "$here/testdata/torch_gpu.py" "$bundle"
    git describe --always --dirty --abbrev=40 >"$bundle/commit"
    echo "the bundle is in $bundle: copy it to the machine with the GPU, and run ondevice.sh there"
    exit
fi

cd "$here"
found=$(./train -h | sed -n 's/^ *here: //p')
case $found in
cuda:0*) ;;
*)
    echo "no GPU to run on: $found" >&2
    exit 1
    ;;
esac
failed=0
part() {
    printf '\n== %s\n' "$1"
    shift
    if ! "$@" 2>&1; then
        echo "FAILED: $*"
        failed=1
    fi
}

{
    echo "Rampart $(cat commit), $(date -u +%Y-%m-%dT%H:%MZ), $(uname -srm)"
    command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm --format=csv
    echo "$found"

    export RAMPART_CUDA=0 # the number of the GPU that the tests use
    part "the executors' suite" ./cuda.test -test.v -test.run '^TestOnDevice' -test.timeout 20m
    if command -v compute-sanitizer >/dev/null; then
        for tool in memcheck racecheck initcheck synccheck; do
            part "compute-sanitizer $tool" compute-sanitizer --tool "$tool" --error-exitcode 1 ./cuda.test -test.run '^TestOnDeviceShort$'
        done
    else
        printf '\n== compute-sanitizer is not here\n'
    fi
    part "bench, madry_cnn" ./train bench -config madry.toml -device cuda -ops
    part "bench, the first block of a ResNet-18" ./train bench -config resblock.toml -device cuda -ops
    if echo "$found" | grep -Eq 'cuda:0 is .*, compute ([89]|1[0-9])\.'; then # with tensor cores
        for precision in tf32 bf16; do
            for config in madry resblock; do
                part "bench, $config.toml in $precision" ./train bench -config $config.toml -device cuda -set precision=$precision
            done
        done
    fi
    if python3 -c 'import torch, sys; sys.exit(not torch.cuda.is_available())' 2>/dev/null; then
        part "PyTorch" python3 torch_gpu.py
    else
        printf '\n== PyTorch with CUDA is not here\n'
    fi
    part "the pipeline on the GPU" ./train -config quick.toml -device cuda -out quick
    printf '\n== %s\n' "$([ $failed = 0 ] && echo "all parts passed" || echo "SOME PARTS FAILED")"
} | tee report.txt
! grep -q '^FAILED' report.txt
