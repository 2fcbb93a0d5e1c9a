package registry

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
)

// KeyError is what Validate returns to say which option is wrong. The config loader adds the
// file and the line of the key.
type KeyError struct {
	Key string // relative to the table of the thing; dotted if deeper: "attack.eps"
	Err error
}

func (e *KeyError) Error() string { return fmt.Sprintf("%q: %v", e.Key, e.Err) }
func (e *KeyError) Unwrap() error { return e.Err }

// Errorf returns a *KeyError for key; the format may wrap errors with %w.
func Errorf(key, format string, args ...any) error {
	return &KeyError{Key: key, Err: fmt.Errorf(format, args...)}
}

// Quoted is an error of a file as users read ours: the path in quotes, without the system call. Others stay
// as they are.
func Quoted(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok && err == error(e) {
		return fmt.Errorf("%q: %w", e.Path, e.Err)
	}
	return err
}

// Unknown returns the error for a name that is not among the known ones, such as
//
//	unknown attack "pdg": did you mean "pgd"? known: fgsm, pgd
func Unknown(word, name string, known []string) error {
	if len(known) == 0 {
		return fmt.Errorf("unknown %s %q: none is known here", word, name)
	}
	hint := ""
	if near, ok := Nearest(name, known); ok {
		hint = fmt.Sprintf("did you mean %q? ", near)
	}
	return fmt.Errorf("unknown %s %q: %sknown: %s", word, name, hint, strings.Join(known, ", "))
}
