package attacks

import (
	"rampart/nn"
	"rampart/nn/device"
	"rampart/nn/registry"
)

// objective is what an attack ascends, with the classes that it takes for each example of a batch.
type objective struct {
	loss   device.Loss
	labels []int32   // what stands in the labels' place
	soft   []float32 // one-hot targets [n, classes], nil where the loss needs none
	// inverted says that labels are targets: an example is broken once it is classified as its own.
	inverted bool
}

// newObjective makes the objective of a loss by name: away from the labels, or where targets are
// not nil towards them.
func newObjective(name string, labels, targets []int32, classes int) (objective, error) {
	loss, err := LossNamed(name)
	if err != nil {
		return objective{}, err
	}
	if targets == nil {
		return objective{loss: loss, labels: labels}, nil
	}
	if _, ok := loss.(nn.NeedsTarget); !ok {
		return objective{loss: nn.Targeted{Loss: loss}, labels: targets, inverted: true}, nil
	}
	soft := make([]float32, len(targets)*classes)
	for i, t := range targets {
		soft[i*classes+int(t)] = 1
	}
	return objective{loss: loss, labels: labels, soft: soft}, nil
}

// checkLoss reports an unknown loss, and one that needs a target in an attack without.
func checkLoss(name string, targeted bool, remedy string) error {
	loss, err := LossNamed(name)
	if err != nil {
		return err
	}
	if _, ok := loss.(nn.NeedsTarget); ok && !targeted {
		return registry.Errorf("loss", "%q leads from the label to a target class: %s", name, remedy)
	}
	return nil
}

const setTarget = `set target to "random", "next" or "least_likely"`

// lossFits reports a loss that is not defined for so few classes.
func lossFits(name string, classes int) error {
	loss, err := LossNamed(name)
	if err != nil {
		return err
	}
	return nn.CheckClasses(loss, name, classes)
}
