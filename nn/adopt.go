package nn

import (
	"fmt"
	"slices"
	"strings"
)

// Adoption says what a network took of weights that were made for another, by name.
type Adoption struct {
	Loaded []string
	// Zeroed are biases of layers that have none in the source: 0 is the same network.
	Zeroed []string
	// Head are the last layer's weights where they start fresh, for its classes are others.
	Head []string
	// Missing are the network's weights that the source has not, and Reshaped those that it has in
	// another shape; both start fresh. Unexpected are the source's that the network has not.
	Missing, Unexpected []string
	Reshaped            []Reshaped
}

// Reshaped is a weight whose shape in the source is another than the network's.
type Reshaped struct {
	Name        string
	Source, Own []int
}

func (r Reshaped) String() string {
	return fmt.Sprintf("weight %q has shape %v where the network needs %v", r.Name, r.Source, r.Own)
}

// Adopt takes what fits of another network's weights, by name and shape (transfer learning); all
// else stays as it is. The head, the last dense layer, is taken too unless freshHead is set or its
// number of classes is another. Where nothing but biases fits it is an error, and nothing changes.
func (m *Model) Adopt(source []Weight, freshHead bool) (*Adoption, error) {
	byName := map[string]Weight{}
	for _, w := range source {
		if _, twice := byName[w.Name]; twice {
			return nil, fmt.Errorf("weight %q is there twice", w.Name)
		}
		byName[w.Name] = w
	}
	a, heads, values := &Adoption{}, headNames(m.specs), make([][]float32, len(m.specs))
	matches := 0 // weights that are no vectors
	for i, p := range m.specs {
		w, ok := byName[p.name]
		head := slices.Contains(heads, layerOf(p.name))
		switch {
		case ok && head && (freshHead || otherClasses(w.Shape, p.torchShape())):
			a.Head = append(a.Head, p.name)
		case !ok:
			// A convolution's or dense layer's bias comes right after its weights.
			if i > 0 && values[i-1] != nil && len(m.specs[i-1].shape) > 1 && p.name == layerOf(m.specs[i-1].name)+".bias" {
				a.Zeroed, values[i] = append(a.Zeroed, p.name), make([]float32, p.size())
			} else {
				a.Missing = append(a.Missing, p.name)
			}
		case !slices.Equal(w.Shape, p.torchShape()):
			a.Reshaped = append(a.Reshaped, Reshaped{p.name, w.Shape, p.torchShape()})
		default:
			v, err := p.load(w)
			if err != nil {
				return nil, err
			}
			a.Loaded, values[i] = append(a.Loaded, p.name), v
			if len(p.shape) > 1 {
				matches++
			}
		}
		delete(byName, p.name)
	}
	for _, w := range source {
		if _, left := byName[w.Name]; left {
			a.Unexpected = append(a.Unexpected, w.Name)
		}
	}
	if matches == 0 {
		return a, a.nothing(source)
	}
	for i, v := range values {
		if v != nil {
			m.params.List[i].Value.Upload(v, 0)
		}
	}
	m.params.Version++
	return a, nil
}

// nothing says why no weight fits.
func (a *Adoption) nothing(source []Weight) error {
	if len(a.Reshaped) > 0 {
		return fmt.Errorf("no layer fits: %v", a.Reshaped[0])
	}
	if len(a.Head) > 0 {
		return fmt.Errorf("no layer fits but the head, whose classes are others")
	}
	first := func(names []string) string { return strings.Join(names[:min(4, len(names))], ", ") }
	var theirs []string
	for _, w := range source {
		theirs = append(theirs, w.Name)
	}
	return fmt.Errorf("no layer fits: its weights are %s, …, the network's %s, …", first(theirs), first(a.Missing))
}

// otherClasses says whether two heads differ in the number of classes alone.
func otherClasses(a, b []int) bool {
	return len(a) == len(b) && len(a) > 0 && a[0] != b[0] && slices.Equal(a[1:], b[1:])
}

// layerOf is a weight's name without its last part.
func layerOf(name string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return name[:i]
	}
	return name
}

// headNames are the last dense layer of a network, or of each member of an ensemble.
func headNames(specs []param) (list []string) {
	last := map[string]string{} // by the member's prefix
	for _, p := range specs {
		if len(p.shape) == 2 {
			last[memberPrefix(p.name)] = layerOf(p.name)
		}
	}
	for _, name := range last {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

// memberPrefix is what an ensemble puts before a member's names, "" for a network that is none.
func memberPrefix(name string) string {
	rest, ok := strings.CutPrefix(name, "members.")
	if !ok {
		return ""
	}
	number, rest, _ := strings.Cut(rest, ".")
	return "members." + number + "." + memberPrefix(rest)
}
