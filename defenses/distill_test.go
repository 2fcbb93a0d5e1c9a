package defenses_test

import (
	"math"
	"reflect"
	"testing"

	"rampart/defenses"
	"rampart/nn"
	"rampart/nn/device"
)

// logits are those of a network without a hidden layer, in float64.
func logits(m *nn.Model, x []float32) [][]float64 {
	w, b := m.Weights()[0].Data, m.Weights()[1].Data
	var z [][]float64
	for r := range len(x) / pixels {
		row := make([]float64, classes)
		for o := range row {
			row[o] = float64(b[o])
			for i := range pixels {
				row[o] += float64(w[o*pixels+i]) * float64(x[r*pixels+i])
			}
		}
		z = append(z, row)
	}
	return z
}

func softmax(z []float64, temperature float64) []float64 {
	p, sum := make([]float64, len(z)), 0.0
	for j, v := range z {
		p[j] = math.Exp(v / temperature)
		sum += p[j]
	}
	for j := range p {
		p[j] /= sum
	}
	return p
}

// TestDistilledGradient: on a linear network the gradient is (softmax(z/T)-softmax(t/T))/T times
// the image; the student sees the mixed batch, the teacher the clean images.
func TestDistilledGradient(t *testing.T) {
	for _, temperature := range []float32{1, 5, 20} {
		m, teacher, b := model(t, 2, 1, nn.MLP{}), model(t, 2, 2, nn.MLP{}), batch(3)
		d, _ := painting(0.5)
		s := session(m, 0)
		s.Teacher, s.Temperature = teacher, temperature
		before := teacher.Weights()
		step(t, d, s, b)
		x := paintedBatch(b, 5)
		want := make([]float32, (pixels+1)*classes)
		z, soft := logits(m, x), logits(teacher, b.X)
		for r := range rows {
			p, q := softmax(z[r], float64(temperature)), softmax(soft[r], float64(temperature))
			for o := range classes {
				g := (p[o] - q[o]) / float64(temperature) / rows
				for i := range pixels {
					want[o*pixels+i] += float32(g * float64(x[r*pixels+i]))
				}
				want[classes*pixels+o] += float32(g)
			}
		}
		if d := farthest(gradient(m), want); d > 1e-6 {
			t.Errorf("temperature %v: the gradient is off by %v", temperature, d)
		}
		if err := m.Update(device.SGD{}, 0.1); err != nil {
			t.Fatal(err)
		}
		step(t, d, s, b)
		if !reflect.DeepEqual(teacher.Weights(), before) {
			t.Error("the teacher has changed")
		}
	}
}

// TestSureTeacher: at temperature 1 a teacher that is sure of itself stands for labels.
func TestSureTeacher(t *testing.T) {
	m, teacher, b := model(t, 2, 1, nn.MLP{Hidden: []int{12}}), model(t, 2, 2, nn.MLP{}), batch(3)
	w := teacher.Weights()
	for i := range w[0].Data {
		w[0].Data[i] *= 1000
	}
	if err := teacher.SetWeights(w); err != nil {
		t.Fatal(err)
	}
	for r, z := range logits(teacher, b.X) {
		for j, p := range softmax(z, 50) {
			if p > 0.5 {
				b.Labels[r] = int32(j)
			}
		}
	}
	s := session(m, 0)
	s.Teacher, s.Temperature = teacher, 1
	step(t, &defenses.Natural{}, s, b)
	got := gradient(m)
	if d := farthest(got, byHand(t, m, b.X, b.Labels, nn.CrossEntropy{})); d > 1e-6 {
		t.Errorf("the gradient differs from that of the labels by %v", d)
	}
}

// TestTemperature: a teacher's own training divides its logits by the temperature.
func TestTemperature(t *testing.T) {
	m, b := model(t, 2, 1, nn.MLP{Hidden: []int{12}}), batch(3)
	s := session(m, 0)
	s.Temperature = 20
	step(t, &defenses.Natural{}, s, b)
	got := gradient(m)
	if d := farthest(got, byHand(t, m, b.X, b.Labels, nn.CrossEntropy{Temperature: 20})); d != 0 {
		t.Errorf("the gradient is off by %v", d)
	}
	if d := farthest(got, byHand(t, m, b.X, b.Labels, nn.CrossEntropy{})); d < 1e-3 {
		t.Errorf("the temperature makes a difference of only %v", d)
	}
}
