//go:build linux && (amd64 || arm64) && !nocuda

package nccl

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"

	"rampart/nn/cuda/driver"
)

// include returns the compiler's flags for nccl.h and the headers that it includes: the tests that need them are
// skipped where NCCL_INCLUDE, folders joined by colons, is not set, and run by nn/cuda/check.sh.
func include(t *testing.T) (flags []string) {
	t.Helper()
	list := os.Getenv("NCCL_INCLUDE")
	if list == "" {
		t.Skip("NCCL_INCLUDE does not say where nccl.h is; nn/cuda/check.sh runs this")
	}
	for _, dir := range strings.Split(list, ":") {
		flags = append(flags, "-I"+dir)
	}
	return append(flags, "-Wall", "-Werror")
}

// abi is a C file that compiles only where nccl.h has every function, constant and size as the binding has them.
func abi() string {
	var b strings.Builder
	b.WriteString("#include <nccl.h>\n#include <stddef.h>\n")
	for _, s := range symbols {
		fmt.Fprintf(&b, "%s (*p_%s)(%s) = %s;\n", s.result, s.name, strings.Join(s.parameters, ", "), s.name)
	}
	for name, value := range map[string]int{
		"ncclSuccess": success, "ncclSum": sum, "ncclFloat32": int(Float32), "ncclFloat64": int(Float64),
		"sizeof(ncclResult_t)": 4, "sizeof(ncclDataType_t)": 4, "sizeof(ncclRedOp_t)": 4, "sizeof(int)": 4,
		"sizeof(ncclComm_t)": 8, "sizeof(cudaStream_t)": 8, "sizeof(size_t)": 8,
	} {
		fmt.Fprintf(&b, "_Static_assert(%s == %d, \"%s\");\n", name, value, name)
	}
	return b.String()
}

// TestABI compares the binding with nccl.h, and shows that a difference would be noticed.
func TestABI(t *testing.T) {
	flags, dir := include(t), t.TempDir()
	file := filepath.Join(dir, "abi.c")
	compile := func(text string) error {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command("cc", append(flags, "-c", file, "-o", filepath.Join(dir, "abi.o"))...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	}
	if err := compile(abi()); err != nil {
		t.Fatal(err)
	}
	for _, change := range [][2]string{{"void *, size_t", "void *, int"}, {"ncclFloat32 == 7", "ncclFloat32 == 6"}, {"= ncclCommAbort;", "= ncclCommStop;"}} {
		if text := strings.Replace(abi(), change[0], change[1], 1); text == abi() || compile(text) == nil {
			t.Errorf("%s in place of %s compiles", change[1], change[0])
		}
	}
}

// standin compiles and opens the stand-in library; fail makes one of its functions fail, or with "" none.
func standin(t *testing.T) (l Library, fail func(what string)) {
	t.Helper()
	library := filepath.Join(t.TempDir(), "libnccl.so.2")
	args := append(include(t), "-shared", "-fPIC", "-o", library, "testdata/standin.c")
	if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	l, err := Open(library)
	if err != nil {
		t.Fatal(err)
	}
	handle, err := purego.Dlopen(library, purego.RTLD_NOW)
	if err != nil {
		t.Fatal(err)
	}
	f, err := purego.Dlsym(handle, "standin_fail")
	if err != nil {
		t.Fatal(err)
	}
	return l, func(what string) {
		text := append([]byte(what), 0)
		purego.SyscallN(f, uintptr(unsafe.Pointer(&text[0])))
	}
}

// TestCalls goes through every call.
func TestCalls(t *testing.T) {
	l, _ := standin(t)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	version, err := l.Version()
	check(err)
	comms, err := l.Init([]int{3, 1})
	check(err)
	if version != 21903 || len(comms) != 2 || comms[0] != 103 || comms[1] != 101 {
		t.Fatalf("version %d, communicators %v", version, comms)
	}
	x, y, z := []float32{1, 2, 3}, make([]float32, 3), []float64{0.5, 0.25}
	at := func(p unsafe.Pointer) driver.Pointer { return driver.Pointer(uintptr(p)) }
	check(l.GroupStart())
	check(l.AllReduce(at(unsafe.Pointer(&x[0])), at(unsafe.Pointer(&y[0])), 3, Float32, comms[1], 7))
	check(l.AllReduce(at(unsafe.Pointer(&z[0])), at(unsafe.Pointer(&z[0])), 1, Float64, comms[1], 7))
	if y[0] != 0 || z[0] != 0.5 {
		t.Error("the collectives did not wait for the end of their group")
	}
	check(l.GroupEnd())
	if fmt.Sprint(x, y, z) != "[1 2 3] [2 3 4] [1.5 0.25]" {
		t.Errorf("the sums are %v, %v", y, z)
	}
	check(l.Abort(comms[1]))
	check(l.Destroy(comms[1]))
}

// TestErrors: every call reports what its function returns, with the library's own words where it has some.
func TestErrors(t *testing.T) {
	l, fail := standin(t)
	t.Cleanup(func() { fail("") })
	for function, call := range map[int]func() error{
		ncclGetVersion:  func() error { _, err := l.Version(); return err },
		ncclCommInitAll: func() error { _, err := l.Init([]int{0}); return err },
		ncclAllReduce:   func() error { return l.AllReduce(0, 0, 0, Float32, 101, 7) },
		ncclGroupStart:  l.GroupStart,
		ncclGroupEnd:    l.GroupEnd,
		ncclCommAbort:   func() error { return l.Abort(101) },
		ncclCommDestroy: func() error { return l.Destroy(101) },
	} {
		name := symbols[function].name
		for code, text := range map[int]string{5: ": invalid usage (error 5)", 3: ": error 3"} {
			fail(fmt.Sprintf("%s:%d", name, code))
			var e *Error
			if err := call(); !errors.As(err, &e) || e.Code != code || err.Error() != name+text {
				t.Errorf("%s returns %d: error %v", name, code, err)
			}
		}
	}
}

// TestOpen: a library that is not there, or too old, and what to do.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	library := filepath.Join(dir, "libnccl.so.2")
	if _, err := Open(library); err == nil || !strings.Contains(err.Error(), "install the package libnccl2") {
		t.Errorf("no library: %v", err)
	}
	file := filepath.Join(dir, "old.c")
	if err := os.WriteFile(file, []byte("int ncclGetVersion(int *v) { *v = 1; return 0; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cc", append(include(t), "-shared", "-fPIC", "-o", library, file)...).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	if _, err := Open(library); err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("a library without most functions: %v", err)
	}
}

// TestRealLibrary opens NVIDIA's own library, where NCCL_LIBRARY names it. Without a GPU it loads, knows its
// version, and refuses devices in its own words.
func TestRealLibrary(t *testing.T) {
	library := os.Getenv("NCCL_LIBRARY")
	if library == "" {
		t.Skip("NCCL_LIBRARY names no libnccl.so.2; nn/cuda/check.sh runs this")
	}
	l, err := Open(library)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := l.Version(); err != nil || v < 21800 {
		t.Errorf("version %d, %v", v, err)
	}
	if comms, err := l.Init([]int{90, 91}); err == nil {
		t.Errorf("devices that are not there have communicators %v", comms)
	} else if e := (*Error)(nil); !errors.As(err, &e) || e.Text == "" {
		t.Errorf("error %v", err)
	} else {
		t.Log(err)
	}
}
