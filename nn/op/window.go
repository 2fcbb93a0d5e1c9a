package op

import (
	"fmt"

	"gorgonia.org/tensor"

	"rampart/nn/device"
)

// taps calls f for every output position and, in the window's order (ky, kx), every input
// position that its window covers. Positions are y*W+x; tap is ky*KW+kx; padding is left out.
func taps(w device.Window, f func(tap, in, out int)) {
	for oy := range w.OutH() {
		for ox := range w.OutW() {
			for ky := range w.KH {
				for kx := range w.KW {
					y := oy*w.Stride - w.PadTop + ky
					x := ox*w.Stride - w.PadLeft + kx
					if 0 <= y && y < w.H && 0 <= x && x < w.W {
						f(ky*w.KW+kx, y*w.W+x, oy*w.OutW()+ox)
					}
				}
			}
		}
	}
}

// inputSize and outputSize count the values of one example.
func inputSize(w device.Window) int                { return w.H * w.W * w.C }
func outputSize(w device.Window, channels int) int { return w.OutH() * w.OutW() * channels }

// checkWindow checks that w describes a window over images of shape x.
func checkWindow(op string, x tensor.Shape, w device.Window) error {
	if w.H < 1 || w.W < 1 || w.C < 1 {
		return fmt.Errorf("%s: window is for images of %dx%dx%d, want at least 1x1x1", op, w.H, w.W, w.C)
	}
	if err := example(op, "input", x, w.H, w.W, w.C); err != nil {
		return err
	}
	if w.KH < 1 || w.KW < 1 || w.Stride < 1 {
		return fmt.Errorf("%s: kernel %dx%d with stride %d, want each at least 1", op, w.KH, w.KW, w.Stride)
	}
	if min(w.PadTop, w.PadLeft, w.PadBottom, w.PadRight) < 0 {
		return fmt.Errorf("%s: padding (top %d, left %d, bottom %d, right %d) is negative",
			op, w.PadTop, w.PadLeft, w.PadBottom, w.PadRight)
	}
	h, wd := w.H+w.PadTop+w.PadBottom, w.W+w.PadLeft+w.PadRight
	if h < w.KH || wd < w.KW {
		return fmt.Errorf("%s: kernel %dx%d is larger than the padded input %dx%d (input of shape %v); use a smaller kernel or more padding",
			op, w.KH, w.KW, h, wd, x)
	}
	return nil
}

// checkPool adds that no window may lie in the padding only.
func checkPool(op string, x tensor.Shape, w device.Window) error {
	if err := checkWindow(op, x, w); err != nil {
		return err
	}
	if max(w.PadTop, w.PadBottom) >= w.KH || max(w.PadLeft, w.PadRight) >= w.KW {
		return fmt.Errorf("%s: padding (top %d, left %d, bottom %d, right %d) must be smaller than the kernel %dx%d",
			op, w.PadTop, w.PadLeft, w.PadBottom, w.PadRight, w.KH, w.KW)
	}
	return nil
}
