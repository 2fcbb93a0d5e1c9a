package job

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"rampart/attacks"
	"rampart/configs"
	"rampart/nn/registry"
)

// Comparison is a config that sets strategies side by side: those of other configs, all measured
// alike.
type Comparison struct {
	Name    string     `toml:"-"` // of the file
	Compare Strategies `toml:"compare"`
	// Eval is how each network is measured, in the place of its own config's [eval].
	Eval Evaluation `toml:"eval"`

	strategies []strategy
	threat     attacks.Threat
}

// Strategies are the configs to compare, and what is laid over them.
type Strategies struct {
	// Configs are named as -config names one; a strategy is called like its file.
	Configs []string `toml:"configs"`
	// Set holds overrides for all of them, "key=value"; Also further ones by strategy.
	Set  []string            `toml:"set"`
	Also map[string][]string `toml:"also"`
	// Seed takes the place of the configs' own; with Repeat, that many seeds from it on.
	Seed   uint64 `toml:"seed"`
	Repeat int    `toml:"repeat"`
	// Claim is the threat model of the comparison. Where it is not set, it is the one that all strategies
	// train against.
	Claim
	// TransferN is the number of test images behind the matrix of transfer; 0 leaves it out.
	TransferN int `toml:"transfer_n"`
}

// strategy is a config of the comparison with what is laid over it.
type strategy struct {
	name string
	cfg  *Config
}

// Validate reports strategies that cannot be compared.
func (s Strategies) Validate() error {
	if len(s.Configs) == 0 {
		return registry.Errorf("configs", "name the configs to compare, such as [\"standard\", \"madry\"]")
	}
	var names []string
	for _, c := range s.Configs {
		name := strategyName(c)
		if name == "" {
			return registry.Errorf("configs", "an empty name: is there a comma too many?")
		}
		if slices.Contains(names, name) {
			return registry.Errorf("configs", "two strategies are named %q: rename a file", name)
		}
		names = append(names, name)
	}
	for _, name := range sortedKeys(s.Also) {
		if !slices.Contains(names, name) {
			return registry.Errorf("also", "%w", registry.Unknown("strategy", name, names))
		}
	}
	if s.Repeat < 1 || s.Repeat > 100 {
		return registry.Errorf("repeat", "%d must lie between 1 and 100", s.Repeat)
	}
	if s.TransferN < 0 {
		return registry.Errorf("transfer_n", "%d must not be negative (0 leaves the matrix out)", s.TransferN)
	}
	return nil
}

func strategyName(config string) string {
	if config = strings.TrimSpace(config); config == "" {
		return ""
	}
	return strings.TrimSuffix(filepath.Base(config), ".toml")
}

// LoadComparison finds and reads what is to be compared: one config with a table [compare], or a
// list of configs, which are measured then as the first one's [eval] says. set holds "key=value"
// overrides: those of compare.* and, with a table [compare], of eval.* are for the comparison, all
// others for each strategy.
func LoadComparison(names, set []string) (*Comparison, error) {
	c := &Comparison{Name: "compare", Compare: Strategies{Seed: 1, Repeat: 1, TransferN: 200}, Eval: defaultConfig().Eval}
	file, own, err := comparisonFile(names)
	if err != nil {
		return nil, &UsageError{err}
	}
	var ours, theirs []string
	for _, s := range set {
		if strings.HasPrefix(s, "compare.") || own && strings.HasPrefix(s, "eval.") {
			ours = append(ours, s)
		} else {
			theirs = append(theirs, s)
		}
	}
	if own {
		c.Name = file.Name
	} else {
		c.Compare.Configs = names
	}
	if err := configs.Decode(file, ours, c); err != nil {
		return nil, &UsageError{err}
	}
	for _, config := range c.Compare.Configs {
		s := strategy{name: strategyName(config)}
		over := slices.Concat(c.Compare.Set, c.Compare.Also[s.name], theirs, []string{fmt.Sprintf("seed=%d", c.Compare.Seed)})
		if s.cfg, err = Load(strings.TrimSpace(config), over); err != nil {
			return nil, fmt.Errorf("strategy %q: %w", s.name, err)
		}
		c.strategies = append(c.strategies, s)
	}
	if !own {
		c.Eval = c.strategies[0].cfg.Eval
	}
	if own && c.Eval.Claim.Norm != "" {
		return nil, &UsageError{fmt.Errorf("%s: eval.norm: the threat model of a comparison is compare.norm and compare.eps", file.Path)}
	}
	if err := c.agree(); err != nil {
		return nil, &UsageError{err}
	}
	if own {
		c.Eval.named = configs.Named(file, ours)
	}
	c.Eval.settle(c.threat)
	return c, nil
}

