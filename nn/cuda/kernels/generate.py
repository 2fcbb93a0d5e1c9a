#!/usr/bin/env python3
"""Compiles the kernels to PTX with NVIDIA's NVRTC and assembles them with its ptxas.

    python3 generate.py           writes *.ptx and registers.md beside the kernels
    python3 generate.py --check   fails where the files differ from what it would write

Needs Linux on x86-64 and pip, which brings the pinned compilers; no GPU. Nothing here is needed to
build or to run Rampart: the PTX is committed, and the driver of the machine that runs it turns it
into machine code.
"""
import ctypes, os, re, subprocess, sys, tempfile

WHEELS = ["nvidia-cuda-nvrtc-cu12==12.9.86", "nvidia-cuda-nvcc-cu12==12.9.86"]
TARGETS = ["sm_75", "sm_80", "sm_90"]

here = os.path.dirname(os.path.abspath(__file__))


def asked(name):
    """The architecture that a file is compiled for, the version of PTX, and what it is assembled for."""
    if name.endswith("_tensor.cu"):  # Ampere and later: drivers from CUDA 11.0 on
        return "compute_80", "7.0", TARGETS[1:]
    # Turing and later. What is used of PTX is that old, so that drivers from CUDA 10.1 on take it.
    return "compute_75", "6.4", TARGETS


def install(folder):
    subprocess.check_call([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", folder, *WHEELS])
    return os.path.join(folder, "nvidia")


def compile_ptx(nvrtc, name):
    def check(result, what):
        if result != 0:
            size = ctypes.c_size_t()
            nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
            log = ctypes.create_string_buffer(size.value)
            nvrtc.nvrtcGetProgramLog(program, log)
            sys.exit(f"{name}: {what} failed with {result}\n{log.value.decode()}")

    source = open(os.path.join(here, name), "rb").read()
    program = ctypes.c_void_p()
    check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, name.encode(), 0, None, None), "nvrtcCreateProgram")
    options = [f"--gpu-architecture={asked(name)[0]}", "--std=c++17", f"--include-path={here}"]
    check(nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*[o.encode() for o in options])), "nvrtcCompileProgram")
    size = ctypes.c_size_t()
    check(nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size)), "nvrtcGetPTXSize")
    ptx = ctypes.create_string_buffer(size.value)
    check(nvrtc.nvrtcGetPTX(program, ptx), "nvrtcGetPTX")
    text = re.sub(r"^\.version .*$", f".version {asked(name)[1]}", ptx.value.decode(), flags=re.M)
    # Comments name the compiler's build and lines; they change nothing.
    text = re.sub(r"//.*$", "", text, flags=re.M)
    return f"// Generated from {name} by generate.py; do not edit.\n" + re.sub(r"[ \t]+$", "", re.sub(r"\n\n+", "\n", text), flags=re.M).lstrip()


def assemble(ptxas, path, target):
    """Returns {kernel: (registers, shared bytes)} and fails where anything is spilled."""
    out = subprocess.run([ptxas, "-v", f"-arch={target}", path, "-o", os.devnull], capture_output=True, text=True)
    if out.returncode:
        sys.exit(f"ptxas -arch={target} {path}:\n{out.stderr}{out.stdout}")
    found, kernel = {}, None
    for line in (out.stderr + out.stdout).splitlines():
        if m := re.search(r"Compiling entry function '(\w+)'", line):
            kernel = m[1]
        if m := re.search(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", line):
            if m[2] != "0" or m[3] != "0":
                sys.exit(f"{kernel} spills registers on {target}: {line.strip()}")
        if m := re.search(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?", line):
            found[kernel] = (int(m[1]), int(m[2] or 0))
    return found


def main():
    with tempfile.TemporaryDirectory() as work:
        root = os.environ.get("CUDA_WHEELS") or install(work)
        ctypes.CDLL(os.path.join(root, "cuda_nvrtc/lib/libnvrtc-builtins.so.12.9"), mode=ctypes.RTLD_GLOBAL)
        nvrtc = ctypes.CDLL(os.path.join(root, "cuda_nvrtc/lib/libnvrtc.so.12"))
        made, table = {}, {}
        for name in sorted(n for n in os.listdir(here) if n.endswith(".cu")):
            ptx = compile_ptx(nvrtc, name)
            made[name[:-3] + ".ptx"] = ptx
            path = os.path.join(work, name + ".ptx")
            open(path, "w").write(ptx)
            for target in asked(name)[2]:
                for kernel, used in assemble(os.path.join(root, "cuda_nvcc/bin/ptxas"), path, target).items():
                    table.setdefault((name, kernel), {})[target] = used
        lines = ["# Registers and shared memory of the kernels", "",
                 f"By ptxas 12.9.86, written by generate.py; nothing spills. Registers for each thread on {', '.join(TARGETS)}; shared memory for each block in bytes.", "",
                 "| file | kernel | " + " | ".join(TARGETS) + " | shared |", "|---|---|" + "--:|" * (len(TARGETS) + 1)]
        for (name, kernel), used in sorted(table.items()):
            lines.append(f"| {name} | {kernel} | " + " | ".join(str(used[t][0]) if t in used else "" for t in TARGETS) + f" | {used['sm_80'][1]} |")
        made["registers.md"] = "\n".join(lines) + "\n"

    stale = [n for n in os.listdir(here) if n.endswith(".ptx") and n not in made]
    for name, text in sorted(made.items()):
        path = os.path.join(here, name)
        if not os.path.exists(path) or open(path).read() != text:
            stale.append(name)
            if "--check" not in sys.argv:
                open(path, "w").write(text)
    if "--check" in sys.argv and stale:
        sys.exit("not what the kernels compile to; run generate.py: " + ", ".join(sorted(stale)))
    print(f"{len(made) - 1} files, {len(table)} kernels, no spills" + ("" if "--check" in sys.argv else f"; changed: {', '.join(sorted(stale)) or 'nothing'}"))


if __name__ == "__main__":
    main()
