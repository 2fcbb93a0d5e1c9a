package checkpoints

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// The container is safetensors (github.com/huggingface/safetensors): the length of the header in
// 8 bytes, little-endian; the header, a JSON object padded with spaces to a multiple of 8; the
// values. Its metadata holds strings only; ours are
//
//	"format":  "pt", as PyTorch's own tools write
//	"rampart": what the file is: "checkpoint" or "state"
//	"sha256":  64 lower-case digits: the SHA-256 of the whole file, the 64 digits read as zeros
//	others:    the contents of Meta or State, as JSON; "config" is plain TOML
//
// The checksum thus covers metadata, names, shapes, offsets and values, and every single bit.

const metadataKey = "__metadata__"

var (
	sumKey = []byte(`"sha256":"`) // within a JSON string its quotes would be escaped
	noSum  = strings.Repeat("0", 2*sha256.Size)
)

// entry is what the header says about a tensor.
type entry struct {
	Type    string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// writeContainer writes tensors in their order, one after the other.
func writeContainer(w io.Writer, metadata map[string]string, tensors []Tensor) error {
	head, err := encodeHeader(metadata, tensors)
	if err != nil {
		return err
	}
	sum := sha256.New()
	if err := writeAll(sum, head, tensors); err != nil {
		return err
	}
	at := bytes.Index(head, sumKey) + len(sumKey)
	hex.Encode(head[at:], sum.Sum(nil))
	return writeAll(w, head, tensors)
}

func writeAll(w io.Writer, head []byte, tensors []Tensor) error {
	if _, err := w.Write(head); err != nil {
		return err
	}
	for _, t := range tensors {
		if err := writeFloats(w, t.Data); err != nil {
			return err
		}
	}
	return nil
}

// encodeHeader returns the length and the header, with zeros for the checksum.
func encodeHeader(metadata map[string]string, tensors []Tensor) ([]byte, error) {
	all := map[string]string{"format": "pt", "sha256": noSum}
	for key, value := range metadata {
		if !utf8.ValidString(value) {
			return nil, fmt.Errorf("metadata %q is not valid UTF-8", key)
		}
		all[key] = value
	}
	text, err := json.Marshal(all) // sorts the keys
	if err != nil {
		return nil, err
	}
	head := append(make([]byte, 8), `{"`+metadataKey+`":`...)
	head = append(head, text...)
	offset, seen := int64(0), map[string]bool{metadataKey: true}
	for _, t := range tensors {
		n, err := elements(t.Shape)
		switch {
		case t.Name == "" || seen[t.Name] || !utf8.ValidString(t.Name):
			return nil, fmt.Errorf("the name of tensor %q is empty, taken or not valid UTF-8", t.Name)
		case err != nil:
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		case n != int64(len(t.Data)):
			return nil, fmt.Errorf("tensor %q of shape %v has %d values, want %d", t.Name, t.Shape, len(t.Data), n)
		}
		seen[t.Name] = true
		e := entry{"F32", append([]int{}, t.Shape...), [2]int64{offset, offset + 4*n}}
		offset = e.Offsets[1]
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, err
		}
		if text, err = json.Marshal(e); err != nil {
			return nil, err
		}
		head = append(append(append(append(head, ','), name...), ':'), text...)
	}
	head = append(head, '}')
	for len(head)%8 != 0 {
		head = append(head, ' ')
	}
	binary.LittleEndian.PutUint64(head, uint64(len(head)-8))
	return head, nil
}

// elements returns the number of values of a shape; [] is one value. It fails where that many
// could not be in a file.
func elements(shape []int) (int64, error) {
	n := int64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("the shape %v has a negative size", shape)
		}
		if d > 0 && n > (1<<48)/int64(d) {
			return 0, fmt.Errorf("the shape %v is too large", shape)
		}
		n *= int64(d)
	}
	return n, nil
}
