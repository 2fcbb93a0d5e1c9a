package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"rampart/configs"
	"rampart/nn/kernel"
	"rampart/train/job"
)

// newCommand returns the command line. Flags belong to one command each, so that none is accepted
// and then ignored.
func newCommand(stdout, stderr io.Writer) *cli.Command {
	root := &cli.Command{
		Name:        "train",
		Usage:       "adversarial training of image classifiers",
		UsageText:   rootUsage,
		Description: rootExamples,
		Flags: []cli.Flag{
			configFlag(), setFlag(), seedFlag(), threadsFlag(), deviceFlag(), outFlag("checkpoints/`CONFIG`"),
			resumeFlag("run"),
			quietFlag(),
			&cli.BoolFlag{Name: "plan", Local: true, Usage: "print stages, work, estimated time and memory, and stop"},
		},
		Action: train,
		Commands: []*cli.Command{
			{
				Name:        "eval",
				Usage:       "measure a checkpoint without training",
				UsageText:   "train eval -config NAME -checkpoint FILE [flags]",
				Description: evalExamples,
				Flags: []cli.Flag{configFlag(), checkpointFlag(), modelFlag(), protocolFlag(), undefendedFlag(), setFlag(), seedFlag(), threadsFlag(), deviceFlag(),
					outFlag("none"), resumeFlag("evaluation"), quietFlag()},
				Action: eval,
			},
			{
				Name:        "attack",
				Usage:       "make adversarial examples for use elsewhere",
				UsageText:   "train attack -config NAME -checkpoint FILE -save FILE [flags]",
				Description: attackExamples,
				Flags: []cli.Flag{configFlag(), checkpointFlag(), modelFlag(),
					&cli.StringFlag{Name: "attack", Local: true, Usage: "the attack: its name, or a `TABLE` with its options such as '{name=\"pgd\", steps=40}' (default: the config's first PGD)"},
					&cli.StringFlag{Name: "save", Local: true, Usage: "write the examples to a safetensors `FILE`"},
					&cli.StringFlag{Name: "png", Local: true, Usage: "write a picture of each example into the folder `DIR`"},
					setFlag(), seedFlag(), threadsFlag(), deviceFlag(), quietFlag()},
				Action: attack,
			},
			{
				Name:        "certify",
				Usage:       "prove what a checkpoint withstands, by [smoothing] and [verify]",
				UsageText:   "train certify -config NAME -checkpoint FILE [flags]",
				Description: certifyExamples,
				Flags:       []cli.Flag{configFlag(), checkpointFlag(), setFlag(), seedFlag(), threadsFlag(), deviceFlag(), outFlag("none"), resumeFlag("certification"), quietFlag()},
				Action:      certify,
			},
			{
				Name:        "predict",
				Usage:       "classify images (JPEG, PNG, GIF or WebP) or folders of them",
				UsageText:   "train predict -checkpoint FILE IMAGE...",
				Description: predictExamples,
				Flags: []cli.Flag{checkpointFlag(), modelFlag(), threadsFlag(), deviceFlag(),
					&cli.IntFlag{Name: "top", Local: true, Value: 1, Usage: "name the `N` likeliest classes (default: 1)"}},
				Action: predict,
			},
			{
				Name:        "bench",
				Usage:       "time a config's network on this machine",
				UsageText:   "train bench -config NAME [flags]",
				Description: benchExamples,
				Flags: []cli.Flag{configFlag(), setFlag(), threadsFlag(), deviceFlag(),
					&cli.StringFlag{Name: "checkpoint", Local: true, Usage: "weights to time with, a `FILE` (default: fresh ones; kernels skip zeros, and a trained network has more)"},
					&cli.IntFlag{Name: "repeats", Local: true, Value: 5, Usage: "time each stage `N` times and take the median (default: 5)"},
					&cli.BoolFlag{Name: "ops", Local: true, Usage: "also time each op"},
					&cli.BoolFlag{Name: "json", Local: true, Usage: "print JSON"}},
				Action: bench,
			},
			compareCommand(),
			exportCommand(),
			infoCommand(),
		},
		Writer:                          stdout,
		ErrWriter:                       stderr,
		HideHelpCommand:                 true,
		EnableShellCompletion:           true,
		ConfigureShellCompletionCommand: func(c *cli.Command) { c.Usage = "print a completion script for bash, zsh, fish or pwsh" },
		ExitErrHandler:                  func(context.Context, *cli.Command, error) {}, // run prints it
	}
	for _, c := range append(root.Commands, root) {
		c.CustomHelpTemplate, c.CustomRootCommandHelpTemplate = helpTemplate, helpTemplate
		c.OnUsageError = usageError
		c.DisableSliceFlagSeparator = true // a comma in -set is part of the value
		if c != root {
			c.Before = noFlagsBefore
		}
	}
	return root
}

