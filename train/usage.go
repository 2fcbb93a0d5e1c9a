package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"rampart/configs"
	"rampart/nn/cuda"
	"rampart/nn/registry"
	"rampart/train/job"
)

const rootUsage = `train -config NAME [flags]                        train, measure and save a network
  train eval -config NAME -checkpoint FILE [flags]  measure only
  train attack -config NAME -checkpoint FILE [flags]
                                                    make adversarial examples
  train compare -config NAME,NAME... [flags]        train several strategies and set them side by side
  train certify -config NAME -checkpoint FILE [flags]
                                                    prove what it withstands
  train predict -checkpoint FILE IMAGE...           classify images
  train bench -config NAME [flags]                  time the network on this machine
  train export -checkpoint FILE -format FORMAT -o FILE
                                                    write a network for other programs
  train info FILE                                   show what a checkpoint or a .pth holds
  train completion SHELL                            print a completion script for bash, zsh, fish or pwsh`

const rootExamples = `Examples:
  train -config quick.toml                      the whole pipeline in about a minute
  train -config madry.toml                      the main job: a hardened network for MNIST
  train -config madry.toml -plan                what that would do, and how long it would take
  train -config madry.toml -out runs/a -resume  go on with a run that was stopped
  train -config my.toml -set defense.attack.eps=0.2 -set train.epochs=3 -seed 7

Exit codes: 0 done, 1 failed, 2 bad usage or config, 130 interrupted.`

const evalExamples = `Examples:
  train eval -config madry.toml -checkpoint checkpoints/madry/best.safetensors
  train eval -config madry.toml -checkpoint best.safetensors -protocol standard -out report   with AutoAttack, to be resumed with -resume
  train eval -config madry.toml -checkpoint best.safetensors -set eval.n=0                    all test images
  train eval -config madry.toml -model theirs.onnx                                            anybody's network, from an ONNX file`

const attackExamples = `Examples:
  train attack -config madry.toml -checkpoint best.safetensors -save adv.safetensors
  train attack -config madry.toml -checkpoint best.safetensors -attack '{name="apgd", loss="dlr"}' -save adv.safetensors -png pictures
  train attack -config madry.toml -checkpoint best.safetensors -attack cw -save nearest.safetensors -set eval.n=100

The file holds "adversarial" and "clean" [N,C,H,W] in [0,1], "labels", "predictions" and "index",
all as float32. Attacks that look for the nearest adversarial example give that, wherever it lies.
-attack without norm and eps stays within the config's threat model, where the method knows that norm.`

const certifyExamples = `Examples:
  train certify -config smoothing.toml -checkpoint checkpoints/smoothing/best.safetensors
  train certify -config smoothing.toml -checkpoint best.safetensors -out proof -set smoothing.n=10000   to be resumed with -resume
  train certify -config ibp.toml -checkpoint checkpoints/ibp/best.safetensors -set verify.eps=[0.3]

Certificates of smoothing are about the smoothed network: the class that noisy copies of an image get most often.`

const predictExamples = `Examples:
  train predict -checkpoint checkpoints/madry/best.safetensors digit.png
  train predict -checkpoint checkpoints/madry/best.safetensors -top 3 scans photo.jpg

Images (JPEG, PNG, GIF, WebP; all of a folder's) are converted to what the network takes: grey or colour, the
shorter side scaled as in Pillow (bilinear, antialiased), the middle cut out.`

const benchExamples = `Examples:
  train bench -config madry.toml                                 forward, gradients, attack step, training step
  train bench -config madry.toml -set train.batch=50 -ops        each op as well
  train bench -config madry.toml -checkpoint best.safetensors -json

FLOPs count zeros and padding like other values, so a kernel that skips zeros may show more than the peak.`

const helpTemplate = `{{.FullName}}: {{.Usage}}

Usage:
  {{.UsageText}}

Flags:{{range .VisibleFlags}}
  {{.}}{{end}}

{{.Description}}
`

func init() {
	cli.FlagStringer = flagLine
	cli.HelpFlag = &cli.BoolFlag{Name: "help", Aliases: []string{"h"}, Local: true, Usage: "show this"}
}

// flagLine is a flag's line in the help: its name, the name of its value (in backquotes in its
// usage, as in package flag), and its usage.
func flagLine(f cli.Flag) string {
	usage := f.(cli.DocGenerationFlag).GetUsage()
	line := "-" + strings.Join(f.Names(), ", -")
	if parts := strings.SplitN(usage, "`", 3); len(parts) == 3 {
		line += " " + parts[1]
		usage = strings.Join(parts, "")
	}
	if slices.Contains(f.Names(), "device") { // asked for here only, since it wakes the driver
		usage += "\n  \there: " + cuda.Found()
	}
	return line + "\t" + usage
}

func usagef(format string, args ...any) error {
	return &job.UsageError{Err: fmt.Errorf(format, args...)}
}

// usageError says in our words what the flag parser found.
func usageError(_ context.Context, c *cli.Command, err error, _ bool) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "flag provided but not defined: -"); ok {
		return unknownFlag(c, name)
	}
	if name, ok := strings.CutPrefix(text, "flag needs an argument: "); ok {
		return usagef("-%s needs a value (%s -h shows more)", strings.TrimLeft(name, "-"), c.FullName())
	}
	if wrong, _, ok := strings.Cut(text, ": strconv."); ok {
		return usagef("%s: expected a whole number in its range", wrong)
	}
	if wrong, ok := strings.CutSuffix(text, ": parse error"); ok { // of a switch
		return usagef("%s: expected true or false", wrong)
	}
	return &job.UsageError{Err: err}
}

func unknownFlag(c *cli.Command, name string) error {
	if near, ok := registry.Nearest(name, flagNames(c)); ok {
		return usagef("unknown flag -%s: did you mean -%s?", name, near)
	}
	if name == "resume" && c.Name == "compare" {
		return usagef("unknown flag -resume of %q: without it the same command goes on where it was stopped", c.FullName())
	}
	for _, other := range append([]*cli.Command{c.Root()}, c.Root().Commands...) {
		if other != c && slices.Contains(flagNames(other), name) {
			return usagef("unknown flag -%s of %q: it belongs to %q, after the command's name", name, c.FullName(), other.FullName())
		}
	}
	return usagef("unknown flag -%s: %s -h shows the flags", name, c.FullName())
}

func flagNames(c *cli.Command) (names []string) {
	for _, f := range c.Flags {
		names = append(names, f.Names()...)
	}
	return names
}

func unknownCommand(name string) error {
	for _, known := range configs.Embedded() {
		if name == known || name == known+".toml" {
			return usagef("unknown command %q: did you mean -config %s?", name, name)
		}
	}
	if strings.HasSuffix(name, ".toml") {
		return usagef("unknown command %q: a config is given by -config %s", name, name)
	}
	return &job.UsageError{Err: registry.Unknown("command", name, []string{"attack", "bench", "certify", "compare", "completion", "eval", "export", "info", "predict"})}
}

// noFlagsBefore refuses flags between "train" and the name of a command, which would be ignored.
func noFlagsBefore(ctx context.Context, c *cli.Command) (context.Context, error) {
	for _, name := range flagNames(c.Root()) {
		if c.Root().IsSet(name) && !c.IsSet(name) {
			return ctx, usagef("-%s stands before the command: write %q, then its flags", name, c.FullName())
		}
	}
	return ctx, nil
}
