package defenses

import "rampart/nn/device"

// mostTallies is how many steps a session keeps on the device; those after them are waited for.
const mostTallies = 1024

// counter is the device that counts for a session that may leave figures for Later, nil for none.
func (s *Session) counter() device.Counter {
	if !s.Later {
		return nil
	}
	c, _ := s.Model.Device.(device.Counter)
	return c
}

// tally leaves a step's figures on the device.
func (s *Session) tally(c device.Counter, labels []int32, m Metrics) (Metrics, error) {
	if s.tallies == nil {
		s.tallies = s.Model.New(4 * mostTallies)
	}
	err := c.Tally(s.tallies, 4*s.tallied, s.value, s.logits, labels, m.AdversarialRows, s.Model.Classes())
	s.tallied++
	m.tally = s.tallied
	return m, err
}

// Settle enters what Later left out of the metrics of the steps since the last Settle, in order. What attacks
// counted is entered in the last.
func (s *Session) Settle(steps []Metrics) error {
	counter := s.counter()
	if counter == nil || len(steps) == 0 {
		return nil
	}
	counts, err := counter.Owed()
	if err != nil {
		return err
	}
	if s.tallied > 0 {
		values := make([]float32, 4*s.tallied)
		s.tallies.Download(values, 0)
		for i := range steps {
			m := &steps[i]
			if m.tally == 0 {
				continue
			}
			v := values[4*(m.tally-1):]
			m.Loss += float64(v[0]) + float64(v[1])
			m.AdversarialCorrect += int(v[2])
			m.CleanCorrect += int(v[3])
			m.tally = 0
		}
		s.tallied = 0
	}
	last := &steps[len(steps)-1]
	last.Gradients += counts.Gradients
	last.ZeroGradients += counts.Zero
	last.BadGradients += counts.NonFinite
	return nil
}
