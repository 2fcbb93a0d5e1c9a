package data

import (
	"embed"
	"io/fs"

	"rampart/nn/registry"
)

func init() { registry.Register[Source]("mnist", func() Source { return &MNIST{} }) }

// MNIST is the database of handwritten digits of LeCun, Cortes and Burges: 60000 training and
// 10000 test images, [28,28,1]. It is part of the binary.
type MNIST struct{}

//go:embed mnist/*.gz
var mnistFiles embed.FS

// mnistMD5 holds the published sums of the unpacked files.
var mnistMD5 = map[string]string{
	trainImages: "6bbc9ace898e44ae57da46a324031adb",
	trainLabels: "a25bea736e30d166cdddb491f175f624",
	testImages:  "2646ac647ad5339dbf082846283269ea",
	testLabels:  "27ae3e4e09519cfbb04c329615203637",
}

// Validate accepts: there are no options.
func (*MNIST) Validate() error { return nil }

// Load unpacks the images and checks them against the published MD5 sums.
func (*MNIST) Load() (train, test *Dataset, err error) {
	files, err := fs.Sub(mnistFiles, "mnist")
	if err != nil {
		return nil, nil, err
	}
	f := folder{fsys: files, dir: "embedded mnist", name: "mnist", classes: digits(), md5: mnistMD5}
	return f.load()
}

// digits are the class names "0" to "9".
func digits() []string { return []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"} }
