package pth

import (
	"errors"
	"fmt"
)

// check reports a tensor that reaches beyond its storage.
func (a *array) check() error {
	if len(a.shape) != len(a.stride) {
		return fmt.Errorf("a tensor of shape %v and strides %v: the file is damaged", a.shape, a.stride)
	}
	if a.offset < 0 || a.offset > a.to-a.from {
		return errors.New("a tensor begins outside of its storage: the file is damaged")
	}
	last, room := int64(0), a.to-a.from-a.offset // numbers from the first one on
	for i, d := range a.shape {
		if d == 0 {
			return nil
		}
		if s := a.stride[i]; s > 0 && (d-1) > (room-last)/s {
			return fmt.Errorf("a tensor of shape %v reaches beyond its storage: the file is damaged", a.shape)
		} else {
			last += (d - 1) * s
		}
	}
	if last >= room {
		return fmt.Errorf("a tensor of shape %v reaches beyond its storage: the file is damaged", a.shape)
	}
	return nil
}

// elements is the number of values, or limit+1 where it is more than limit.
func (a *array) elements(limit int64) int64 {
	n := int64(1)
	for _, d := range a.shape {
		if d == 0 {
			return 0
		}
	}
	for _, d := range a.shape {
		if n > limit/d {
			return limit + 1
		}
		n *= d
	}
	return n
}

// values lays n values out in row-major order.
func (a *array) values(n int64) []float32 {
	if n == 0 {
		return []float32{}
	}
	data := a.storage.data[a.from+a.offset:]
	if a.contiguous() {
		return data[:n:n]
	}
	out, index := make([]float32, 0, n), make([]int64, len(a.shape))
	for at := int64(0); ; {
		out = append(out, data[at])
		i := len(index) - 1
		for ; i >= 0; i-- {
			at += a.stride[i]
			if index[i]++; index[i] < a.shape[i] {
				break
			}
			at -= index[i] * a.stride[i]
			index[i] = 0
		}
		if i < 0 {
			return out
		}
	}
}

func (a *array) contiguous() bool {
	want := int64(1)
	for i := len(a.shape) - 1; i >= 0; i-- {
		if a.shape[i] != 1 && a.stride[i] != want {
			return false
		}
		want *= a.shape[i]
	}
	return true
}
