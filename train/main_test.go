package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"train": main}) }

// TestScript runs testdata/script: the specification of the command line. Each script starts in a
// folder of its own with what writeFixtures puts there. Besides testscript's own, there are
//
//	exits CODE train ARG...              runs a command that must end with that exit code
//	stops SIGNAL FILE TEXT train ARG...  sends INT or KILL once FILE contains TEXT
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("RAMPART_CPU", "")
			return writeFixtures(e.WorkDir)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits": exits, "stops": stops,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE train ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	code := 0
	if failed, ok := errors.AsType[*exec.ExitError](err); ok {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if code != want {
		ts.Fatalf("exit code %d, want %d", code, want)
	}
}

// stops runs a command until a file holds a text, and then sends a signal. What the command wrote
// is in the files stdout and stderr.
func stops(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: stops INT|KILL FILE TEXT train ARG...")
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(args[3], args[4:]...)
	cmd.Path = lookup(ts, args[3])
	cmd.Err = nil
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), &stdout, &stderr
	cmd.Env = append(os.Environ(), "PATH="+ts.Getenv("PATH"))
	ts.Check(cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	file, sent, deadline := ts.MkAbs(args[1]), false, time.After(time.Minute)
	for !sent {
		select {
		case err := <-ended:
			ts.Fatalf("the command ended before %s held %q: %v\n%s%s", args[1], args[2], err, &stdout, &stderr)
		case <-deadline:
			cmd.Process.Kill()
			ts.Fatalf("%s did not hold %q in time\n%s%s", args[1], args[2], &stdout, &stderr)
		case <-time.After(time.Millisecond):
		}
		if data, err := os.ReadFile(file); err == nil && bytes.Contains(data, []byte(args[2])) {
			ts.Check(cmd.Process.Signal(map[string]os.Signal{"INT": os.Interrupt, "KILL": os.Kill}[args[0]]))
			sent = true
		}
	}
	<-ended
	ts.Check(os.WriteFile(ts.MkAbs("stdout"), stdout.Bytes(), 0o666))
	ts.Check(os.WriteFile(ts.MkAbs("stderr"), stderr.Bytes(), 0o666))
	status := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if args[0] == "KILL" && !status.Signaled() || args[0] == "INT" && status.ExitStatus() != exitInterrupted {
		ts.Fatalf("%s ended with %v\n%s%s", args[0], cmd.ProcessState, &stdout, &stderr)
	}
}

// lookup finds a command on the script's path.
func lookup(ts *testscript.TestScript, name string) string {
	for _, folder := range filepath.SplitList(ts.Getenv("PATH")) {
		path := filepath.Join(folder, name)
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			return path
		}
	}
	ts.Fatalf("%s", fmt.Sprintf("no command %q", name))
	return ""
}
