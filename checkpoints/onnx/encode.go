package onnx

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// message is a protobuf message as it is written.
type message []byte

func (m *message) number(field protowire.Number, v int64) {
	*m = protowire.AppendVarint(protowire.AppendTag(*m, field, protowire.VarintType), uint64(v))
}

func (m *message) float(field protowire.Number, v float32) {
	*m = protowire.AppendFixed32(protowire.AppendTag(*m, field, protowire.Fixed32Type), math.Float32bits(v))
}

func (m *message) bytes(field protowire.Number, v []byte) {
	*m = protowire.AppendBytes(protowire.AppendTag(*m, field, protowire.BytesType), v)
}

func (m *message) text(field protowire.Number, v string) { m.bytes(field, []byte(v)) }

func encodeModel(p *modelProto) []byte {
	var m message
	m.number(1, p.irVersion)
	m.text(2, p.producer)
	m.bytes(7, encodeGraph(&p.graph))
	var opset message
	opset.text(1, "")
	opset.number(2, p.opset)
	m.bytes(8, opset)
	for _, e := range p.metadata {
		m.bytes(14, encodeEntry(e))
	}
	return m
}

func encodeEntry(e entryProto) (m message) {
	m.text(1, e.key)
	m.text(2, e.value)
	return m
}

func encodeGraph(g *graphProto) (m message) {
	for _, n := range g.nodes {
		m.bytes(1, encodeNode(n))
	}
	m.text(2, g.name)
	for _, t := range g.initializers {
		m.bytes(5, encodeTensor(t))
	}
	for _, v := range g.inputs {
		m.bytes(11, encodeValue(v))
	}
	for _, v := range g.outputs {
		m.bytes(12, encodeValue(v))
	}
	return m
}

func encodeNode(n *nodeProto) (m message) {
	for _, s := range n.inputs {
		m.text(1, s)
	}
	for _, s := range n.outputs {
		m.text(2, s)
	}
	m.text(3, n.name)
	m.text(4, n.op)
	for _, a := range n.attributes {
		m.bytes(5, encodeAttribute(a))
	}
	return m
}

func encodeAttribute(a attributeProto) (m message) {
	m.text(1, a.name)
	switch a.kind {
	case attributeFloat:
		m.float(2, a.f)
	case attributeInt:
		m.number(3, a.i)
	case attributeString:
		m.bytes(4, a.s)
	case attributeInts:
		for _, v := range a.ints {
			m.number(8, v)
		}
	}
	m.number(20, a.kind)
	return m
}

func encodeTensor(t *tensorProto) (m message) {
	for _, d := range t.dims {
		m.number(1, d)
	}
	m.number(2, t.dataType)
	m.text(8, t.name)
	raw := t.raw
	for _, v := range t.floats {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	for _, v := range t.ints {
		raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
	}
	m.bytes(9, raw)
	return m
}

// encodeValue writes a name, a type and a shape.
func encodeValue(v valueProto) (m message) {
	var shape, tensor, kind message
	for _, d := range v.dims {
		var dim message
		if d.param != "" {
			dim.text(2, d.param)
		} else {
			dim.number(1, d.value)
		}
		shape.bytes(1, dim)
	}
	tensor.number(1, v.elemType)
	tensor.bytes(2, shape)
	kind.bytes(1, tensor)
	m.text(1, v.name)
	m.bytes(2, kind)
	return m
}
