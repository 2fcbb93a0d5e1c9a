package job

import (
	"context"
	"fmt"

	"rampart/configs"
	"rampart/data"
	"rampart/defenses"
	"rampart/train/report"
)

// options are what the data set heeds of the table.
func (d *Data) options() data.Options {
	return data.Options{Download: d.Download, OnError: d.OnError}
}

// Validate reports options that the data set does not heed.
func (d Data) Validate() error { return d.options().Check(d.Source.Value) }

// augmentations is the list that a loader takes.
func (d *Data) augmentations() (list []data.Augmentation) {
	for _, a := range d.Augment {
		list = append(list, a.Value)
	}
	return list
}

// loadData loads the data set and sets train and held aside; full is what they were drawn from.
func (r *run) loadData(ctx context.Context) (full, test *data.Dataset, err error) {
	c := &r.cfg.Data
	o := c.options()
	o.Progress = r.loading()
	parts, err := data.Open(ctx, c.Source.Value, o)
	if err != nil {
		return nil, nil, fmt.Errorf("data set %q: %w", c.Source.Name, err)
	}
	for _, note := range parts.Notes {
		r.notes = append(r.notes, "data: "+note)
		fmt.Fprintln(r.opt.Stderr, "note:", note)
	}
	if r.validation = parts.Validation != nil; r.validation {
		r.train = parts.Train
		r.held, err = data.Sample(parts.Validation, c.HeldOut, r.cfg.Seed)
	} else {
		r.train, r.held, err = data.HoldOut(parts.Train, c.HeldOut, r.cfg.Seed)
	}
	if err != nil {
		return nil, nil, &UsageError{fmt.Errorf("data.held_out: %w", err)}
	}
	return parts.Train, parts.Test, nil
}

// loading shows how far a download or the decoding of images is.
func (r *run) loading() func(what string, done, total int64) {
	var progress *report.Progress
	now := ""
	return func(what string, done, total int64) {
		unit, title := int64(1), "load "+what
		if what != "images" { // a file
			unit, title = 1e6, "download "+what+", MB"
		}
		if now != what {
			progress, now = report.NewProgress(r.opt.Stdout, r.opt.Quiet, title, int((total+unit-1)/unit)), what
		}
		progress.Set(int((done + unit - 1) / unit))
		if done == total {
			progress.Done("")
			now = ""
		}
	}
}

// heldFrom says what the probe's images are.
func (r *run) heldFrom() string {
	if r.validation {
		return "validation images"
	}
	return "training images held out"
}

// checkAugment reports augmentations that fit neither the images nor the defences.
func (r *run) checkAugment() error {
	list := r.cfg.Data.augmentations()
	if err := data.CheckAugmentations(r.train, list); err != nil {
		return fmt.Errorf("data.augment: %w", err)
	}
	if !data.Mixes(list) {
		return nil
	}
	used := []configs.Choice[defenses.Defense]{r.cfg.Defense}
	if r.cfg.Init == "" { // there is a warm-up
		used = append(used, configs.Choice[defenses.Defense]{Name: "natural", Value: &defenses.Natural{}})
	}
	if t := r.cfg.Teacher; t != nil && t.Checkpoint == "" {
		used = append(used, t.Defense)
	}
	for i := range r.cfg.members() {
		used = append(used, r.cfg.member(i).Defense)
	}
	for _, u := range used {
		if !defenses.TakesMix(u.Value) {
			return fmt.Errorf("data.augment: mixup and cutmix mix labels, which training by %q cannot: remove them", u.Name)
		}
	}
	return nil
}
