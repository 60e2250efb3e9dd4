// Package declarative reads Kong's declarative configuration, as kong.yml, decK
// and "kong config db_export" have it, and knows the line of everything in it.
package declarative

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Node is a value in a document. A nil Node is an absent value, of which every
// method can be called.
type Node struct {
	// Path is where it is in the document, counting from 0:
	// services[0].plugins[0].config. "": the document itself.
	Path string
	File string
	// Line and Column, from 1, are those of its name or, in a list, its own.
	Line, Column int

	value  any // string, float64, bool, or nil: null, a list or a map
	list   []*Node
	fields []*Node // of a map, in order
	name   string  // in the map that it is in
	isList bool
	isMap  bool
}

// SyntaxError tells where a text is no YAML. It holds nothing of the text.
type SyntaxError struct {
	File         string
	Line, Column int
	Problem      string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Problem)
}

const (
	maxAliased = 100_000 // nodes that aliases stand for
	maxDepth   = 100
)

// Parse reads the text of a file, which is YAML or JSON. The error is a
// [SyntaxError].
func Parse(name string, text []byte) (root *Node, err error) {
	defer func() {
		if recover() != nil { // in the parser
			root, err = nil, &SyntaxError{File: name, Line: 1, Column: 1, Problem: "cannot be read as YAML"}
		}
	}()
	text = bytes.TrimPrefix(text, []byte("\ufeff")) // which YAML allows
	for i, line := range bytes.Split(text, []byte("\n")) {
		if !utf8.Valid(line) {
			return nil, &SyntaxError{File: name, Line: i + 1, Column: 1, Problem: "not UTF-8"}
		}
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		fault := &SyntaxError{File: name, Line: 1, Column: 1, Problem: "not YAML"}
		var inner *yaml.SyntaxError
		if errors.As(err, &inner) {
			fault.Problem = inner.Message
			if inner.Token != nil {
				fault.Line, fault.Column = inner.Token.Position.Line, inner.Token.Position.Column
			}
		}
		return nil, fault
	}
	docs := slices.DeleteFunc(file.Docs, func(d *ast.DocumentNode) bool { return d.Body == nil })
	switch {
	case len(docs) == 0:
		return nil, &SyntaxError{File: name, Line: 1, Column: 1, Problem: "the file is empty"}
	case len(docs) > 1:
		at := start(docs[1].Body)
		return nil, &SyntaxError{File: name, Line: at.Line, Column: at.Column, Problem: "the file contains several YAML documents"}
	}
	r := &reader{file: name, anchors: map[string]ast.Node{}}
	root = &Node{File: name, Line: 1, Column: 1}
	if err := r.read(docs[0].Body, root, 0); err != nil {
		return nil, err
	}
	return root, nil
}

// reader makes Nodes of a syntax tree.
type reader struct {
	file     string
	anchors  map[string]ast.Node
	aliases  int // that are being read, one in another
	expanded int // nodes that aliases stand for
}

// start is where a node begins, which for a map is its first name.
func start(n ast.Node) *token.Position {
	switch m := n.(type) {
	case *ast.MappingNode:
		if !m.IsFlowStyle && len(m.Values) > 0 {
			return m.Values[0].Key.GetToken().Position
		}
	case *ast.MappingValueNode:
		return m.Key.GetToken().Position
	}
	return n.GetToken().Position
}

func (r *reader) refuse(at *token.Token, problem string) error {
	return &SyntaxError{File: r.file, Line: at.Position.Line, Column: at.Position.Column, Problem: problem}
}

// read fills to with what from is.
func (r *reader) read(from ast.Node, to *Node, depth int) error {
	if r.aliases > 0 {
		r.expanded++
	}
	if r.expanded > maxAliased || depth > maxDepth {
		return r.refuse(from.GetToken(), "too large, or nested too deeply")
	}
	switch n := from.(type) {
	case *ast.MappingNode:
		to.isMap = true
		return r.readMap(n.Values, to, depth)
	case *ast.MappingValueNode:
		to.isMap = true
		return r.readMap([]*ast.MappingValueNode{n}, to, depth)
	case *ast.SequenceNode:
		to.isList = true
		for i, v := range n.Values {
			at := start(v)
			item := &Node{File: r.file, Path: to.Path + "[" + strconv.Itoa(i) + "]", Line: at.Line, Column: at.Column}
			if err := r.read(v, item, depth+1); err != nil {
				return err
			}
			to.list = append(to.list, item)
		}
	case *ast.AnchorNode:
		r.anchors[n.Name.GetToken().Value] = n.Value
		return r.read(n.Value, to, depth+1)
	case *ast.AliasNode:
		anchor := r.anchors[n.Value.GetToken().Value]
		if anchor == nil {
			return r.refuse(n.GetToken(), "there is no such anchor")
		}
		r.aliases++
		defer func() { r.aliases-- }()
		return r.read(anchor, to, depth+1)
	case *ast.TagNode:
		if text, ok := n.Value.(ast.ScalarNode); ok && n.Start.Value == "!!str" {
			to.value = text.GetToken().Value
			return nil
		}
		return r.read(n.Value, to, depth+1)
	default:
		to.value = scalar(from)
	}
	return nil
}

