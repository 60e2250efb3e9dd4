package check

import "kong-go-jwt/kong/declarative"

// entities are where Kong's entities are that are looked at: the fields of the
// document ("") and, of each kind, those of an entity.
var entities = map[string][]string{
	"":                {"services", "routes", "consumers", "consumer_groups", "plugins", "jwt_secrets"},
	"services":        {"routes", "plugins"},
	"routes":          {"plugins"},
	"consumers":       {"plugins", "jwt_secrets"},
	"consumer_groups": {"plugins"},
}

// lists refuses entities that are not listed as Kong wants them. What is not known
// is another entity of Kong's, unless it is hardly more than a slip away.
func (c *checker) lists(of *declarative.Node, kind string) {
	for _, f := range of.Fields() {
		if meant := nearest(f.Name(), entities[kind]); meant != "" && meant != f.Name() && distance(f.Name(), meant) < 3 {
			c.unknown(f, f.Path, entities[kind])
		}
	}
	for _, field := range entities[kind] {
		list := of.Field(field)
		if !list.IsNull() && !list.IsList() {
			c.fault(of, field, "expected an array")
		}
		for _, entity := range list.Items() {
			if entity.IsMap() {
				c.lists(entity, field)
			} else {
				c.add(entity, entity.Path, Error, "expected a record")
			}
		}
	}
}

// text refuses a field that is no string, or an empty one.
func (c *checker) text(n *declarative.Node, field string, required bool) {
	switch value := n.Field(field); {
	case value.IsNull() && required:
		c.fault(n, field, "required field missing")
	case !value.IsNull() && !value.IsText():
		c.fault(n, field, "expected a string")
	case !value.IsNull() && value.Text() == "":
		c.fault(n, field, "length must be at least 1")
	}
}
