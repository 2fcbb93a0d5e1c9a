package cuda

import (
	"embed"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
	"sync"

	"rampart/nn/cuda/driver"
	"rampart/nn/device"
)

// The kernels, made by kernels/generate.py.
//
//go:embed kernels/*.ptx
var kernelFiles embed.FS

// files maps each kernel to its file.
var files = sync.OnceValue(func() map[string]string {
	in := map[string]string{}
	list, err := kernelFiles.ReadDir("kernels")
	if err != nil {
		panic(err)
	}
	for _, f := range list {
		text := ptxOf(f.Name())
		for _, piece := range strings.Split(string(text), ".entry ")[1:] {
			name, _, _ := strings.Cut(piece, "(")
			in[name] = f.Name()
		}
	}
	return in
})

// ptxOf returns a file's text with the zero byte that the driver wants.
var ptxOf = func(file string) []byte {
	text, err := kernelFiles.ReadFile("kernels/" + file)
	if err != nil {
		panic(err)
	}
	return append(text, 0)
}

// need loads the modules of kernels.
func (d *Device) need(names ...string) error {
	for _, name := range names {
		file, ok := files()[name]
		if !ok {
			return fmt.Errorf("no kernel %q", name)
		}
		if d.modules[file] {
			continue
		}
		m, err := d.drv.Load(ptxOf(file))
		if err != nil {
			return fmt.Errorf("kernels of %s: %w", file, err)
		}
		for kernel, in := range files() {
			if in != file {
				continue
			}
			if d.kernels[kernel], err = d.drv.Function(m, kernel); err != nil {
				return fmt.Errorf("kernel %s: %w", kernel, err)
			}
		}
		d.modules[file] = true
	}
	return nil
}

// value is one parameter of a kernel.
type value struct {
	bits uint64
	size int
}

func ptr(p driver.Pointer) value { return value{uint64(p), 8} }
func f(v float32) value          { return value{uint64(math.Float32bits(v)), 4} }
func i(v int) value              { return value{uint64(uint32(v)), 4} }
func u(v uint32) value           { return value{uint64(v), 4} }
func boolean(v bool) value {
	if v {
		return i(1)
	}
	return i(0)
}

// window is a device.Window as struct Window of kernels/common.cuh has it.
func window(w device.Window) [10]value {
	return [10]value{i(w.H), i(w.W), i(w.C), i(w.KH), i(w.KW), i(w.Stride), i(w.PadTop), i(w.PadLeft), i(w.OutH()), i(w.OutW())}
}

// grid is the shape of a launch: blocks, and threads in each.
type grid struct {
	blocks  [3]int
	threads int
}

const blockThreads = 256

// each has a thread for each of n elements.
func each(n int) grid { return grid{[3]int{ceil(n, blockThreads), 1, 1}, blockThreads} }

// warps has a warp for each row.
func warps(rows int) grid { return grid{[3]int{ceil(rows, blockThreads/32), 1, 1}, blockThreads} }

// blocks has a block for each row.
func blocks(rows int) grid { return grid{[3]int{rows, 1, 1}, blockThreads} }

// images has a block for each row, of no more threads than a row has values.
func images(rows, size int) grid {
	return grid{[3]int{rows, 1, 1}, min(32*ceil(size, 32), blockThreads)}
}

func ceil(n, by int) int { return (n + by - 1) / by }

// launch puts a kernel on the stream; need has loaded it.
func (d *Device) launch(kernel string, g grid, params ...value) {
	if !d.ok() || g.blocks[1] == 0 || g.blocks[0] == 0 { // of a Group a device may have no rows
		return
	}
	d.params = d.params[:0]
	for _, p := range params {
		for len(d.params)%p.size != 0 {
			d.params = append(d.params, 0)
		}
		if p.size == 8 {
			d.params = binary.LittleEndian.AppendUint64(d.params, p.bits)
		} else {
			d.params = binary.LittleEndian.AppendUint32(d.params, uint32(p.bits))
		}
	}
	if err := d.drv.Launch(d.kernels[kernel], g.blocks, [3]int{g.threads, 1, 1}, d.params, d.stream); err != nil {
		d.fail(fmt.Errorf("kernel %s: %w", kernel, err))
	}
}