// comparisonFile is the file with the table [compare], or an empty one for a list of configs.
func comparisonFile(names []string) (f *configs.File, own bool, err error) {
	list := &configs.File{Path: "-config " + strings.Join(names, ",")}
	if len(names) != 1 {
		return list, false, nil
	}
	f, err = configs.Find(names[0])
	if err != nil || !isComparison(f) {
		return list, false, err
	}
	return f, true, nil
}

// isComparison says whether a config compares others. One that is no TOML is none.
func isComparison(f *configs.File) bool {
	var any map[string]any
	meta, err := toml.NewDecoder(bytes.NewReader(f.Data)).Decode(&any)
	return err == nil && meta.IsDefined("compare")
}

// agree reports strategies that cannot be measured alike, and settles the threat model.
func (c *Comparison) agree() error {
	first := c.strategies[0]
	for _, s := range c.strategies[1:] {
		a, b := encoded(first.cfg.Data.Source), encoded(s.cfg.Data.Source)
		if a != b {
			return fmt.Errorf("%q and %q have different data sets, so that their figures cannot be compared:\n%s", first.name, s.name, difference(a, b))
		}
	}
	if c.threat = c.Compare.Claim.threat(); c.threat.Norm != "" {
		return nil
	}
	from := ""
	for _, s := range c.strategies {
		switch threat := s.cfg.threat(); {
		case s.cfg.Defense.Value.Attack() == nil:
		case from == "":
			c.threat, from = threat, s.name
		case threat != c.threat:
			return fmt.Errorf("%q is for %v, %q for %v: say under which threat model they are compared, by compare.norm and compare.eps", from, c.threat, s.name, threat)
		}
	}
	if from == "" {
		c.threat = first.cfg.threat()
	}
	return nil
}

// attacks are the columns' attacks, in the order in which a run measures them.
func (c *Comparison) attacks() (list []attacks.Attack) {
	for _, a := range c.Eval.Attacks {
		list = append(list, a.Value)
	}
	return append(list, c.Eval.Protocol.attacks(c.threat)...)
}

// columns names the attacks apart.
func (c *Comparison) columns() []string {
	count, names := map[string]int{}, []string{}
	for _, a := range c.attacks() {
		count[a.Label()]++
	}
	for _, a := range c.attacks() {
		name := a.Label()
		if count[name] > 1 {
			name += " (" + a.Threat().String() + ")"
		}
		for i := 2; slices.Contains(names, name); i++ {
			name = fmt.Sprintf("%s #%d", a.Label(), i)
		}
		names = append(names, name)
	}
	return names
}

// clone copies a config, so that no two runs share an attack or a defence.
func clone(c *Config) (*Config, error) { return parsed(c.Name, encoded(c)) }

// parsed reads a config as a run's folder or checkpoint keeps it.
func parsed(name, text string) (*Config, error) {
	c := defaultConfig()
	c.Name = name
	return c, configs.Decode(&configs.File{Path: name, Data: []byte(text)}, nil, c)
}

// encoded is a config, or a part of one, in TOML.
func encoded(v any) string {
	text, err := configs.Encode(v)
	if err != nil {
		panic(err) // every config that can be decoded can be encoded
	}
	return string(text)
}
