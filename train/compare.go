package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v3"

	"rampart/train/job"
)

const compareExamples = `Examples:
  train compare -config standard.toml,madry.toml,trades.toml      train, measure and set side by side
  train compare -config compare_quick.toml -jobs 2                what a config with a table [compare] lists
  train compare -config compare_quick.toml -repeat 3              mean ± standard deviation over three seeds
  train compare -config compare_quick.toml -set eval.n=1000       measure otherwise; nothing is trained again

Each strategy has a folder of its own under -out. The same command again takes finished runs as they are and
goes on with those that were stopped; a strategy whose config has changed is trained in a further folder.
-set eval.* and compare.* are for the comparison, other keys for each strategy (without a table [compare],
eval.*, too: the first config's [eval] is for all). A strategy that fails leaves the others be; exit code 1.`

// compareCommand sets strategies side by side.
func compareCommand() *cli.Command {
	return &cli.Command{
		Name:        "compare",
		Usage:       "train several strategies, measure them alike, and set them side by side",
		UsageText:   "train compare -config NAME,NAME... [flags]",
		Description: compareExamples,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "config", Local: true, Usage: "the configs to compare, or one with a table [compare]: `NAMES` with commas between them"},
			&cli.IntFlag{Name: "jobs", Local: true, Value: 1, Usage: "train `N` strategies side by side; they share the threads (default: 1)"},
			&cli.IntFlag{Name: "repeat", Local: true, Usage: "short for -set compare.repeat=`N`: train each strategy with that many seeds"},
			&cli.Uint64Flag{Name: "seed", Local: true, Usage: "short for -set compare.seed=`N`, which takes the place of the configs' own"},
			setFlag(), protocolFlag(), threadsFlag(), deviceFlag(), outFlag("checkpoints/`CONFIG`"), quietFlag(),
		},
		Action: compare,
	}
}

func compare(ctx context.Context, c *cli.Command) error {
	if c.Args().Present() {
		return usagef("unexpected argument %q: write -config NAME,NAME, without spaces", c.Args().First())
	}
	opt, err := options(c)
	if err != nil {
		return err
	}
	names, err := required(c, "config", "standard.toml,madry.toml")
	if err != nil {
		return err
	}
	set := slices.Clone(c.StringSlice("set"))
	if c.IsSet("repeat") {
		set = append(set, fmt.Sprintf("compare.repeat=%d", c.Int("repeat")))
	}
	if c.IsSet("seed") {
		set = append(set, fmt.Sprintf("compare.seed=%d", c.Uint64("seed")))
	}
	if p := c.String("protocol"); p != "" {
		set = append(set, fmt.Sprintf("eval.protocol=%q", p))
	}
	comparison, err := job.LoadComparison(strings.Split(names, ","), set)
	if err != nil {
		return err
	}
	return job.Compare(ctx, comparison, job.CompareOptions{Options: opt, Jobs: c.Int("jobs")})
}
