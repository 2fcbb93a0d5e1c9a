// The first and only program of the emulated machine: it runs the test that lies beside it, tells how
// that ended, and switches the machine off. See run.sh.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

func main() {
	status := run()
	fmt.Printf("status: %d\n", status)
	time.Sleep(time.Second) // until the serial line has sent it
	syscall.Reboot(syscall.LINUX_REBOOT_CMD_POWER_OFF)
}

func run() int {
	for folder, kind := range map[string]string{"/proc": "proc", "/dev": "devtmpfs"} {
		if err := syscall.Mount(kind, folder, kind, 0, ""); err != nil {
			fmt.Printf("mount %s: %v\n", folder, err)
			return 1
		}
	}
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for line := range strings.Lines(string(info)) {
		if strings.HasPrefix(line, "model name") {
			fmt.Print(line)
		}
	}
	arguments, err := os.ReadFile("/arguments")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	cmd := exec.Command("/test", strings.Fields(string(arguments))...)
	cmd.Env = []string{"RAMPART_CPU=avx512"}
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stdout
	if err := cmd.Run(); err != nil {
		fmt.Println("test:", err)
		return 1
	}
	return 0
}
