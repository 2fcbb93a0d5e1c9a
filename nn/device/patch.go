package device

// Patching is an Executable that can recompute what a change of a part of an example reaches, from
// what it knows of the example before.
type Patching interface {
	Executable
	// Patches prepares for at most rows examples; it returns nil where the program has no layers for
	// which that could pay. There may be fewer Places than rows, for memory is bounded.
	Patches(rows int) Patches
}

// Patches computes the logits of examples that differ from known ones in a region each. Example i of
// a call belongs to place i. Results have the bits of Executable.Run. What is known holds until the
// weights change.
type Patches interface {
	// Places is the most rows of a call.
	Places() int
	// Pays reports, by shapes alone, whether regions of this size take much less work than examples.
	Pays(height, width int) bool
	// Run computes c.Logits of c.X. Example i differs from the one known in its place only inside
	// regions[i]; without regions nothing need be known.
	Run(c *Call, regions []Region) error
	// Keep makes an example of the last Run the one known in its place.
	Keep(place int)
	// Move takes what is known in one place to another.
	Move(to, from int)
}
