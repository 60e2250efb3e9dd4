package check

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"kong-go-jwt/kong/declarative"
	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/jwks"
	"kong-go-jwt/plugin/revocation"
	"kong-go-jwt/schema"
)

// checker collects findings.
type checker struct {
	online  bool
	keys    *jwks.Sets
	store   *plugin.Store // makes the engines that say whether a configuration can be used
	state   *declarative.State
	plugins int // go-jwt plugins
	found   []Finding
	seen    map[Finding]bool // what is in found
}

func newChecker(keys jwks.Options, online bool) *checker {
	keys.OnDemand = true // nothing is fetched that is not asked for
	c := &checker{online: online, keys: jwks.New(keys), seen: map[Finding]bool{}}
	c.store = newStore(plugin.Options{Keys: c.keys, Revocations: revocation.New(revocation.Options{Fetching: keys.Fetching(), Idle: true})})
	return c
}

// newStore fills in what an engine needs and a command has no use for.
func newStore(o plugin.Options) *plugin.Store {
	const entries, forever = 1000, time.Hour
	if o.Encode == nil {
		o.Encode = func(*plugin.Grant) plugin.Answer { return plugin.Answer{} }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Log = slog.New(slog.DiscardHandler)
	o.CredentialTTL, o.UnknownTTL, o.LookupTimeout = forever, forever, 10*time.Second
	o.CredentialEntries, o.UnknownEntries, o.DecisionEntries, o.ProofEntries, o.DecisionBytes = entries, entries, entries, entries, 1<<20
	return plugin.NewStore(o)
}

func (c *checker) close() {
	c.store.Close()
	c.keys.Close()
}

func (c *checker) add(at *declarative.Node, path string, s Severity, format string, args ...any) {
	problem := fmt.Sprintf(format, args...)
	if problem == "expected a string" && at.IsWord() {
		problem += ": put it in quotes"
	}
	f := Finding{at.File, at.Line, at.Column, path, s, problem}
	if !c.seen[f] {
		c.found, c.seen[f] = append(c.found, f), true
	}
}

// fault adds an error at a field of a node, or at the node if it is not there.
func (c *checker) fault(n *declarative.Node, field, format string, args ...any) {
	c.add(n.At(field), join(n.Path, field), Error, format, args...)
}

func (c *checker) warn(n *declarative.Node, field, format string, args ...any) {
	c.add(n.At(field), join(n.Path, field), Warning, format, args...)
}

func join(path, field string) string {
	if path == "" || field == "" {
		return path + field
	}
	return path + "." + field
}

func (c *checker) check(ctx context.Context, s *declarative.State) {
	c.state = s
	for _, d := range s.Documents {
		c.document(d)
	}
	c.consumers()
	var all []*pluginCheck
	for _, p := range s.Plugins {
		switch {
		case p.Title == "":
			c.text(p.Node, "name", true)
		case p.Title == schema.Name:
			c.plugins++
			all = append(all, c.plugin(ctx, p))
		case distance(p.Title, schema.Name) == 1:
			c.warn(p.Node, "name", "is not %s: is that meant?", schema.Name)
		}
	}
	c.credentials(all)
}

func (c *checker) document(d *declarative.Node) {
	c.lists(d, "")
	formats := []string{"1.1", "2.1", "3.0"}
	switch version := d.Field("_format_version"); {
	case !d.IsMap():
		c.add(d, "", Error, "not a declarative configuration: expected a map")
	case version.IsNull():
		c.fault(d, "_format_version", "required field missing")
	case version.Text() == "":
		c.fault(d, "_format_version", "expected a string")
	case !slices.Contains(formats, version.Text()):
		c.fault(d, "_format_version", "expected one of: %s", strings.Join(formats, ", "))
	}
}

func (c *checker) consumers() {
	first := map[[2]string]*declarative.Node{}
	for _, n := range c.state.Consumers {
		if n.Field("username").IsNull() && n.Field("custom_id").IsNull() {
			c.fault(n.Node, "", "at least one of these fields must be non-empty: custom_id, username")
		}
		for _, field := range []string{"id", "username", "custom_id"} {
			c.text(n.Node, field, false)
			c.unique(n.Node, field, "consumer", first)
		}
	}
}

// unique refuses a second entity with the same value in a file.
func (c *checker) unique(n *declarative.Node, field, kind string, first map[[2]string]*declarative.Node) {
	value := n.Field(field).Text()
	if value == "" {
		return
	}
	k := [2]string{n.File + "\x00" + field, value}
	if other := first[k]; other != nil {
		c.fault(n, field, "another %s has the same value, in line %d", kind, other.At(field).Line)
		return
	}
	first[k] = n
}

// knows tells whether there is a consumer with that id or username, or that this
// cannot be known.
func (c *checker) knows(idOrUsername string) bool {
	if c.state.Partial || c.state.FindConsumer(idOrUsername) != nil {
		return true
	}
	// Kong makes ids for those that have none.
	return isUUID.MatchString(idOrUsername) && slices.ContainsFunc(c.state.Consumers, func(k *declarative.Consumer) bool { return k.ID == "" })
}

var isUUID = regexp.MustCompile(`(?i)^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$`)

// credentials checks jwt_secrets.
func (c *checker) credentials(plugins []*pluginCheck) {
	// Keys are held against what every plugin says that would use them.
	all := func(says func(*schema.Config) bool) bool {
		return len(plugins) > 0 && !slices.ContainsFunc(plugins, func(p *pluginCheck) bool { return p.config == nil || !says(p.config) })
	}
	rules := &schema.Config{
		SecretIsBase64:   all(func(c *schema.Config) bool { return c.SecretIsBase64 }),
		AllowWeakRSAKeys: all(func(c *schema.Config) bool { return c.AllowWeakRSAKeys }),
	}
	first := map[[2]string]*declarative.Node{}
	for _, j := range c.state.JWTSecrets {
		c.known(j.Node, []string{"id", "key", "secret", "algorithm", "rsa_public_key", "consumer", "tags", "created_at"})
		for _, field := range []string{"id", "key", "secret", "rsa_public_key"} {
			c.text(j.Node, field, false)
		}
		c.unique(j.Node, "key", "entry of jwt_secrets", first)
		switch {
		case j.Consumer != nil || c.state.Partial:
		case j.Owner.IsNull():
			c.fault(j.Node, "consumer", "required field missing")
		default:
			c.fault(j.Node, "consumer", "there is no consumer %q", declarative.Reference(j.Owner))
		}
		if j.Field("key").IsNull() {
			c.warn(j.Node, "key", "is missing: Kong generates one, which no token contains")
		}
		c.jwtKey(j, rules)
	}
}

func (c *checker) jwtKey(j *declarative.JWTSecret, rules *schema.Config) {
	algorithm := j.Field("algorithm").Text()
	switch {
	case j.Field("algorithm").IsNull():
		algorithm = "HS256"
	case !slices.Contains(schema.Algorithms(), algorithm):
		c.fault(j.Node, "algorithm", "expected one of: %s", strings.Join(schema.Algorithms(), ", "))
		return
	}
	field := "rsa_public_key"
	if strings.HasPrefix(algorithm, "HS") {
		field = "secret"
	}
	switch key := j.Field(field); {
	case key.IsReference() || key.IsVariable():
	case !key.IsNull() && key.Text() == "": // which was told
	case key.IsNull() && field == "secret":
		c.warn(j.Node, field, "is missing: Kong generates one, which nobody knows")
	case key.IsNull():
		c.fault(j.Node, field, "required field missing (needed with algorithm %s)", algorithm)
	default:
		c.key(j.Node, field, rules, &plugin.Credential{
			Algorithm: algorithm, Secret: j.Field("secret").Text(), PublicKey: j.Field("rsa_public_key").Text(),
		})
	}
}

// key checks that a credential's key can be used, by the engine's own means.
func (c *checker) key(n *declarative.Node, field string, rules *schema.Config, cr *plugin.Credential) {
	switch weak, err := cr.CheckKey(rules); {
	case err != nil:
		c.fault(n, field, "%v", err)
	case weak && field == "secret":
		c.warn(n, field, "shorter than the hash of %s (RFC 7518 section 3.2)", cr.Algorithm)
	case weak:
		c.warn(n, field, "RSA key of fewer than 2048 bits (RFC 7518 section 3.3)")
	}
}

// known refuses fields that are not among names.
func (c *checker) known(n *declarative.Node, names []string) {
	for _, f := range n.Fields() {
		if !slices.Contains(names, f.Name()) {
			c.unknown(f, f.Path, names)
		}
	}
}

func (c *checker) unknown(at *declarative.Node, path string, names []string) {
	if meant := nearest(at.Name(), names); meant != "" {
		c.add(at, path, Error, "unknown field; did you mean %s?", meant)
		return
	}
	c.add(at, path, Error, "unknown field")
}

// nearest returns the name that is most like another; "" if none is.
func nearest(name string, names []string) string {
	best, least := "", 3
	for _, n := range names {
		if d := distance(name, n); d < least && d < len(name)/2+1 {
			best, least = n, d
		}
		if len(name) > 3 && (strings.HasSuffix(n, "_"+name) || strings.HasPrefix(n, name+"_")) && least == 3 {
			best = n
		}
	}
	return best
}

// distance is how many letters must be added, removed or changed (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0]
		row[0] = i + 1
		for j := range len(b) {
			same := left
			if a[i] != b[j] {
				same++
			}
			left = row[j+1]
			row[j+1] = min(same, left+1, row[j]+1)
		}
	}
	return row[len(b)]
}

// fromZero counts the elements of lists in a path from 0, as yq does, where the
// plugin counts as Lua does.
func fromZero(path string) string {
	return index.ReplaceAllStringFunc(path, func(s string) string {
		n, err := strconv.Atoi(s[1 : len(s)-1])
		if err != nil {
			return s
		}
		return "[" + strconv.Itoa(n-1) + "]"
	})
}

var index = regexp.MustCompile(`\[\d+\]`)
