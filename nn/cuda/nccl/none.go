//go:build nocuda || !linux || !(amd64 || arm64)

package nccl

import "errors"

// Open fails: there is no NCCL for this system, or it was left out (go build -tags nocuda).
func Open(string) (Library, error) {
	return nil, missing(errors.New("this program was built without it: it is for Linux"))
}
