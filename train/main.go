// Command train trains image classifiers that resist adversarial examples, measures how well they
// do, and classifies images with them. See "train -h".
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/urfave/cli/v3"

	"rampart/train/job"
)

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2 // a mistake in the command line or the config
	exitInterrupted = 130
)

func main() {
	// Steps allocate nothing, so collecting garbage often costs little, and a run needs half the memory.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(10)
	}
	os.Exit(run(os.Args, os.Stdout, os.Stderr))
}

// run executes a command line and returns the exit code. An error is one line on stderr.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := interruptible(stderr)
	defer stop()
	err := newCommand(stdout, stderr).Run(ctx, args)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(stderr, "train:", strings.TrimSuffix(err.Error(), ": "+context.Canceled.Error()))
	return exitCode(err)
}

func exitCode(err error) int {
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	if _, usage := errors.AsType[*job.UsageError](err); usage {
		return exitUsage
	}
	if _, usage := errors.AsType[cli.ExitCoder](err); usage { // cli's own, about "completion"
		return exitUsage
	}
	return exitFailed
}

// interruptible returns a context that the first Ctrl-C (or SIGTERM) cancels, so that a run can
// save and stop. The second one ends the process at once.
func interruptible(stderr io.Writer) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-signals
		fmt.Fprintln(stderr, "\ntrain: stopping (once more to stop at once)")
		cancel()
		<-signals
		os.Exit(exitInterrupted)
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
	}
}
