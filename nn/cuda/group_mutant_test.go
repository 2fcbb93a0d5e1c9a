package cuda

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rampart/nn"
	"rampart/nn/cuda/driver"
	"rampart/nn/cuda/nccl"
	"rampart/nn/cuda/ptx"
	"rampart/nn/device"
	"rampart/nn/rng"
)

// tampered is a library in which one collective goes wrong.
type tampered struct {
	*ptx.Rack
	skip nccl.Type // is not added up
}

func (l tampered) AllReduce(send, recv driver.Pointer, n int, t nccl.Type, c nccl.Comm, s driver.Stream) error {
	if t == l.skip {
		return nil
	}
	return l.Rack.AllReduce(send, recv, n, t, c, s)
}

// meddler is a driver that changes the parameters of a kernel's launches.
type meddler struct {
	driver.Driver
	lock   sync.Mutex
	names  map[driver.Function]string
	kernel string
	change func(params []byte)
	deaf   bool // streams wait for no event
}

func (m *meddler) WaitEvent(s driver.Stream, e driver.Event) error {
	if m.deaf {
		return nil
	}
	return m.Driver.WaitEvent(s, e)
}

func (m *meddler) Function(in driver.Module, name string) (driver.Function, error) {
	f, err := m.Driver.Function(in, name)
	m.lock.Lock()
	defer m.lock.Unlock()
	m.names[f] = name
	return f, err
}

func (m *meddler) Launch(f driver.Function, grid, block [3]int, params []byte, s driver.Stream) error {
	if m.names[f] == m.kernel {
		params = slices.Clone(params)
		m.change(params)
	}
	return m.Driver.Launch(f, grid, block, params, s)
}

// TestGroupMutants: mistakes that several devices invite are caught by the comparison with one.
func TestGroupMutants(t *testing.T) {
	run := groupRuns["momentum, uneven batches"]
	single, _ := open(t, 1)
	want, err := run.train(single)
	if err != nil {
		t.Fatal(err)
	}
	word := func(p []byte, at int) int { return int(binary.LittleEndian.Uint32(p[at:])) }
	set := func(p []byte, at, v int) { binary.LittleEndian.PutUint32(p[at:], uint32(v)) }
	for _, m := range []struct {
		name   string
		skip   nccl.Type
		kernel string
		change func(params []byte)
	}{
		{"nothing", 0, "", nil},
		{"gradients that are not added across devices", nccl.Float32, "", nil},
		{"sums of batch normalisations that are not", nccl.Float64, "", nil},
		// logits, labels, soft, value, grad: 40 bytes; t, smoothing, sign, scale, classes, rows
		{"a mean over a device's own rows", 0, "loss_cross_entropy", func(p []byte) {
			if word(p, 52) != int(math.Float32bits(1)) { // of training
				set(p, 52, int(math.Float32bits(1/float32(word(p, 60)))))
			}
		}},
		{"the variance of a device's own positions", 0, "norm_stats_of", func(p []byte) { set(p, 8, word(p, 8)/2) }},
		{"a gradient through a device's own mean", 0, "norm_input_grad", func(p []byte) { set(p, 48, word(p, 48)/2) }},
		{"masks by a device's own rows", 0, "dropout", func(p []byte) { set(p, 36, 0) }},
		{"the next row's image", 0, "attack_start_l2", func(p []byte) { set(p, 0, word(p, 0)+4*groupSpec.Input.Size()) }},
	} {
		rack := ptx.NewRack(1, 2)
		var devices []*Device
		for k := range 2 {
			d, err := New(&meddler{Driver: rack.Driver(k), names: map[driver.Function]string{}, kernel: m.kernel, change: m.change}, k)
			if err != nil {
				t.Fatal(err)
			}
			devices = append(devices, d)
		}
		g, err := NewGroup(devices, tampered{rack, m.skip})
		if err != nil {
			t.Fatal(err)
		}
		got, err := run.train(g)
		if err == nil {
			err = got.near(want)
		}
		if m.name == "nothing" && err != nil {
			t.Errorf("without a mistake: %v", err)
		} else if m.name != "nothing" && err == nil {
			t.Errorf("nothing notices %s", m.name)
		} else if testing.Verbose() {
			t.Logf("%s: %v", m.name, err)
		}
	}
}

// TestGroupCopies: a copy between devices has the values of when it was asked for, whichever device is ahead.
// Where one of the two does not wait for the other, this notices.
func TestGroupCopies(t *testing.T) {
	for deaf := -1; deaf < 2; deaf++ {
		rack := ptx.NewRack(1, 2)
		g := groupOf(t, rack, rack)
		if deaf >= 0 {
			g.devices[deaf].drv = &meddler{Driver: rack.Driver(deaf), names: map[driver.Function]string{}, deaf: true}
		}
		x := g.New(4).(*spread)
		x.readBy([]span{{0, 1}, {1, 1}}, 4) // all on device 0
		var got [2][]float32
		for i, ahead := range []int{1, 0} {
			x.Upload([]float32{1, 2, 3, float32(4 * i)}, 0)
			x.fetch(1, span{0, 4})
			x.parts[0].Upload([]float32{-1, -2, -3, -4}, 0)
			leave := g.devices[ahead].enter()
			g.devices[ahead].wait()
			leave()
			got[i] = values(x.parts[1])
		}
		right := slices.Equal(got[0], []float32{1, 2, 3, 0}) && slices.Equal(got[1], []float32{1, 2, 3, 4})
		if right != (deaf < 0) {
			t.Errorf("device %d waits for no other: the copies are %v", deaf, got)
		}
	}
}

// TestGroupFails: a device that fails where others wait for it lets go of them.
func TestGroupFails(t *testing.T) {
	rack := ptx.NewRack(1, 2)
	g := groupOf(t, rack, rack)
	m, err := nn.Build(groupSpec, g, 4, rng.New(1, "weights"))
	if err != nil {
		t.Fatal(err)
	}
	g.devices[1].drv = refuser{rack.Driver(1)}
	x, labels, _ := groupData(4)
	images := g.New(len(x))
	images.Upload(x, 0)
	call := &device.Call{Rows: 4, X: images, Loss: nn.TRADES{Beta: 1}, Labels: labels, Scale: 1}
	begun := time.Now()
	for range 2 {
		if err := m.ParamGrad(call); err == nil || !strings.Contains(err.Error(), "no launches today") {
			t.Fatalf("error %v", err)
		}
	}
	if time.Since(begun) > rack.Patience/2 {
		t.Error("the other device waited")
	}
}

// refuser launches nothing.
type refuser struct{ driver.Driver }

func (refuser) Launch(driver.Function, [3]int, [3]int, []byte, driver.Stream) error {
	return &driver.Error{Call: "cuLaunchKernel", Code: 1, Text: "no launches today"}
}
