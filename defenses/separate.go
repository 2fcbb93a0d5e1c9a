package defenses

// What takes adversarial and clean rows to one parameter gradient, the adversarial ones first, can have
// batch normalisations for each kind.

// Separates implements Separable.
func (d *PGDAT) Separates() bool { return d.Adversarial < 1 }

// Separates implements Separable.
func (d *EnsembleAT) Separates() bool { return d.Adversarial < 1 }

// Separates implements Separable.
func (*TRADES) Separates() bool { return true }

// Separates implements Separable.
func (*MART) Separates() bool { return true }

// Separates implements Separable.
func (*ALP) Separates() bool { return true }

// Separates implements Separable.
func (*ARD) Separates() bool { return true }

// Separates implements Separable.
func (*RSLAD) Separates() bool { return true }