func (r *reader) readMap(values []*ast.MappingValueNode, to *Node, depth int) error {
	var merged []*Node
	for _, v := range values {
		key := v.Key.GetToken()
		child := &Node{File: r.file, Line: key.Position.Line, Column: key.Position.Column}
		if v.Key.IsMergeKey() {
			child.Path = to.Path
			if err := r.read(v.Value, child, depth+1); err != nil {
				return err
			}
			merged = append(merged, child.fields...)
			for _, m := range child.list {
				merged = append(merged, m.fields...)
			}
			continue
		}
		child.name = key.Value
		child.Path = strings.TrimPrefix(to.Path+"."+child.name, ".")
		if err := r.read(v.Value, child, depth+1); err != nil {
			return err
		}
		to.fields = append(to.fields, child)
	}
	for _, m := range merged { // what is written out goes before it
		if to.Field(m.name) == nil {
			to.fields = append(to.fields, m)
		}
	}
	return nil
}

// scalar is what Kong takes a scalar for; like its reader (YAML 1.1), it knows
// more words for true and false than YAML 1.2.
func scalar(n ast.Node) any {
	switch n := n.(type) {
	case *ast.LiteralNode:
		return n.Value.Value
	case *ast.StringNode:
		if n.Token.Type == token.StringType { // not in quotes
			switch strings.ToLower(n.Value) {
			case "yes", "on":
				return true
			case "no", "off":
				return false
			}
			// Such as 1e5, and digits that are too many for an integer.
			if f, err := strconv.ParseFloat(n.Value, 64); strings.IndexAny(n.Value, "+-.0123456789") == 0 && (err == nil || errors.Is(err, strconv.ErrRange)) {
				return f
			}
		}
		return n.Value
	case *ast.IntegerNode:
		switch v := n.Value.(type) {
		case int64:
			return float64(v)
		case uint64:
			return float64(v)
		}
	case *ast.FloatNode:
		return n.Value
	case *ast.BoolNode:
		return n.Value
	case *ast.NullNode:
		return nil
	}
	return n.GetToken().Value
}

// Field returns the field of a map by its name; nil if there is none. One that is
// null is there.
func (n *Node) Field(name string) *Node {
	if n == nil {
		return nil
	}
	for _, f := range n.fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

// Fields returns the fields of a map, in order.
func (n *Node) Fields() []*Node {
	if n == nil {
		return nil
	}
	return n.fields
}

// Name is the field's name in the map that it is in.
func (n *Node) Name() string {
	if n == nil {
		return ""
	}
	return n.name
}

// Items returns what is in a list, in order.
func (n *Node) Items() []*Node {
	if n == nil {
		return nil
	}
	return n.list
}

// Text returns a string, "" if the value is none.
func (n *Node) Text() string {
	if n == nil {
		return ""
	}
	s, _ := n.value.(string)
	return s
}

// IsText tells whether the value is a string, which may be empty.
func (n *Node) IsText() bool {
	if n == nil {
		return false
	}
	_, ok := n.value.(string)
	return ok
}

// IsWord tells whether the value is a boolean or a number: in YAML, a word without quotes
// such as off or 3.0.
func (n *Node) IsWord() bool {
	switch n.Any().(type) {
	case bool, float64:
		return true
	}
	return false
}

// IsNull tells whether the value is null, or absent.
func (n *Node) IsNull() bool {
	return n == nil || n.value == nil && !n.isList && !n.isMap
}

// IsList tells whether the value is a list, which may be empty.
func (n *Node) IsList() bool { return n != nil && n.isList }

// records returns the maps in a list, in order.
func (n *Node) records() []*Node {
	return slices.DeleteFunc(slices.Clone(n.Items()), func(i *Node) bool { return !i.IsMap() })
}

// IsMap tells whether the value is a map, which may be empty.
func (n *Node) IsMap() bool { return n != nil && n.isMap }

// Any returns the value as encoding/json decodes it.
func (n *Node) Any() any {
	switch {
	case n == nil:
		return nil
	case n.isList:
		list := make([]any, 0, len(n.list))
		for _, i := range n.list {
			list = append(list, i.Any())
		}
		return list
	case n.isMap:
		m := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			m[f.name] = f.Any()
		}
		return m
	}
	return n.value
}

// At follows a path such as config.credentials[0].secret from n on, and returns
// what is there, or else the innermost that contains it.
func (n *Node) At(path string) *Node {
	for n != nil && path != "" {
		var next *Node
		if i := strings.IndexAny(path[1:], ".["); strings.HasPrefix(path, "[") {
			number, rest, _ := strings.Cut(path[1:], "]")
			if k, err := strconv.Atoi(number); err == nil && k >= 0 && k < len(n.list) {
				next = n.list[k]
			}
			path = rest
		} else {
			name := strings.TrimPrefix(path, ".")
			if i >= 0 {
				name, path = strings.TrimPrefix(path[:i+1], "."), path[i+1:]
			} else {
				path = ""
			}
			next = n.Field(name)
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// IsReference tells whether the text refers to a secret in one of Kong's vaults.
func (n *Node) IsReference() bool { return strings.HasPrefix(n.Text(), "{vault://") }

// IsVariable tells whether decK fills the text in.
func (n *Node) IsVariable() bool { return strings.Contains(n.Text(), "${{") }
