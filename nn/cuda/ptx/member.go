package ptx

import "rampart/nn/cuda/driver"

// member is a machine of a rack: its driver, one thread at a time.
type member struct {
	machine *Machine
	rack    *Rack
	number  int
}

func (m *member) enter() (leave func()) { m.rack.lock.Lock(); return m.rack.lock.Unlock }

// Version implements driver.Driver.
func (m *member) Version() (int, error) { return m.machine.Version() }

// Devices implements driver.Driver.
func (m *member) Devices() (int, error) { return len(m.rack.Machines), nil }

// Describe implements driver.Driver.
func (m *member) Describe(device int) (driver.Description, error) {
	if device != m.number {
		return driver.Description{}, &driver.Error{Call: "cuDeviceGet", Code: 101, Name: "CUDA_ERROR_INVALID_DEVICE"}
	}
	return m.machine.Describe(0)
}

// Retain implements driver.Driver.
func (m *member) Retain(int) (driver.Context, error) { return m.machine.own, nil }

// Graphs implements driver.Driver.
func (m *member) Graphs() bool { return true }

// Release implements driver.Driver.
func (m *member) Release(v int) error {
	defer m.enter()()
	return m.machine.Release(v)
}

// Enter implements driver.Driver.
func (m *member) Enter(c driver.Context) error {
	defer m.enter()()
	return m.machine.Enter(c)
}

// Memory implements driver.Driver.
func (m *member) Memory() (free, total uint64, err error) {
	defer m.enter()()
	return m.machine.Memory()
}

// Load implements driver.Driver.
func (m *member) Load(ptx []byte) (driver.Module, error) {
	defer m.enter()()
	return m.machine.Load(ptx)
}

// Unload implements driver.Driver.
func (m *member) Unload(v driver.Module) error {
	defer m.enter()()
	return m.machine.Unload(v)
}

// Function implements driver.Driver.
func (m *member) Function(mod driver.Module, name string) (driver.Function, error) {
	defer m.enter()()
	return m.machine.Function(mod, name)
}

// Alloc implements driver.Driver.
func (m *member) Alloc(bytes int) (driver.Pointer, error) {
	defer m.enter()()
	return m.machine.Alloc(bytes)
}

// Free implements driver.Driver.
func (m *member) Free(p driver.Pointer) error {
	defer m.enter()()
	return m.machine.Free(p)
}

// Pinned implements driver.Driver.
func (m *member) Pinned(bytes int) ([]byte, error) {
	defer m.enter()()
	return m.machine.Pinned(bytes)
}

// FreePinned implements driver.Driver.
func (m *member) FreePinned(b []byte) error {
	defer m.enter()()
	return m.machine.FreePinned(b)
}

// Upload implements driver.Driver.
func (m *member) Upload(to driver.Pointer, from []byte, s driver.Stream) error {
	defer m.enter()()
	return m.machine.Upload(to, from, s)
}

// Download implements driver.Driver.
func (m *member) Download(to []byte, from driver.Pointer, s driver.Stream) error {
	defer m.enter()()
	return m.machine.Download(to, from, s)
}

// Copy implements driver.Driver.
func (m *member) Copy(to, from driver.Pointer, bytes int, s driver.Stream) error {
	defer m.enter()()
	return m.machine.Copy(to, from, bytes, s)
}

// CopyPeer implements driver.Driver.
func (m *member) CopyPeer(to driver.Pointer, toContext driver.Context, from driver.Pointer, fromContext driver.Context, bytes int, s driver.Stream) error {
	defer m.enter()()
	return m.machine.CopyPeer(to, toContext, from, fromContext, bytes, s)
}

// Clear implements driver.Driver.
func (m *member) Clear(to driver.Pointer, bytes int, s driver.Stream) error {
	defer m.enter()()
	return m.machine.Clear(to, bytes, s)
}

// NewStream implements driver.Driver.
func (m *member) NewStream() (driver.Stream, error) {
	defer m.enter()()
	return m.machine.NewStream()
}

// CloseStream implements driver.Driver.
func (m *member) CloseStream(s driver.Stream) error {
	defer m.enter()()
	return m.machine.CloseStream(s)
}

// Synchronize implements driver.Driver.
func (m *member) Synchronize(s driver.Stream) error {
	defer m.enter()()
	return m.machine.Synchronize(s)
}

// NewEvent implements driver.Driver.
func (m *member) NewEvent() (driver.Event, error) {
	defer m.enter()()
	return m.machine.NewEvent()
}

// CloseEvent implements driver.Driver.
func (m *member) CloseEvent(e driver.Event) error {
	defer m.enter()()
	return m.machine.CloseEvent(e)
}

// Record implements driver.Driver.
func (m *member) Record(e driver.Event, s driver.Stream) error {
	defer m.enter()()
	return m.machine.Record(e, s)
}

// Await implements driver.Driver.
func (m *member) Await(e driver.Event) error {
	defer m.enter()()
	return m.machine.Await(e)
}

// Elapsed implements driver.Driver.
func (m *member) Elapsed(from, to driver.Event) (float32, error) {
	defer m.enter()()
	return m.machine.Elapsed(from, to)
}

// WaitEvent implements driver.Driver.
func (m *member) WaitEvent(s driver.Stream, e driver.Event) error {
	defer m.enter()()
	return m.machine.WaitEvent(s, e)
}

// Launch implements driver.Driver.
func (m *member) Launch(f driver.Function, grid, block [3]int, params []byte, s driver.Stream) error {
	defer m.enter()()
	return m.machine.Launch(f, grid, block, params, s)
}

// Capture implements driver.Driver.
func (m *member) Capture(s driver.Stream) error {
	defer m.enter()()
	return m.machine.Capture(s)
}

// Captured implements driver.Driver.
func (m *member) Captured(s driver.Stream) (driver.Graph, error) {
	defer m.enter()()
	return m.machine.Captured(s)
}

// LaunchGraph implements driver.Driver.
func (m *member) LaunchGraph(g driver.Graph, s driver.Stream) error {
	defer m.enter()()
	return m.machine.LaunchGraph(g, s)
}

// CloseGraph implements driver.Driver.
func (m *member) CloseGraph(g driver.Graph) error {
	defer m.enter()()
	return m.machine.CloseGraph(g)
}

var _ driver.Driver = (*member)(nil)