func configFlag() cli.Flag {
	return &cli.StringFlag{Name: "config", Local: true, Usage: "the config `NAME`: a file, one in configs/, or one in the program (" + strings.Join(configs.Embedded(), ", ") + ")"}
}
func checkpointFlag() cli.Flag {
	return &cli.StringFlag{Name: "checkpoint", Local: true, Usage: "the network: a `FILE` such as best.safetensors"}
}
func modelFlag() cli.Flag {
	return &cli.StringFlag{Name: "model", Local: true, Usage: "anybody's network instead of a checkpoint: an ONNX `FILE`"}
}
func setFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "set", Local: true, Usage: "`KEY=VALUE` sets any key of the config, such as train.epochs=3 (repeatable)"}
}
func seedFlag() cli.Flag {
	return &cli.Uint64Flag{Name: "seed", Local: true, Usage: "short for -set seed=`N`"}
}
func threadsFlag() cli.Flag {
	return &cli.IntFlag{Name: "threads", Local: true, Usage: "use `N` threads; results do not depend on it (default: one for each core)"}
}
func deviceFlag() cli.Flag {
	return &cli.StringFlag{Name: "device", Local: true, Value: "auto", Usage: "`DEVICE` to compute on: auto, cpu or cuda (cuda:1 is the second GPU, cuda:0,1 two that share each batch, cuda:all every GPU; default: auto, a GPU if there is one)"}
}
func outFlag(fallback string) cli.Flag {
	return &cli.StringFlag{Name: "out", Local: true, Usage: "the folder `DIR` for the files that are written (default: " + strings.ReplaceAll(fallback, "`", "") + ")"}
}
func resumeFlag(what string) cli.Flag {
	return &cli.BoolFlag{Name: "resume", Local: true, Usage: "go on with the " + what + " in -out where it stopped"}
}
func protocolFlag() cli.Flag {
	return &cli.StringFlag{Name: "protocol", Local: true, Usage: "short for -set eval.protocol=`NAME`: none, quick, standard (adds AutoAttack) or full"}
}
func undefendedFlag() cli.Flag {
	return &cli.StringFlag{Name: "undefended", Local: true, Usage: "a network without a defence for the checks, a `FILE` (default: baseline.safetensors beside the checkpoint)"}
}
func quietFlag() cli.Flag {
	return &cli.BoolFlag{Name: "quiet", Local: true, Usage: "print the tables, but no progress"}
}

func train(ctx context.Context, c *cli.Command) error {
	if c.Args().Present() {
		return unknownCommand(c.Args().First())
	}
	opt, cfg, err := prepare(c)
	if err != nil {
		return err
	}
	if c.Bool("plan") {
		return job.Plan(cfg, opt)
	}
	return job.Train(ctx, cfg, opt)
}

func eval(ctx context.Context, c *cli.Command) error {
	checkpoint, opt, cfg, err := subject(c, "write -config NAME and -checkpoint FILE")
	if err != nil {
		return err
	}
	return job.Eval(ctx, cfg, job.EvalOptions{Checkpoint: checkpoint, Undefended: c.String("undefended")}, opt)
}

