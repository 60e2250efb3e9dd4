package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// yamlToJSON converts YAML as Kong reads it. Kong's reader (lyaml) is one of YAML 1.1, in
// which off is a boolean, and so no value for an option whose values are strings.
func yamlToJSON(text []byte) ([]byte, error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, err //nolint:wrapcheck // says it all
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return []byte("null"), nil
	}
	ast.Walk(yaml11{}, file.Docs[0].Body)
	var doc any
	if err := yaml.NodeToValue(file.Docs[0].Body, &doc); err != nil {
		return nil, err //nolint:wrapcheck // says it all
	}
	converted, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("what Kong cannot encode: %w", err)
	}
	return converted, nil
}

// yaml11 puts what plain scalars are in YAML 1.1 into a tree that was read as YAML 1.2.
type yaml11 struct{}

// Visit implements [ast.Visitor].
func (v yaml11) Visit(n ast.Node) ast.Visitor {
	switch n := n.(type) {
	case *ast.MappingValueNode:
		n.Value = plain(n.Value)
	case *ast.SequenceNode:
		for i := range n.Values {
			n.Values[i] = plain(n.Values[i])
		}
	case *ast.AnchorNode:
		n.Value = plain(n.Value)
	}
	return v
}

// plain returns the node of a scalar without quotes that is no string in YAML 1.1; n itself
// for any other node.
func plain(n ast.Node) ast.Node {
	s, ok := n.(*ast.StringNode)
	if !ok || s.Token.Type != token.StringType {
		return n
	}
	switch s.Value {
	case "yes", "Yes", "YES", "on", "On", "ON", "no", "No", "NO", "off", "Off", "OFF":
		b := ast.Bool(s.Token)
		b.Value = strings.EqualFold(s.Value, "yes") || strings.EqualFold(s.Value, "on")
		return b
	}
	// Such as 1e5, and digits that are too many for an integer.
	f, err := strconv.ParseFloat(s.Value, 64)
	if strings.IndexAny(s.Value, "+-.0123456789") == 0 && (err == nil || errors.Is(err, strconv.ErrRange)) {
		number := ast.Float(s.Token)
		number.Value = f
		return number
	}
	return n
}
