package main

import (
	"context"
	"strings"

	"github.com/urfave/cli/v3"

	"rampart/train/job"
)

const exportExamples = `Examples:
  train export -checkpoint checkpoints/madry/best.safetensors -format safetensors -o madry.safetensors
  train export -checkpoint checkpoints/madry/best.safetensors -format onnx -o madry.onnx

onnx: "input" [N,C,H,W], pixels in [0,1], to "logits" [N,classes]: normalisation, ensemble and the
transformations bit_depth and gaussian are in the graph (opset 17).
safetensors: the weights alone, as safetensors.torch.load_file reads them: PyTorch's names and layouts
(convolutions OIHW, dense layers [out, in]), an ensemble's members behind members.0, members.1, ...`

// exportCommand writes a network for other programs.
func exportCommand() *cli.Command {
	return &cli.Command{
		Name:        "export",
		Usage:       "write a checkpoint's network in a format that other programs read",
		UsageText:   "train export -checkpoint FILE -format FORMAT -o FILE",
		Description: exportExamples,
		Flags: []cli.Flag{checkpointFlag(),
			&cli.StringFlag{Name: "format", Local: true, Usage: "the `FORMAT` to write: " + strings.Join(job.Formats(), " or ")},
			&cli.StringFlag{Name: "o", Local: true, Usage: "the `FILE` to write, a new one"}},
		Action: export,
	}
}

func export(_ context.Context, c *cli.Command) error {
	if c.Args().Present() {
		return usagef("unexpected argument %q: write -checkpoint FILE, -format FORMAT and -o FILE", c.Args().First())
	}
	opt, err := options(c)
	if err != nil {
		return err
	}
	e := job.ExportOptions{}
	for _, flag := range []struct {
		to            *string
		name, example string
	}{{&e.Checkpoint, "checkpoint", "best.safetensors"}, {&e.Format, "format", job.Formats()[0]}, {&e.Out, "o", "network.safetensors"}} {
		if *flag.to, err = required(c, flag.name, flag.example); err != nil {
			return err
		}
	}
	return job.Export(e, opt)
}
