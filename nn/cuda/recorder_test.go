package cuda

import "rampart/nn/cuda/driver"

// recorder is a driver of a device that does nothing but remember what it is asked for.
type recorder struct {
	names     []string
	launches  []string // of kernels, and of graphs
	next      driver.Pointer
	capturing bool
}

func (r *recorder) Version() (int, error) { return 12000, nil }
func (r *recorder) Devices() (int, error) { return 1, nil }
func (r *recorder) Describe(int) (driver.Description, error) {
	return driver.Description{Name: "recorder", Major: 8}, nil
}
func (r *recorder) Retain(int) (driver.Context, error)          { return 1, nil }
func (r *recorder) Release(int) error                           { return nil }
func (r *recorder) Enter(driver.Context) error                  { return nil }
func (r *recorder) Memory() (free, total uint64, err error)     { return 1 << 40, 1 << 40, nil }
func (r *recorder) Load([]byte) (driver.Module, error)          { return 1, nil }
func (r *recorder) Unload(driver.Module) error                  { return nil }
func (r *recorder) Free(driver.Pointer) error                   { return nil }
func (r *recorder) Pinned(bytes int) ([]byte, error)            { return make([]byte, bytes), nil }
func (r *recorder) FreePinned([]byte) error                     { return nil }
func (r *recorder) NewStream() (driver.Stream, error)           { return 1, nil }
func (r *recorder) CloseStream(driver.Stream) error             { return nil }
func (r *recorder) Synchronize(driver.Stream) error             { return nil }
func (r *recorder) NewEvent() (driver.Event, error)             { return 1, nil }
func (r *recorder) CloseEvent(driver.Event) error               { return nil }
func (r *recorder) Record(driver.Event, driver.Stream) error    { return nil }
func (r *recorder) Await(driver.Event) error                    { return nil }
func (r *recorder) WaitEvent(driver.Stream, driver.Event) error { return nil }
func (r *recorder) Elapsed(_, _ driver.Event) (float32, error)  { return 1, nil }
func (r *recorder) Upload(driver.Pointer, []byte, driver.Stream) error {
	return nil
}
func (r *recorder) Download([]byte, driver.Pointer, driver.Stream) error { return nil }
func (r *recorder) Copy(_, _ driver.Pointer, _ int, _ driver.Stream) error {
	return nil
}
func (r *recorder) CopyPeer(driver.Pointer, driver.Context, driver.Pointer, driver.Context, int, driver.Stream) error {
	return nil
}
func (r *recorder) Clear(driver.Pointer, int, driver.Stream) error { return nil }

func (r *recorder) Function(_ driver.Module, name string) (driver.Function, error) {
	r.names = append(r.names, name)
	return driver.Function(len(r.names)), nil
}

func (r *recorder) Alloc(bytes int) (driver.Pointer, error) {
	r.next += driver.Pointer(bytes+255) &^ 255
	return r.next, nil
}

func (r *recorder) Launch(f driver.Function, _, _ [3]int, _ []byte, _ driver.Stream) error {
	if !r.capturing {
		r.launches = append(r.launches, r.names[f-1])
	}
	return nil
}

func (r *recorder) Graphs() bool { return true }

func (r *recorder) Capture(driver.Stream) error { r.capturing = true; return nil }

func (r *recorder) Captured(driver.Stream) (driver.Graph, error) { r.capturing = false; return 1, nil }

func (r *recorder) LaunchGraph(driver.Graph, driver.Stream) error {
	r.launches = append(r.launches, "a graph")
	return nil
}

func (r *recorder) CloseGraph(driver.Graph) error { return nil }
