package main

import (
	"context"

	"github.com/urfave/cli/v3"

	"rampart/train/job"
)

const infoExamples = `Examples:
  train info checkpoints/madry/best.safetensors    network, threat model, measured figures, tensors
  train info resnet18.pth                          what PyTorch has saved, read without executing any of it
  train info net.onnx                              an ONNX network, as train eval -model attacks it`

// infoCommand shows what a file of weights holds.
func infoCommand() *cli.Command {
	return &cli.Command{
		Name:        "info",
		Usage:       "show what a file of weights holds: a checkpoint, other safetensors, PyTorch's .pth, ONNX",
		UsageText:   "train info FILE",
		Description: infoExamples,
		Action:      info,
	}
}

func info(_ context.Context, c *cli.Command) error {
	if c.Args().Len() != 1 {
		return usagef("which file? For example: train info best.safetensors")
	}
	return job.Info(c.Args().First(), job.Options{Stdout: c.Root().Writer, Stderr: c.Root().ErrWriter})
}
