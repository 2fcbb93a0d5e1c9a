package audit

import (
	"fmt"
	"slices"
	"strings"

	"rampart/attacks"
)

// The facts that a claim's record must hold, by name.
const (
	FactThreat    = "threat model"
	FactModel     = "model"
	FactN         = "number of examples"
	FactSeed      = "seed"
	FactInterval  = "binomial interval"
	FactSelection = "selection split"
	FactOptions   = "hyper-parameters of every attack"
)

var facts = []string{FactThreat, FactModel, FactN, FactSeed, FactInterval, FactSelection, FactOptions}

// record is check 16.
func record(e *examination) (Finding, error) {
	var missing []string
	for _, f := range facts {
		if strings.TrimSpace(e.Record[f]) == "" {
			missing = append(missing, f)
		}
	}
	if len(missing) > 0 {
		return Finding{Verdict: Fail, Text: "the report does not say: " + strings.Join(missing, ", ")}, nil
	}
	return Finding{Verdict: Pass, Text: "it says " + strings.Join(facts, ", ")}, nil
}

// adaptive is check 17: defences that have been broken before by an attack that knew them must have
// met it here (Tramèr et al. 2020). Distilled networks are attacked with the margin loss on their
// logits and by transfer (Carlini and Wagner 2016), ensembles as the combination, by each member
// and by transfer between them, transformations through their gradient or a stand-in for it (BPDA), and
// whatever draws random numbers by expectation (EOT; Athalye et al. 2018).
func adaptive(e *examination) (Finding, error) {
	var done, missing []string
	need := func(ok bool, what string) {
		if ok {
			done = append(done, what)
		} else {
			missing = append(missing, what)
		}
	}
	if e.Distilled {
		need(e.ran(byMargin), "a margin loss against the distilled network's logits")
		need(e.Undefended != nil, "transfer from an undefended network")
	}
	if len(e.Members) > 0 {
		need(true, "the combination that is deployed")
		need(true, fmt.Sprintf("transfer from each of %d members", len(e.Members))) // check 8
	}
	if b := e.Before; b != nil {
		through := "gradients through " + b.Label
		if b.Substituted {
			through += " with the identity for what has none (BPDA)"
		}
		need(e.ran(knowing), through)
		if b.Random {
			need(e.ran(isExpectation), "expectation over its draws (EOT)")
		}
	}
	switch {
	case len(missing) > 0:
		return Finding{Verdict: Fail, Text: "no adaptive attack was run: missing " + strings.Join(missing, ", ")}, nil
	case len(done) > 0:
		return Finding{Verdict: Pass, Text: strings.Join(done, ", ")}, nil
	}
	return Finding{Verdict: Pass, Text: "a plain network: its gradients are its own"}, nil
}

// knowing says that an attack takes gradients of the network as it is deployed.
func knowing(a attacks.Attack) bool {
	_, oblivious := a.(attacks.Oblivious)
	_, sourced := a.(attacks.Sourced)
	return a.Gradients() > 0 && !oblivious && !sourced
}

// byMargin says that an attack ascends a loss that a saturated softmax does not flatten.
func byMargin(a attacks.Attack) bool {
	l, ok := a.(attacks.Lossy)
	return ok && slices.Contains([]string{"margin", "dlr", "targeted_dlr", "logit_difference"}, l.LossName())
}
