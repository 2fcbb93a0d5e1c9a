package data

import (
	"context"
	"os"
	"strings"

	"rampart/data/fetch"
	"rampart/nn/registry"
)

func init() { registry.Register[Source]("fashion_mnist", func() Source { return &FashionMNIST{} }) }

// FashionMNIST is Zalando's database of articles of clothing (Xiao, Rasul and Vollgraf 2017):
// 60000 training and 10000 test images, [28,28,1]. Its four IDX files are downloaded, or those of
// Debian's package dataset-fashion-mnist are used: path = "/usr/share/datasets/fashion-mnist".
type FashionMNIST struct{ Published }

var fashionClasses = []string{"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"}

// fashionMD5 holds the sums of the unpacked files.
var fashionMD5 = map[string]string{
	trainImages: "f4a8712d7a061bf5bd6d2ca38dc4d50a",
	trainLabels: "9018921c3c673c538a1fc5bad174d6f9",
	testImages:  "8181f5470baa50b63fa0f6fddb340f0a",
	testLabels:  "15d484375f8d13e6eb1aabb0c3f46965",
}

// fashionFiles are the files as published.
var fashionFiles = []fetch.File{
	fashionFile(trainImages, 26421880, "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
	fashionFile(trainLabels, 29515, "25c81989df183df01b3e8a0aad5dffbe"),
	fashionFile(testImages, 4422102, "bef4ecab320f06d8554ea6380940ec79"),
	fashionFile(testLabels, 5148, "bb300cfdad3c16e7a12a480ee83cd310"),
}

func fashionFile(name string, size int64, md5 string) fetch.File {
	name += ".gz"
	return fetch.File{Name: name, Size: size, MD5: md5, URLs: []string{
		"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/" + name,
		"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/" + name,
	}}
}

// Load implements Source.
func (s *FashionMNIST) Load() (train, test *Dataset, err error) { return load(s) }

// Open implements Opener. The content is checked against the published files'.
func (s *FashionMNIST) Open(ctx context.Context, o Options) (*Parts, error) {
	dir, err := s.dir("fashion_mnist")
	if err != nil {
		return nil, err
	}
	here := inFolder(dir)
	have := func(name string) bool { return here(name) || here(strings.TrimSuffix(name, ".gz")) }
	if err := s.get(ctx, o, dir, fashionFiles, have); err != nil {
		return nil, err
	}
	f := folder{fsys: os.DirFS(dir), dir: dir, name: "fashion_mnist", classes: fashionClasses, md5: fashionMD5}
	train, test, err := f.load()
	if err != nil {
		return nil, err
	}
	return &Parts{Train: train, Test: test}, nil
}
