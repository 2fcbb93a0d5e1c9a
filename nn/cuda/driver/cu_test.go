//go:build cu && !nocuda

package driver

import "testing"

// standin opens the library that this test is linked with: nn/cuda/check.sh makes it the stand-in.
func standin(t *testing.T) (d Driver, library string) {
	t.Helper()
	d, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	return d, "libcuda.so.1"
}

func TestOpenNamed(t *testing.T) {
	if _, err := Open("libcuda.so.1"); err == nil {
		t.Error("a library is named, and nothing says that it is not used")
	}
}
