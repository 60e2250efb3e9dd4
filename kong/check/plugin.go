package check

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"kong-go-jwt/kong/declarative"
	"kong-go-jwt/plugin"
	"kong-go-jwt/schema"
)

// pluginCheck is a go-jwt plugin that is looked at.
type pluginCheck struct {
	*checker
	*declarative.Plugin

	config *schema.Config // nil: it is beyond use
	draft  *draft         // what config was made of
}

func (c *checker) plugin(ctx context.Context, plug *declarative.Plugin) *pluginCheck {
	p := &pluginCheck{checker: c, Plugin: plug, draft: newDraft(plug.Settings())}
	p.scope()
	if !p.Config.IsNull() && !p.Config.IsMap() {
		c.fault(p.Node, "config", "expected a record")
		return p
	}
	p.options()
	p.references(p.Config, schema.Fields())
	for _, cr := range p.list("credentials").Items() {
		p.credential(cr)
	}
	if p.config == nil {
		return p
	}
	p.engine()
	for _, w := range p.config.Warnings() {
		if field, refused := topField(w.Path), p.draft.refused; !refused[field] && !(refused["claims_to_verify"] && field == "maximum_expiration") {
			p.at(w, Warning)
		}
	}
	p.callers()
	if p.Enabled() && p.config.Shadow && !p.accompanied() {
		p.add(p.Config.At("shadow"), join(p.Path, "config.shadow"), Warning, "nothing is protected here: no other plugin authenticates")
	}
	p.hosts()
	p.discovery()
	p.issuers(ctx)
	return p
}

// scope checks what the plugin is put on.
func (p *pluginCheck) scope() {
	p.known(p.Node, []string{
		"id", "name", "instance_name", "config", "enabled", "protocols", "tags", "service", "route", "consumer", "consumer_group",
		"created_at", "updated_at", "ordering", "condition", "_config",
	})
	if p.Caller != nil {
		field := ""
		if p.Field(p.Caller.Name()) == p.Caller {
			field = p.Caller.Name()
		}
		p.fault(p.Node, field, "not allowed on consumers and consumer groups: a caller is known only after authentication")
	}
	if protocols := p.Field("protocols"); !protocols.IsNull() {
		fields, _ := schema.FieldErrors(schema.CheckProtocols(protocols.Any()))
		for _, f := range fields {
			p.fault(p.Node, fromZero(f.Path), "%s", f.Problem)
		}
	}
	for field, found := range map[string]bool{"route": p.Route != nil, "service": p.Service != nil} {
		if ref := p.Field(field); !ref.IsNull() && !found && !p.state.Partial {
			p.fault(p.Node, field, "there is no %s %q", field, declarative.Reference(ref))
		}
	}
	for _, other := range p.state.Plugins {
		same := other.Title == p.Title && other.File == p.File && other.Route == p.Route && other.Service == p.Service
		if same && other.Line < p.Line && p.Caller == nil && other.Caller == nil {
			p.fault(p.Node, "", "the same route or service has another %s, in line %d", p.Title, other.Line)
		}
	}
}

// options holds config against the table of options, as Kong and the plugin do.
// What is refused is left out, so that the rest can be looked at.
func (p *pluginCheck) options() {
	for {
		config, err := schema.Check(p.draft.settings)
		if err == nil {
			p.config = config
			return
		}
		faults, others := schema.FieldErrors(err)
		for _, e := range others {
			p.fault(p.Node, "config", "%v", e)
		}
		for _, f := range faults {
			if !p.draft.follows(f) {
				p.at(f, Error)
			}
		}
		if !p.draft.without(faults) {
			return
		}
	}
}

// topField is the option that a path such as config.issuers[1].issuer is of.
func topField(path string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, "config"), "."), ".")
	name, _, _ = strings.Cut(name, "[")
	return name
}

// list returns an option as it is written.
func (p *pluginCheck) list(option string) *declarative.Node {
	if n := p.Config.Field(option); n != nil || p.Shared == nil {
		return n
	}
	return p.Shared.Field(option)
}

// at adds a finding about an option. What is filled in later cannot be wrong now.
func (p *pluginCheck) at(f *schema.FieldError, s Severity) {
	base, basePath := p.Config, join(p.Path, "config")
	if name := topField(f.Path); name != "" && p.Config.Field(name) == nil && p.Shared.Field(name) != nil {
		base, basePath = p.Shared, p.Shared.Path
	}
	path := strings.TrimPrefix(strings.TrimPrefix(fromZero(p.draft.written(f.Path)), "config"), ".")
	whole := basePath
	if path != "" {
		whole = join(basePath, path)
	}
	if base == nil {
		base = p.Node
	}
	at, option := base.At(path), optionAt(path)
	switch {
	case f.Unknown != "":
		var names []string
		for i := range option.Fields {
			names = append(names, option.Fields[i].Name)
		}
		p.unknown(at.At(f.Unknown), join(whole, f.Unknown), names)
	case !at.IsVariable() && !(at.IsReference() && option.Referenceable):
		p.add(at, whole, s, "%s", f.Problem)
	}
}

