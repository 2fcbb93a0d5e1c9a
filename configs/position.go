package configs

import (
	"strconv"
	"strings"
)

// spot says on which line a key or an element of an array was written, and what is inside it.
type spot struct {
	line  int
	keys  map[string]*spot
	items []*spot
}

// key returns the spot of a key inside s, made on this line if it is new.
func (s *spot) key(name string, line int) *spot {
	if s.keys == nil {
		s.keys = map[string]*spot{}
	}
	if s.keys[name] == nil {
		s.keys[name] = &spot{line: line}
	}
	return s.keys[name]
}

func (s *spot) item(line int) *spot {
	s.items = append(s.items, &spot{line: line})
	return s.items[len(s.items)-1]
}

// locate finds the lines of all keys in a TOML text. The toml package keeps them to itself. The
// text must have been parsed without error before: locate checks no syntax, it only never panics.
func locate(text string) *spot {
	sc := &scanner{text: text, line: 1}
	root := &spot{}
	table := root
	for sc.skip(" \t\r\n"); sc.pos < len(text); sc.skip(" \t\r\n") {
		if !sc.take("[") {
			sc.pair(table)
			continue
		}
		line, array := sc.line, sc.take("[")
		table = root
		path := sc.path()
		for i, name := range path {
			table = table.key(name, line)
			last := i == len(path)-1
			switch {
			case last && array:
				table = table.item(line)
			case last:
				table.line = line // the header counts, not an earlier [table.inner]
			case len(table.items) > 0:
				table = table.items[len(table.items)-1]
			}
		}
		sc.take("]")
		sc.take("]")
	}
	return root
}

type scanner struct {
	text string
	pos  int
	line int
}

// advance moves on by n bytes and counts the lines.
func (sc *scanner) advance(n int) {
	end := min(sc.pos+n, len(sc.text))
	sc.line += strings.Count(sc.text[sc.pos:end], "\n")
	sc.pos = end
}

// skip moves over the given characters and over comments.
func (sc *scanner) skip(cutset string) {
	for sc.pos < len(sc.text) {
		switch c := sc.text[sc.pos]; {
		case c == '#':
			sc.advance(until(sc.text[sc.pos:], "\n"))
		case strings.IndexByte(cutset, c) >= 0:
			sc.advance(1)
		default:
			return
		}
	}
}

func (sc *scanner) take(token string) bool {
	found := strings.HasPrefix(sc.text[sc.pos:], token)
	if found {
		sc.advance(len(token))
	}
	return found
}

// pair reads key = value into a table, and moves on even where there is none.
func (sc *scanner) pair(table *spot) {
	line, start := sc.line, sc.pos
	for _, name := range sc.path() {
		table = table.key(name, line)
	}
	sc.take("=")
	sc.value(table)
	if sc.pos == start {
		sc.advance(1)
	}
}

// path reads a dotted key.
func (sc *scanner) path() []string {
	var parts []string
	for {
		sc.skip(" \t")
		rest := sc.text[sc.pos:]
		n := until(rest, " \t\r\n.=]#\"'")
		part := rest[:n]
		if n == 0 && rest != "" && (rest[0] == '"' || rest[0] == '\'') {
			n = stringEnd(rest)
			part = strings.Trim(rest[:n], rest[:1])
			if s, err := strconv.Unquote(rest[:n]); err == nil {
				part = s
			}
		}
		sc.advance(n)
		parts = append(parts, part)
		sc.skip(" \t")
		if !sc.take(".") {
			return parts
		}
	}
}

// value moves over a value and notes what is inside it.
func (sc *scanner) value(at *spot) {
	sc.skip(" \t")
	rest := sc.text[sc.pos:]
	switch {
	case strings.HasPrefix(rest, `"`), strings.HasPrefix(rest, `'`):
		sc.advance(stringEnd(rest))
	case sc.take("{"):
		for sc.skip(" \t\r\n,"); sc.pos < len(sc.text) && !sc.take("}"); sc.skip(" \t\r\n,") {
			sc.pair(at)
		}
	case sc.take("["):
		for sc.skip(" \t\r\n,"); sc.pos < len(sc.text) && !sc.take("]"); sc.skip(" \t\r\n,") {
			start := sc.pos
			sc.value(at.item(sc.line))
			if sc.pos == start {
				sc.advance(1)
			}
		}
	default:
		sc.advance(until(rest, ",]}#\n"))
	}
}

// until returns how many bytes come before the first of the stop characters.
func until(s, stops string) int {
	if i := strings.IndexAny(s, stops); i >= 0 {
		return i
	}
	return len(s)
}

// stringEnd returns the length of the string literal that s starts with, quotes included.
func stringEnd(s string) int {
	quote := s[:1]
	if strings.HasPrefix(s, strings.Repeat(quote, 3)) {
		quote = s[:3]
	}
	for i := len(quote); i < len(s); i++ {
		if s[i] == '\\' && s[0] == '"' {
			i++
		} else if strings.HasPrefix(s[i:], quote) {
			end := i + len(quote)
			for len(quote) == 3 && end < len(s) && s[end] == s[0] {
				end++ // up to two quotes may stand before the closing three
			}
			return end
		}
	}
	return len(s)
}
