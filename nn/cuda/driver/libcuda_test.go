//go:build linux && (amd64 || arm64) && !nocuda && !cu

package driver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cudaInclude is where cuda.h is: the tests that need it are skipped where CUDA_INCLUDE is not set,
// and run by nn/cuda/check.sh, which brings the header.
func cudaInclude(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("CUDA_INCLUDE")
	if dir == "" {
		t.Skip("CUDA_INCLUDE does not say where cuda.h is; nn/cuda/check.sh runs this")
	}
	return dir
}

func compile(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("cc", append([]string{"-I" + cudaInclude(t), "-Wall", "-Werror"}, args...)...).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
}

// abi is a C file that compiles only where cuda.h has every function, constant and size as the
// binding has them.
func abi() string {
	var b strings.Builder
	b.WriteString("#include <cuda.h>\n#include <stddef.h>\n")
	for _, s := range symbols {
		fmt.Fprintf(&b, "CUresult (CUDAAPI *p_%s)(%s) = %s;\n", s.name, strings.Join(s.parameters, ", "), s.name)
	}
	for name, value := range map[string]int{
		"CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT":     attributeProcessors,
		"CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR": attributeMajor,
		"CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR": attributeMinor,
		"CU_STREAM_NON_BLOCKING":                       streamNonBlocking,
		"CU_EVENT_DEFAULT":                             eventDefault,
		"CU_EVENT_WAIT_DEFAULT":                        waitDefault,
		"CU_STREAM_CAPTURE_MODE_THREAD_LOCAL":          captureThreadLocal,
		"sizeof(CUgraph)":                              8,
		"sizeof(CUgraphExec)":                          8,
		"(size_t)CU_LAUNCH_PARAM_END":                  launchEnd,
		"(size_t)CU_LAUNCH_PARAM_BUFFER_POINTER":       launchBufferPointer,
		"(size_t)CU_LAUNCH_PARAM_BUFFER_SIZE":          launchBufferSize,
		"CUDA_ERROR_OUT_OF_MEMORY":                     ErrMemory.Code,
		"CUDA_ERROR_NO_DEVICE":                         ErrNoDevice.Code,
		"sizeof(CUcontext)":                            8,
		"sizeof(CUmodule)":                             8,
		"sizeof(CUfunction)":                           8,
		"sizeof(CUstream)":                             8,
		"sizeof(CUevent)":                              8,
		"sizeof(size_t)":                               8,
		"sizeof(CUdeviceptr)":                          8,
		"sizeof(CUdevice)":                             4,
		"sizeof(int)":                                  4,
		"sizeof(CUresult)":                             4,
	} {
		fmt.Fprintf(&b, "_Static_assert(%s == %d, \"%s\");\n", name, value, name)
	}
	return b.String()
}

// TestABI compares the binding with cuda.h, and shows that a difference would be noticed.
func TestABI(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "abi.c")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(abi())
	compile(t, "-c", file, "-o", filepath.Join(dir, "abi.o"))
	for _, change := range [][2]string{{"CUdeviceptr *, size_t", "CUdeviceptr *, int"}, {"MAJOR == 75", "MAJOR == 74"}, {"cuMemFree_v2;", "cuMemFree_v9;"}} {
		write(strings.Replace(abi(), change[0], change[1], 1))
		if exec.Command("cc", "-I"+cudaInclude(t), "-Wall", "-Werror", "-c", file, "-o", filepath.Join(dir, "abi.o")).Run() == nil {
			t.Errorf("%s in place of %s compiles", change[1], change[0])
		}
	}
}

// buildStandin compiles the stand-in library and returns where it is.
func buildStandin(t *testing.T) (library string) {
	t.Helper()
	library = filepath.Join(t.TempDir(), "libcuda.so.1")
	compile(t, "-shared", "-fPIC", "-o", library, "testdata/standin.c")
	return library
}

// standin opens a stand-in library.
func standin(t *testing.T) (d Driver, library string) {
	t.Helper()
	library = buildStandin(t)
	d, err := Open(library)
	if err != nil {
		t.Fatal(err)
	}
	return d, library
}

// TestOpen: what keeps a driver from being used.
func TestOpen(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "libcuda.so.1")); err == nil {
		t.Error("a library that is not there was opened")
	}
	dir := t.TempDir()
	library := filepath.Join(dir, "libcuda.so.1")
	file := filepath.Join(dir, "old.c")
	if err := os.WriteFile(file, []byte("int cuInit(unsigned flags) { return flags; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	compile(t, "-shared", "-fPIC", "-o", library, file)
	if _, err := Open(library); err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("a library without most functions: %v", err)
	}
	library = filepath.Join(t.TempDir(), "libcuda.so.1")
	compile(t, "-shared", "-fPIC", "-DNO_GRAPHS", "-o", library, "testdata/standin.c")
	if d, err := Open(library); err != nil || d.Graphs() {
		t.Errorf("a driver without graphs: %v", err)
	}
	library = buildStandin(t)
	setFail(t, library, "cuInit:100")
	if _, err := Open(library); !errors.Is(err, ErrNoDevice) {
		t.Errorf("no device: %v", err)
	}
}
