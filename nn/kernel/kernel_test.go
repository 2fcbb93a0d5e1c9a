package kernel

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func TestUse(t *testing.T) {
	defer Use(Current())
	for _, name := range Implementations() {
		if err := Use(name); err != nil || Current() != name {
			t.Errorf("Use(%q) = %v, Current() = %q", name, err, Current())
		}
	}
	before := Current()
	wants := map[string]string{
		"sse9":     `unknown kernels "sse9"; use one of: `,
		"":         `unknown kernels ""; use one of: `,
		"Portable": `unknown kernels "Portable"; use one of: `,
	}
	for name, needs := range map[string]string{"avx2": "AVX2 and FMA", "avx512": "AVX-512 F, BW, DQ and VL"} {
		if !slices.Contains(Implementations(), name) {
			wants[name] = fmt.Sprintf("this processor cannot run %q kernels (%s are needed); use one of: ", name, needs)
		}
	}
	for name, want := range wants {
		if err := Use(name); err == nil || !strings.HasPrefix(err.Error(), want) || !strings.HasSuffix(err.Error(), "portable") {
			t.Errorf("Use(%q) = %v, want %q and a list", name, err, want)
		}
	}
	if Current() != before {
		t.Errorf("a failed Use changed the implementation to %q", Current())
	}
	if names := Implementations(); !slices.Contains(names, "portable") {
		t.Errorf("Implementations() = %q lacks the portable one", names)
	}
}

// TestVariable runs this test in processes of its own, with RAMPART_CPU set.
func TestVariable(t *testing.T) {
	if os.Getenv("KERNEL_TEST_CHILD") != "" {
		os.Stdout.WriteString("current=" + Current() + "\n")
		if err := Init(); err != nil {
			os.Stdout.WriteString("error=" + err.Error() + "\n")
		}
		return
	}
	fastest := Implementations()[0]
	for value, want := range map[string]string{
		"portable": "current=portable\nPASS\n",
		"":         "current=" + fastest + "\nPASS\n",
		"mmx": "current=" + fastest + "\nerror=environment variable RAMPART_CPU: unknown kernels \"mmx\"; use one of: " +
			strings.Join(Implementations(), ", ") + "\nPASS\n",
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestVariable$")
		cmd.Env = append(os.Environ(), "KERNEL_TEST_CHILD=1", Variable+"="+value)
		out, err := cmd.CombinedOutput()
		if errors.Is(err, syscall.ENOEXEC) {
			t.Skip("under an emulator, a test cannot start itself")
		}
		if err != nil || !strings.HasPrefix(string(out), want) {
			t.Errorf("%s=%q: %v, %q, want %q", Variable, value, err, out, want)
		}
	}
}

func TestPeakFLOPS(t *testing.T) {
	eachImplementation(t, func(t *testing.T) {
		if rate := PeakFLOPS(); rate < 1e7 || rate > 1e13 {
			t.Errorf("%v operations a second", rate)
		}
	})
}
