package onnx

import (
	"math"
	"slices"

	"rampart/nn"
	"rampart/nn/device"
)

// What Export writes for an ensemble's combination is recognised as a whole: its parts have no form of their
// own here, and the vote has a gradient only as a whole (see op.Vote).

// fusedMean is log(mean(softmax)): ReduceLogSumExp of the members' LogSoftmax, less the log of their number;
// nil where the difference is no such one.
func (c *call) fusedMean() (*value, error) {
	if len(c.inputs) != 2 {
		return nil, nil
	}
	sum := c.made(c.inputs[0], "ReduceLogSumExp", 1)
	less, ok := c.number(c.inputs[1])
	if sum == nil || !ok || !c.over(sum, 0) {
		return nil, nil
	}
	all := c.producers[sum.inputs[0]]
	if all == nil || all.op != "Concat" || (&node{nodeProto: all}).int("axis", -1) != 0 || !nearly(less, math.Log(float64(len(all.inputs)))) {
		return nil, nil
	}
	var members []string
	for _, name := range all.inputs {
		row := c.producers[name]
		if row == nil || row.op != "Unsqueeze" || !c.over(row, 0) {
			return nil, nil
		}
		share := c.byClass(row.inputs[0], "LogSoftmax")
		if share == nil {
			return nil, nil
		}
		members = append(members, share.inputs[0])
	}
	return c.ensemble("log_mean_softmax", members)
}

// fusedVote is log((votes + mean(softmax))/(members+1)): each member's vote a OneHot of its ArgMax; nil where
// the logarithm is of something else.
func (c *call) fusedVote() (*value, error) {
	score, factor := c.multiple(c.inputs[0])
	bounded := c.made(score, "Max", 2)
	if bounded == nil {
		return nil, nil
	}
	if least, ok := c.number(bounded.inputs[1]); !ok || least != device.VoteFloor {
		return nil, nil
	}
	total := c.producers[bounded.inputs[0]]
	if total == nil || total.op != "Sum" {
		return nil, nil
	}
	var voters, shares []string
	for _, name := range total.inputs {
		if voter := c.voter(name); voter != "" {
			voters = append(voters, voter)
			continue
		}
		mean, part := c.multiple(name)
		sum := c.producers[mean]
		if shares != nil || sum == nil || sum.op != "Sum" || !nearly(part*float64(len(sum.inputs)), 1) {
			return nil, nil
		}
		for _, name := range sum.inputs {
			share := c.byClass(name, "Softmax")
			if share == nil {
				return nil, nil
			}
			shares = append(shares, share.inputs[0])
		}
	}
	if !slices.Equal(voters, shares) || !nearly(factor*float64(len(voters)+1), 1) {
		return nil, nil
	}
	out, err := c.ensemble("vote", voters)
	if out != nil {
		c.note("the members' votes have no gradient: attacks take that of their mean probability (BPDA), and are judged by the vote")
	}
	return out, err
}

// voter is the logits whose largest a value counts, "" for none.
func (c *call) voter(name string) string {
	count := c.made(name, "OneHot", 3)
	if count == nil {
		return ""
	}
	best, values := c.made(count.inputs[0], "ArgMax", 1), c.constants[count.inputs[2]]
	classes, ok := c.number(count.inputs[1])
	if best == nil || !ok || values == nil || values.len() != 2 || values.at(0) != 0 || values.at(1) != 1 {
		return ""
	}
	n, m := &node{nodeProto: count}, &node{nodeProto: best}
	v := c.values[best.inputs[0]]
	if axis := n.int("axis", -1); axis != 1 && axis != -1 || m.int("axis", 0) != 1 || m.int("keepdims", 1) != 0 || m.int("select_last_index", 0) != 0 ||
		v == nil || v.failed != nil || len(v.axes) != 1 || v.size(0) != int(classes) {
		return ""
	}
	return best.inputs[0]
}

// byClass is the softmax over classes that gives a value.
func (t *translator) byClass(name, op string) *nodeProto {
	p := t.made(name, op, 1)
	if p == nil || (&node{nodeProto: p}).int("axis", -1) != 1 {
		return nil
	}
	return p
}

// over reports whether an operation is over one axis alone, and keeps no axis of size 1 for it.
func (t *translator) over(p *nodeProto, axis int) bool {
	n := &node{nodeProto: p}
	axes := n.ints("axes")
	if len(p.inputs) > 1 {
		axes, _ = t.constants[p.inputs[1]].list()
	}
	return len(axes) == 1 && axes[0] == axis && (p.op == "Unsqueeze" || n.int("keepdims", 1) == 0)
}

// nearly compares numbers that have gone through float32.
func nearly(a, b float64) bool { return math.Abs(a-b) <= 1e-6*math.Abs(b) }

// ensemble joins the logits of members; nil where they are no logits of as many classes.
func (c *call) ensemble(op string, members []string) (*value, error) {
	n := nn.Node{Op: op}
	var out value
	for i, name := range members {
		v := c.values[name]
		if v == nil || v.failed != nil || v.ended != "" || len(v.axes) != 1 || !v.plain() {
			return nil, nil
		}
		v, err := c.settled(v)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			out = *v
		} else if v.size(0) != out.size(0) {
			return nil, nil
		}
		n.In = append(n.In, v.id)
	}
	if len(n.In) < 2 {
		return nil, nil
	}
	size := out.size(0)
	return &value{id: c.emit(n), phys: nn.Shape{H: 1, W: 1, C: size}, layout: newLayout([]int{size}, []int{0})}, nil
}
