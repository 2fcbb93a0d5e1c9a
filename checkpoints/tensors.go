package checkpoints

import (
	"encoding/json"
	"fmt"
	"io"
)

// WriteTensors writes named tensors, such as adversarial examples, as a safetensors file; about is
// written beside them as JSON under the key "about". See WriteAtomic for what an error leaves behind.
func WriteTensors(path string, tensors []Tensor, about any) error {
	return WriteAtomic(path, func(w io.Writer) error {
		text, err := json.Marshal(about)
		if err != nil {
			return fmt.Errorf("metadata of %q: %w", path, err)
		}
		return writeContainer(w, map[string]string{"rampart": "tensors", "about": string(text)}, tensors)
	})
}