// optionAt returns the row of the table for a path, which is that of the elements
// where the path leads to a list or into one.
func optionAt(path string) *schema.Field {
	at := &schema.Field{Fields: schema.Fields()}
	for name := range strings.SplitSeq(indexes.ReplaceAllString(path, ""), ".") {
		i := slices.IndexFunc(at.Fields, func(f schema.Field) bool { return f.Name == name })
		if i < 0 {
			break
		}
		if at = &at.Fields[i]; at.Elements != nil {
			at = at.Elements
		}
	}
	return at
}

var indexes = regexp.MustCompile(`\[\d+\]`)

// references warns of vault references where Kong does not resolve them.
func (p *pluginCheck) references(n *declarative.Node, fields []schema.Field) {
	for i := range fields {
		f := &fields[i]
		value := n.Field(f.Name)
		switch {
		case f.Fields != nil:
			p.references(value, f.Fields)
		case f.Elements != nil && f.Elements.Fields != nil:
			for _, item := range value.Items() {
				p.references(item, f.Elements.Fields)
			}
		case !f.Referenceable && strings.HasPrefix(value.Text(), "{vault://"):
			p.warn(n, f.Name, "Kong does not resolve vault references here")
		}
	}
}

// credential checks the key of one of config.credentials.
func (p *pluginCheck) credential(n *declarative.Node) {
	algorithm := n.Field("algorithm").Text()
	if n.Field("algorithm").IsNull() {
		algorithm = "HS256"
	}
	field := plugin.KeyField(algorithm)
	key := n.Field(field)
	if !slices.Contains(schema.Algorithms(), algorithm) || key.Text() == "" || key.IsReference() || key.IsVariable() {
		return // told by the table, or not known
	}
	rules := &schema.Config{
		SecretIsBase64: p.list("secret_is_base64").Any() == true, AllowWeakRSAKeys: p.list("allow_weak_rsa_keys").Any() == true,
	}
	p.key(n, field, rules, &plugin.Credential{Algorithm: algorithm, Secret: n.Field("secret").Text(), PublicKey: n.Field("public_key").Text()})
}

// engine has the plugin's own engine say what it cannot use.
func (p *pluginCheck) engine() {
	engine, err := p.store.NewEngine(p.config)
	if err == nil {
		engine.Close()
		return
	}
	faults, others := schema.FieldErrors(err)
	for _, f := range faults {
		p.at(f, Error)
	}
	for _, e := range others {
		p.fault(p.Node, "config", "%v", e)
	}
}

// callers checks that the consumers that are named are there.
func (p *pluginCheck) callers() {
	for _, cr := range p.list("credentials").Items() {
		if name := cr.Field("consumer").Text(); name != "" && !p.knows(name) {
			p.fault(cr, "consumer", "there is no consumer %q: every token of this credential is refused", name)
		}
	}
	if name := p.config.Anonymous; name != "" && !p.knows(name) {
		p.at(&schema.FieldError{Path: "config.anonymous", Problem: fmt.Sprintf("there is no consumer %q: requests that should go on as this consumer get 500", name)}, Error)
	}
}

// accompanied tells whether another plugin that authenticates is on the same
// requests, as far as can be seen.
func (p *pluginCheck) accompanied() bool {
	authenticates := []string{
		"jwt", "key-auth", "key-auth-enc", "basic-auth", "hmac-auth", "oauth2", "oauth2-introspection", "ldap-auth", "ldap-auth-advanced",
		"openid-connect", "mtls-auth", "vault-auth", "jwt-signer", "saml", "session", "header-cert-auth",
	}
	return slices.ContainsFunc(p.state.Plugins, func(other *declarative.Plugin) bool {
		if !slices.Contains(authenticates, other.Title) || !other.Enabled() || other.Caller != nil {
			return false
		}
		service := p.Service
		if p.Route != nil && service == nil {
			service = p.Route.Service
		}
		return (other.Route == nil || other.Route == p.Route) && (other.Service == nil || other.Service == service)
	})
}

// issuers checks where issuers' keys come from and, online, the keys.
func (p *pluginCheck) issuers(ctx context.Context) {
	for i, named := range p.config.Issuers {
		at := func(s Severity, problem string) {
			field := "issuer"
			if named.JWKSURI != "" {
				field = "jwks_uri"
			}
			p.at(&schema.FieldError{Path: fmt.Sprintf("config.issuers[%d].%s", i+1, field), Problem: problem}, s)
		}
		for _, is := range named.PerTenant() {
			if is.JWKS != "" {
				continue
			}
			if err := p.keys.Fetchable(is.Issuer, is.JWKSURI); err != nil {
				at(Warning, err.Error()+": keys are fetched from there only with -jwks-allow-http")
			} else if p.online {
				for _, problem := range p.fetch(ctx, &is) {
					at(Error, problem)
				}
			}
		}
	}
}

// fetch fetches an issuer's keys, and says what is wrong with them.
func (p *pluginCheck) fetch(ctx context.Context, is *schema.Issuer) (problems []string) {
	set := p.keys.Open(is.Issuer, is.JWKSURI)
	defer set.Close()
	keys, err := set.Keys(ctx, "")
	if err != nil {
		return []string{err.Error()}
	}
	for _, algorithm := range is.Algorithms {
		if !slices.ContainsFunc(keys, func(k *plugin.PublishedKey) bool { return k.Fits(algorithm) }) {
			problems = append(problems, "the issuer publishes no key for "+algorithm)
		}
	}
	return problems
}
