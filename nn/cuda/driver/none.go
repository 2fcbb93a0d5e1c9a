//go:build nocuda || (!cu && (!(linux || windows) || !(amd64 || arm64)))

package driver

// Open fails: there is no CUDA for this system, or it was left out (go build -tags nocuda).
func Open(string) (Driver, error) {
	return nil, ErrLeftOut
}
