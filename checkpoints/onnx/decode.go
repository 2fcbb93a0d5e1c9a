package onnx

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

var errDamaged = errors.New("the file is damaged, cut off, or no ONNX file")

// fields calls f for each field of a message. f gets the bytes of length-delimited fields, and the
// number of the others.
func fields(b []byte, f func(num protowire.Number, number uint64, data []byte) error) error {
	for len(b) > 0 {
		num, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errDamaged
		}
		b = b[n:]
		var number uint64
		var data []byte
		switch kind {
		case protowire.VarintType:
			number, n = protowire.ConsumeVarint(b)
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			number = uint64(v)
		case protowire.Fixed64Type:
			number, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			data, n = protowire.ConsumeBytes(b)
			if data == nil {
				data = []byte{}
			}
		default:
			n = protowire.ConsumeFieldValue(num, kind, b)
		}
		if n < 0 {
			return errDamaged
		}
		b = b[n:]
		if err := f(num, number, data); err != nil {
			return err
		}
	}
	return nil
}

// varints appends a repeated integer, packed or not.
func varints(list []int64, number uint64, data []byte) ([]int64, error) {
	if data == nil {
		return append(list, int64(number)), nil
	}
	for len(data) > 0 {
		v, n := protowire.ConsumeVarint(data)
		if n < 0 {
			return nil, errDamaged
		}
		list, data = append(list, int64(v)), data[n:]
	}
	return list, nil
}

func floats(list []float32, number uint64, data []byte) ([]float32, error) {
	if data == nil {
		return append(list, math.Float32frombits(uint32(number))), nil
	}
	for len(data) > 0 {
		v, n := protowire.ConsumeFixed32(data)
		if n < 0 {
			return nil, errDamaged
		}
		list, data = append(list, math.Float32frombits(v)), data[n:]
	}
	return list, nil
}

func doubles(list []float64, number uint64, data []byte) ([]float64, error) {
	if data == nil {
		return append(list, math.Float64frombits(number)), nil
	}
	for len(data) > 0 {
		v, n := protowire.ConsumeFixed64(data)
		if n < 0 {
			return nil, errDamaged
		}
		list, data = append(list, math.Float64frombits(v)), data[n:]
	}
	return list, nil
}

func decodeModel(b []byte) (*modelProto, error) {
	m := &modelProto{}
	graphs := 0
	err := fields(b, func(num protowire.Number, number uint64, data []byte) (err error) {
		switch num {
		case 1:
			m.irVersion = int64(number)
		case 2:
			m.producer = string(data)
		case 3:
			m.version = string(data)
		case 7:
			graphs++
			m.graph, err = decodeGraph(data)
		case 8:
			var domain string
			var version int64
			err = fields(data, func(num protowire.Number, number uint64, data []byte) error {
				switch num {
				case 1:
					domain = string(data)
				case 2:
					version = int64(number)
				}
				return nil
			})
			if domain == "" || domain == "ai.onnx" {
				m.opset = version
			}
		case 14:
			var e entryProto
			e, err = decodeEntry(data)
			m.metadata = append(m.metadata, e)
		}
		return err
	})
	if err == nil && graphs != 1 {
		err = errDamaged
	}
	return m, err
}

func decodeEntry(b []byte) (e entryProto, err error) {
	err = fields(b, func(num protowire.Number, _ uint64, data []byte) error {
		switch num {
		case 1:
			e.key = string(data)
		case 2:
			e.value = string(data)
		}
		return nil
	})
	return e, err
}

func decodeGraph(b []byte) (g graphProto, err error) {
	err = fields(b, func(num protowire.Number, _ uint64, data []byte) error {
		switch num {
		case 1:
			n, err := decodeNode(data)
			g.nodes = append(g.nodes, n)
			return err
		case 2:
			g.name = string(data)
		case 5:
			t, err := decodeTensor(data)
			g.initializers = append(g.initializers, t)
			return err
		case 11:
			v, err := decodeValue(data)
			g.inputs = append(g.inputs, v)
			return err
		case 12:
			v, err := decodeValue(data)
			g.outputs = append(g.outputs, v)
			return err
		case 15:
			return errors.New("sparse initialisers are not supported: export dense ones")
		}
		return nil
	})
	return g, err
}

func decodeNode(b []byte) (*nodeProto, error) {
	n := &nodeProto{}
	err := fields(b, func(num protowire.Number, _ uint64, data []byte) error {
		switch num {
		case 1:
			n.inputs = append(n.inputs, string(data))
		case 2:
			n.outputs = append(n.outputs, string(data))
		case 3:
			n.name = string(data)
		case 4:
			n.op = string(data)
		case 5:
			a, err := decodeAttribute(data)
			n.attributes = append(n.attributes, a)
			return err
		case 7:
			n.domain = string(data)
		}
		return nil
	})
	return n, err
}

func decodeAttribute(b []byte) (a attributeProto, err error) {
	err = fields(b, func(num protowire.Number, number uint64, data []byte) (err error) {
		switch num {
		case 1:
			a.name = string(data)
		case 2:
			a.f = math.Float32frombits(uint32(number))
		case 3:
			a.i = int64(number)
		case 4:
			a.s = data
		case 5:
			a.t, err = decodeTensor(data)
		case 7:
			a.floats, err = floats(a.floats, number, data)
		case 8:
			a.ints, err = varints(a.ints, number, data)
		case 20:
			a.kind = int64(number)
		}
		return err
	})
	return a, err
}

func decodeTensor(b []byte) (*tensorProto, error) {
	t := &tensorProto{}
	err := fields(b, func(num protowire.Number, number uint64, data []byte) (err error) {
		switch num {
		case 1:
			t.dims, err = varints(t.dims, number, data)
		case 2:
			t.dataType = int64(number)
		case 3:
			return errors.New("tensors in segments are not supported")
		case 4:
			t.floats, err = floats(t.floats, number, data)
		case 5, 7, 11:
			t.ints, err = varints(t.ints, number, data)
		case 8:
			t.name = string(data)
		case 9:
			t.raw = data
		case 10:
			t.doubles, err = doubles(t.doubles, number, data)
		case 13:
			var e entryProto
			e, err = decodeEntry(data)
			t.external = append(t.external, e)
		case 14:
			t.outside = number == 1
		}
		return err
	})
	if err != nil && t.name != "" {
		err = fmt.Errorf("tensor %q: %w", t.name, err)
	}
	return t, err
}

// decodeValue reads the name, the type and the shape of an input or an output.
func decodeValue(b []byte) (v valueProto, err error) {
	err = fields(b, func(num protowire.Number, _ uint64, data []byte) error {
		switch num {
		case 1:
			v.name = string(data)
		case 2: // TypeProto
			return fields(data, func(num protowire.Number, _ uint64, data []byte) error {
				if num != 1 { // tensor_type
					return nil
				}
				return fields(data, func(num protowire.Number, number uint64, data []byte) (err error) {
					switch num {
					case 1:
						v.elemType = int64(number)
					case 2:
						v.shaped = true
						v.dims, err = decodeShape(data)
					}
					return err
				})
			})
		}
		return nil
	})
	return v, err
}

func decodeShape(b []byte) (dims []dimProto, err error) {
	err = fields(b, func(num protowire.Number, _ uint64, data []byte) error {
		if num != 1 {
			return nil
		}
		var d dimProto
		err := fields(data, func(num protowire.Number, number uint64, data []byte) error {
			switch num {
			case 1:
				d.value = int64(number)
			case 2:
				d.param = string(data)
			}
			return nil
		})
		dims = append(dims, d)
		return err
	})
	return dims, err
}
