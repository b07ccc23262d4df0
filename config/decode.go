package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Error is one thing wrong with a file.
type Error struct {
	File         string
	Line, Column int
	Reason       string
	Excerpt      string // the line, and a mark below the column
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Reason)
	if e.Excerpt != "" {
		s += "\n" + e.Excerpt
	}
	return s
}

// decoder walks the tree of one file and gathers what is wrong with it.
type decoder struct {
	file  string
	lines []string
	errs  []error
}

// decode parses text and gives the tree of its one document to fn; all errors
// come joined, each an *Error.
func decode(file string, text []byte, fn func(d *decoder, root ast.Node)) (err error) {
	d := &decoder{file: file, lines: strings.Split(string(text), "\n")}
	tree, err := parse(text)
	if err != nil {
		return d.syntaxError(err)
	}
	for i, doc := range tree.Docs {
		switch {
		case doc.Body == nil:
		case i > 0:
			d.fail(doc.Body, "a second document: the file holds one")
		default:
			fn(d, doc.Body)
		}
	}
	return errors.Join(d.errs...)
}

// parse turns a panic of the library, which some malformed texts cause, into
// an error.
func parse(text []byte) (tree *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("not YAML")
		}
	}()
	return parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey())
}

func (d *decoder) syntaxError(err error) error {
	var ye yaml.Error
	if errors.As(err, &ye) && ye.GetToken() != nil {
		return d.at(ye.GetToken(), "not YAML: "+ye.GetMessage())
	}
	return &Error{d.file, 1, 1, err.Error(), ""}
}

func (d *decoder) at(tk *token.Token, reason string) *Error {
	line, column := 1, 1
	if tk != nil && tk.Position != nil {
		line, column = max(1, tk.Position.Line), max(1, tk.Position.Column)
	}
	e := &Error{File: d.file, Line: line, Column: column, Reason: reason}
	if line <= len(d.lines) {
		src := strings.TrimRight(strings.ReplaceAll(d.lines[line-1], "\t", " "), "\r ")
		if len(src) <= 200 && column <= len(src)+1 {
			e.Excerpt = fmt.Sprintf("%6d | %s\n%s^", line, src, strings.Repeat(" ", 9+column-1))
		}
	}
	return e
}

func (d *decoder) fail(n ast.Node, format string, args ...any) {
	d.errs = append(d.errs, d.at(first(n), fmt.Sprintf(format, args...)))
}

// where is FILE:LINE:COLUMN of a node.
func (d *decoder) where(n ast.Node) string {
	e := d.at(first(n), "")
	return fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
}

// first is the token that a node begins with.
func first(n ast.Node) *token.Token {
	switch m := n.(type) {
	case *ast.MappingNode:
		if len(m.Values) > 0 && !m.IsFlowStyle {
			return m.Values[0].Key.GetToken()
		}
	case *ast.MappingValueNode:
		return m.Key.GetToken()
	}
	if n == nil {
		return nil
	}
	return n.GetToken()
}

// fields says what an object may hold: what to do with each key's value.
type fields map[string]func(ast.Node)

// object reads a mapping with known keys. what names it in errors.
func (d *decoder) object(n ast.Node, what string, known fields) {
	d.mapping(n, what, func(key string, at, value ast.Node) {
		if read, ok := known[key]; ok {
			read(value)
			return
		}
		names := make([]string, 0, len(known))
		for name := range known {
			names = append(names, name)
		}
		d.fail(at, "%s has no key %q%s", what, key, Suggest(key, names))
	})
}

// mapping reads a mapping with any keys, each once.
func (d *decoder) mapping(n ast.Node, what string, fn func(key string, at, value ast.Node)) {
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		d.fail(n, "%s is %s: want keys and values", what, kind(n))
		return
	}
	seen := make(map[string]int, len(values))
	for _, v := range values {
		if v.Key.IsMergeKey() {
			d.fail(v.Key, "merge keys are not supported: write the values out")
			continue
		}
		key, ok := d.text(v.Key, "the key")
		if !ok {
			continue
		}
		if line, ok := seen[key]; ok {
			d.fail(v.Key, "%s has %q twice, first in line %d", what, key, line)
			continue
		}
		seen[key] = v.Key.GetToken().Position.Line
		fn(key, v.Key, v.Value)
	}
}

// list reads a sequence.
func (d *decoder) list(n ast.Node, what string, fn func(ast.Node)) {
	s, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fail(n, "%s is %s: want a list, as in [a, b]", what, kind(n))
		return
	}
	for _, v := range s.Values {
		fn(v)
	}
}

// text reads a scalar as it is written, whatever type YAML would give it.
func (d *decoder) text(n ast.Node, what string) (string, bool) {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	case *ast.LiteralNode:
		return strings.TrimSuffix(s.Value.Value, "\n"), true
	}
	d.fail(n, "%s is %s: want text", what, kind(n))
	return "", false
}

// integer reads a number within bounds.
func (d *decoder) integer(n ast.Node, what string, low, high uint64) uint64 {
	if i, ok := n.(*ast.IntegerNode); ok {
		if v, ok := i.Value.(uint64); ok && v >= low && v <= high {
			return v
		}
		d.fail(n, "%s is %s: want a number from %d to %d", what, n.GetToken().Value, low, high)
		return 0
	}
	d.fail(n, "%s is %s: want a number from %d to %d", what, kind(n), low, high)
	return 0
}

// kind says what a node is, for an error.
func kind(n ast.Node) string {
	switch s := n.(type) {
	case nil, *ast.NullNode:
		return "empty"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode:
		return fmt.Sprintf("the text %q", s.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "the number " + n.GetToken().Value
	case *ast.BoolNode:
		return n.GetToken().Value
	case *ast.AnchorNode, *ast.AliasNode:
		return "an anchor or alias, which is not supported"
	case *ast.TagNode:
		return "a tag, which is not supported"
	}
	return "something else"
}
