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
	MatchAll    []Pattern
	MatchNone   []Pattern
	LenMin      int     // least number of elements, or of characters; strings are never empty
	Elements    *Field  // of a Set or Array
	Fields      []Field // of a Record
	Rules       []Rule  // of a Record, across its fields
	// Referenceable lets the value be a {vault://…} reference, which Kong
	// resolves before the plugin sees it; Encrypted keeps it encrypted at rest
	// where Kong's keyring does that.
	Referenceable, Encrypted bool
}

// Pattern is what a string must match, or must not, as Kong's Lua pattern and as the
// same regular expression. Problem is what is wrong where it is not so; it is not used
// in Match, of which Kong tells by repeating the value.
type Pattern struct{ Lua, Go, Problem string }

// Range is an inclusive range of numbers.
type Range struct{ Min, Max float64 }

// Group is a set of options that serve the same end, and have a page of their
// own: docs/configuration/NAME.md.
type Group struct{ Name, Title, About string }

// Groups are all groups, in the order in which they are documented.
func Groups() []Group {
	return []Group{
		{"bundled", "Options of the bundled plugin", "Where to look for tokens, how to find their credential, and what to check. These options have the same names, types, defaults and meaning as in Kong's jwt plugin."},
		{"credentials", "Credentials in the configuration", "To keep credentials in the plugin's configuration instead of in jwt_secrets, for example with secrets from a vault."},
		{"issuers", "Identity providers", "To accept tokens of Keycloak, Auth0, Entra ID and other providers that publish their keys."},
		{"claims", "What a token must hold", "To accept only tokens with a certain audience, issuer, scope or claim."},
		{"revocation", "Revoked tokens", "To refuse a token before it expires."},
		{"bound", "Tokens bound to their client", "To make a stolen token useless: it works only together with a certificate or key that only the client has."},
		{"upstream", "What the upstream gets", "To tell the upstream more about the caller than Kong's identity headers do, or to hide the token from it."},
		{"assertion", "A signed identity for services", "To let services verify who called, so that nobody gains anything by going around the gateway (see services.md)."},
		{"discovery", "Where to log in", "For MCP servers and other services whose clients find out by themselves where to get a token."},
		{"operations", "Running it", "For operators: caching, logging, anonymous requests, and trying the plugin on live traffic."},
	}
}
