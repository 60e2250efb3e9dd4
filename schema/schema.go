// Package schema is the one place where the plugin's configuration is
// described. From the table in fields.go come Kong's schema (for -dump), the
// defaults and checks applied by [Parse], and the tables of docs/configuration.md.
package schema

// Name is the plugin's name in Kong: what users write as plugins[].name.
const Name = "go-jwt"

// Priority is the bundled jwt plugin's priority, so that the order relative to
// every other plugin stays the same for those who change from one to the other.
const Priority = 1450

// Type is a field type of Kong's schema language.
type Type string

// The field types in use.
const (
	String  Type = "string"
	Boolean Type = "boolean"
	Integer Type = "integer"
	Number  Type = "number"
	Set     Type = "set"    // no repeated elements, order kept
	Array   Type = "array"  // repeated elements allowed
	Record  Type = "record" // named sub-fields
)

// Field describes one configuration field in the terms of Kong's schema
// language (kong/db/schema/init.lua).
type Field struct {
	Name        string
	Group       string // of a field of Config itself: the Name of one of Groups
	Type        Type
	Description string // one or more sentences; Kong demands at least 10 characters
	Default     any    // nil: no default
	Required    bool   // an explicit null is refused
	OneOf       []string
	Between     *Range
	Match       *Pattern
	LenMin      int     // least number of elements, or of characters; strings are never empty
	Elements    *Field  // of a Set or Array
	Fields      []Field // of a Record
	// Referenceable lets the value be a {vault://…} reference, which Kong
	// resolves before the plugin sees it; Encrypted keeps it encrypted at rest
	// where Kong's keyring does that.
	Referenceable, Encrypted bool
}

// Pattern is what a string must match, as Kong's Lua pattern and as the same
// regular expression.
type Pattern struct{ Lua, Go string }

// Range is an inclusive range of numbers.
type Range struct{ Min, Max float64 }

// Conditional is Kong's entity check of that name: when the number If is
// greater than zero, the set Then must contain Contains.
type Conditional struct{ If, Then, Contains string }

// Group is a set of options that serve the same end, and have a page of their
// own: docs/configuration/NAME.md.
type Group struct{ Name, Title, About string }

// Groups are all groups, in the order in which they are documented.
func Groups() []Group {
	return []Group{
		{"bundled", "Options of the bundled plugin", "Where tokens are looked for, how their credential is found, and what is verified. Names, types, defaults and meaning are those of Kong's jwt plugin."},
		{"credentials", "Credentials in the configuration", "For callers who are kept beside the plugin instead of in jwt_secrets."},
		{"issuers", "Identity providers", "For tokens of Keycloak, Auth0, Entra ID and others that publish their keys."},
		{"claims", "What a token must hold", "For services that ask for an audience, scopes, or values of claims."},
		{"revocation", "Revoked tokens", "For those who must be able to turn away a token before it expires."},
		{"bound", "Tokens bound to their client", "For those who want a stolen token to be worth nothing: it is good only together with a certificate or key that its client has."},
		{"upstream", "What the upstream gets", "For services that want to know more of the caller than Kong's identity headers tell, or must not see the token."},
		{"assertion", "A signed identity for services", "For services that verify who called, so that who reaches them past the gateway gets nowhere (see services.md)."},
		{"discovery", "Where to log in", "For MCP servers and other services whose clients find out by themselves where to get a token."},
		{"operations", "Running it", "For those who watch over the gateway: caching, logging, moving live traffic over."},
	}
}
