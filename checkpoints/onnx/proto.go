// Package onnx reads networks from ONNX files (onnx.ai, opsets 7 to 23) into checkpoints, and writes
// checkpoints as ONNX files.
package onnx

// The messages of onnx.proto, as far as classifiers need them. Decoding and encoding are written by
// hand: the fields are few, and what a hostile file can allocate stays bounded.

type modelProto struct {
	irVersion         int64
	producer, version string
	opset             int64 // of the default domain
	graph             graphProto
	metadata          []entryProto
}

type graphProto struct {
	name            string
	nodes           []*nodeProto
	initializers    []*tensorProto
	inputs, outputs []valueProto
}

type nodeProto struct {
	name, op, domain string
	inputs, outputs  []string
	attributes       []attributeProto
}

type attributeProto struct {
	name   string
	kind   int64
	f      float32
	i      int64
	s      []byte
	t      *tensorProto
	floats []float32
	ints   []int64
}

// tensorProto holds one of raw and the typed data, or says where the data lie outside.
type tensorProto struct {
	name     string
	dims     []int64
	dataType int64
	raw      []byte
	floats   []float32
	ints     []int64 // int32_data, int64_data or uint64_data
	doubles  []float64
	external []entryProto
	outside  bool
}

type valueProto struct {
	name     string
	elemType int64
	shaped   bool
	dims     []dimProto
}

// dimProto is a number, or a name for one that is not known: both empty for neither.
type dimProto struct {
	value int64
	param string
}

type entryProto struct{ key, value string }

// Types of tensors and attributes.
const (
	typeFloat    = 1
	typeUint8    = 2
	typeInt8     = 3
	typeInt32    = 6
	typeInt64    = 7
	typeBool     = 9
	typeFloat16  = 10
	typeDouble   = 11
	typeBFloat16 = 16

	attributeFloat  = 1
	attributeInt    = 2
	attributeString = 3
	attributeTensor = 4
	attributeFloats = 6
	attributeInts   = 7
)

// typeNames serve messages.
var typeNames = map[int64]string{1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool", 10: "float16", 11: "float64", 16: "bfloat16"}