func attack(ctx context.Context, c *cli.Command) error {
	checkpoint, opt, cfg, err := subject(c, "put the table of -attack into quotes")
	if err != nil {
		return err
	}
	return job.Craft(ctx, cfg, job.CraftOptions{Checkpoint: checkpoint, Attack: c.String("attack"), Save: c.String("save"), PNG: c.String("png")}, opt)
}

func certify(ctx context.Context, c *cli.Command) error {
	checkpoint, opt, cfg, err := subject(c, "write -config NAME and -checkpoint FILE")
	if err != nil {
		return err
	}
	return job.Certify(ctx, cfg, checkpoint, opt)
}

func bench(_ context.Context, c *cli.Command) error {
	if c.Args().Present() {
		return usagef("unexpected argument %q: write -config NAME", c.Args().First())
	}
	opt, cfg, err := prepare(c)
	if err != nil {
		return err
	}
	repeats := c.Int("repeats")
	if repeats < 1 {
		return usagef("-repeats %d: at least 1", repeats)
	}
	return job.Bench(cfg, opt, job.BenchOptions{Repeats: repeats, JSON: c.Bool("json"), Ops: c.Bool("ops"), Checkpoint: c.String("checkpoint")})
}

// prepare reads the flags and the config that a job needs.
func prepare(c *cli.Command) (job.Options, *job.Config, error) {
	opt, err := options(c)
	if err != nil {
		return opt, nil, err
	}
	cfg, err := loadConfig(c)
	return opt, cfg, err
}

// subject is prepare for a job about a checkpoint, without arguments; instead says what to write for one.
func subject(c *cli.Command, instead string) (checkpoint string, opt job.Options, cfg *job.Config, err error) {
	if c.Args().Present() {
		return "", opt, nil, usagef("unexpected argument %q: %s", c.Args().First(), instead)
	}
	if opt, cfg, err = prepare(c); err == nil {
		checkpoint, err = network(c)
	}
	return checkpoint, opt, cfg, err
}

// loadConfig reads -config with what -set and -seed lay over it.
func loadConfig(c *cli.Command) (*job.Config, error) {
	name, err := required(c, "config", "madry.toml")
	if err != nil {
		return nil, err
	}
	set := c.StringSlice("set")
	if c.IsSet("seed") {
		set = append(slices.Clone(set), fmt.Sprintf("seed=%d", c.Uint64("seed")))
	}
	if p := c.String("protocol"); p != "" {
		set = append(slices.Clone(set), fmt.Sprintf("eval.protocol=%q", p))
	}
	return job.Load(name, set)
}

func required(c *cli.Command, flag, example string) (string, error) {
	if v := c.String(flag); v != "" {
		return v, nil
	}
	return "", usagef("which %s? For example: -%s %s (%s -h shows more)", flag, flag, example, c.FullName())
}

// network is the file of -checkpoint or -model.
func network(c *cli.Command) (string, error) {
	model := c.String("model")
	if model == "" {
		return required(c, "checkpoint", "best.safetensors")
	}
	if c.IsSet("checkpoint") {
		return "", usagef("-checkpoint and -model: give one of the two")
	}
	if !job.IsONNX(model) {
		return "", usagef("-model %q: the name of an ONNX file ends in .onnx; Rampart's own are given by -checkpoint", model)
	}
	return model, nil
}

// options reads the flags that say where and how to compute.
func options(c *cli.Command) (job.Options, error) {
	opt := job.Options{Out: c.String("out"), Resume: c.Bool("resume"), Quiet: c.Bool("quiet"), Threads: c.Int("threads"),
		Device: c.String("device"), Stdout: c.Root().Writer, Stderr: c.Root().ErrWriter}
	if err := kernel.Init(); err != nil {
		return opt, &job.UsageError{Err: err}
	}
	return opt, nil
}
