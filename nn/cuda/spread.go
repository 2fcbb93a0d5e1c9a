package cuda

import (
	"runtime"

	"rampart/nn/cuda/driver"
	"rampart/nn/device"
)

// spread is a tensor of a Group: memory for all values on every device, of which each holds some. Weights are
// held by all, rows by the device that computes them. What a device needs and does not hold is fetched.
type spread struct {
	group *Group
	n     int
	parts []*Tensor
	held  []spans // by device; together all values
	read  []spans // by device: as rows, by the last program that did; nil for none
}

// New implements device.Device.
func (g *Group) New(n int) device.Tensor {
	t := &spread{group: g, n: n}
	for _, d := range g.devices {
		t.parts, t.held = append(t.parts, d.New(n).(*Tensor)), append(t.held, whole(n))
	}
	return t
}

// Len implements device.Tensor.
func (t *spread) Len() int { return t.n }

// homes says which device new values go to: to that which reads them as rows, and otherwise to all.
func (t *spread) homes(where span) []spans {
	to := make([]spans, len(t.parts))
	if t.read == nil {
		for k := range to {
			to[k] = spans{where}
		}
		return to
	}
	rest := spans{where}
	for k, rows := range t.read {
		to[k] = rows.within(where)
		for _, s := range to[k] {
			rest = rest.without(s)
		}
	}
	for _, s := range rest {
		to[0] = to[0].with(s)
	}
	return to
}

// put is an upload by one of two ways.
func (t *spread) put(src []float32, at int, way func(part *Tensor, src []float32, at int)) {
	where := span{at, at + min(len(src), t.n-at)}
	if where.from >= where.to {
		return
	}
	for k, to := range t.homes(where) {
		t.held[k] = t.held[k].without(where)
		for _, s := range to {
			way(t.parts[k], src[s.from-at:s.to-at], s.from)
			t.held[k] = t.held[k].with(s)
		}
	}
}

// Upload implements device.Tensor.
func (t *spread) Upload(src []float32, at int) { t.put(src, at, (*Tensor).Upload) }

// UploadAhead implements device.Distant.
func (t *spread) UploadAhead(src []float32) { t.put(src, 0, (*Tensor).uploadAhead) }

// Download implements device.Tensor. It waits for all work of all devices.
func (t *spread) Download(dst []float32, at int) {
	t.group.settle()
	rest := spans{}.with(span{at, at + min(len(dst), t.n-at)})
	for k, part := range t.parts {
		for _, want := range rest {
			for _, s := range t.held[k].within(want) {
				part.Download(dst[s.from-at:s.to-at], s.from)
				rest = rest.without(s)
			}
		}
	}
	runtime.KeepAlive(t)
}

// CopyFrom implements device.Distant. No value changes its device.
func (t *spread) CopyFrom(src device.Tensor) {
	from := src.(*spread)
	where := span{0, min(t.n, from.n)}
	for k, part := range t.parts {
		t.held[k] = t.held[k].without(where)
		for _, s := range from.held[k].within(where) {
			part.view(s).CopyFrom(from.parts[k].view(s))
			t.held[k] = t.held[k].with(s)
		}
	}
	runtime.KeepAlive(t)
	runtime.KeepAlive(src)
}

// view is a part of a tensor, to be used while that is held.
func (t *Tensor) view(s span) *Tensor {
	return &Tensor{dev: t.dev, n: s.to - s.from, block: &block{at: t.at + driver.Pointer(4*s.from), bytes: 4 * (s.to - s.from), ahead: t.ahead}}
}

// fetch brings values to a device that does not hold them.
func (t *spread) fetch(k int, where span) {
	if h := t.held[k]; len(h) == 1 && h[0].from <= where.from && where.to <= h[0].to {
		return
	}
	missing := spans{}.with(where)
	for _, s := range t.held[k].within(where) {
		missing = missing.without(s)
	}
	for j := range t.parts {
		for _, want := range missing {
			for _, s := range t.held[j].within(want) {
				t.copyPeer(j, k, s)
				t.held[k] = t.held[k].with(s)
				missing = missing.without(s)
			}
		}
	}
}

// copyPeer copies values from device j to device k, after what both were asked before and before what they are
// asked next.
func (t *spread) copyPeer(j, k int, s span) {
	from, to := t.parts[j], t.parts[k]
	src, dst := from.dev, to.dev
	src.do(func() error {
		from.use(src)
		return src.drv.Record(src.link.mark, src.stream)
	})
	dst.do(func() error { to.use(dst); return dst.drv.WaitEvent(dst.stream, src.link.mark) })
	dst.do(func() error {
		return dst.drv.CopyPeer(to.at+driver.Pointer(4*s.from), dst.context, from.at+driver.Pointer(4*s.from), src.context, 4*(s.to-s.from), dst.stream)
	})
	dst.do(func() error { return dst.drv.Record(dst.link.mark, dst.stream) })
	src.do(func() error { return src.drv.WaitEvent(src.stream, dst.link.mark) })
}

// do calls the driver, unless something has failed.
func (d *Device) do(call func() error) {
	defer d.enter()()
	if d.ok() {
		d.fail(call())
	}
}

// wrote enters that each device has computed its rows of size values.
func (t *spread) wrote(rows []span, size int) {
	for k, r := range rows {
		for j := range t.held {
			t.held[j] = t.held[j].without(r.times(size))
		}
		t.held[k] = t.held[k].with(r.times(size))
	}
}

// same enters that all devices have computed all of it, alike.
func (t *spread) same() {
	for k := range t.held {
		t.held[k] = whole(t.n)
	}
}

// readBy brings each device its rows of size values, and lets later ones go there at once.
func (t *spread) readBy(rows []span, size int) {
	t.read = make([]spans, len(rows))
	for k, r := range rows {
		t.fetch(k, r.times(size))
		t.read[k] = spans{}.with(r.times(size))
	}
}

var _ device.Distant = (*spread)(nil)
