package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Warning tells of something that Kong knows and this gateway does not, and which is
// passed over.
type Warning struct {
	At    string // the first place, such as services[0].plugins[1]
	Text  string
	Times int // in all
}

func (w Warning) String() string {
	if w.Times > 1 {
		return fmt.Sprintf("%s: %s (and %d more)", w.At, w.Text, w.Times-1)
	}
	return w.At + ": " + w.Text
}

// lackingFields are those of an entity, or of the whole document, that Kong knows and
// this gateway does not.
func lackingFields(of string) []string {
	switch of {
	case "document":
		return []string{
			"upstreams", "targets", "certificates", "ca_certificates", "snis", "vaults", "keys", "key_sets", "filter_chains",
			"consumer_groups", "consumer_group_consumers", "consumer_group_plugins", "basicauth_credentials",
			"hmacauth_credentials", "oauth2_credentials", "oauth2_tokens", "oauth2_authorization_codes", "sessions",
			"acme_storage", "parameters", "workspaces",
		}
	case "service":
		return []string{"ca_certificates", "client_certificate", "tls_verify", "tls_verify_depth", "filter_chains"}
	case "route":
		return []string{"filter_chains"}
	case "consumer":
		return []string{"basicauth_credentials", "hmacauth_credentials", "oauth2_credentials", "groups", "consumer_groups"}
	}
	return nil
}

// conditions are those of Kong's routes that this gateway cannot check: without
// them a route would take more requests than it does there.
func conditions() []string {
	return []string{"headers", "snis", "sources", "destinations", "expression", "priority"}
}

// gaps returns the settings of one of this gateway's own plugins that Kong has and
// it has not, and those of them that do nothing unless others are set.
func gaps(plugin string) (settings, idle []string) {
	switch plugin {
	case "rate-limiting":
		return []string{"month", "year", "path", "policy=cluster", "policy=redis", "limit_by=path", "limit_by=consumer-group"},
			[]string{
				"sync_rate", "redis", "redis_host", "redis_port", "redis_username", "redis_password", "redis_ssl", "redis_ssl_verify",
				"redis_server_name", "redis_timeout", "redis_database",
			}
	case "key-auth":
		return []string{"key_in_body=true", "identity_realms"}, nil
	case "acl":
		return []string{"include_consumer_groups=true"}, []string{"include_consumer_groups"}
	case "cors":
		return []string{"private_network=true", "allow_origin_absent=false"}, []string{"private_network", "allow_origin_absent"}
	case "request-termination":
		return []string{"echo=true", "trigger"}, []string{"echo"}
	case "file-log":
		return []string{"custom_fields_by_lua"}, nil
	}
	return nil, nil
}

// bundledPlugins are Kong 3.9's own, those of its Enterprise edition aside.
func bundledPlugins() []string {
	return []string{
		"acl", "acme", "ai-prompt-decorator", "ai-prompt-guard", "ai-prompt-template", "ai-proxy", "ai-request-transformer",
		"ai-response-transformer", "aws-lambda", "azure-functions", "basic-auth", "bot-detection", "correlation-id", "cors",
		"datadog", "file-log", "grpc-gateway", "grpc-web", "hmac-auth", "http-log", "ip-restriction", "jwt", "key-auth",
		"ldap-auth", "loggly", "oauth2", "opentelemetry", "post-function", "pre-function", "prometheus", "proxy-cache",
		"rate-limiting", "redirect", "request-size-limiting", "request-termination", "request-transformer",
		"response-ratelimiting", "response-transformer", "session", "standard-webhooks", "statsd", "syslog", "tcp-log",
		"udp-log", "zipkin",
	}
}

// passOver tells whether to go on without what is not here. Where the loader is
// strict it is an error instead.
func (b *builder) passOver(e *entity, field, text string) bool {
	text = "the embedded gateway " + text
	if b.loader.Warn == nil {
		e.fail(field, text)
		return false
	}
	i := slices.IndexFunc(b.warnings, func(w Warning) bool { return w.Text == text })
	if i < 0 {
		b.warnings = append(b.warnings, Warning{At: e.place(), Text: text})
		i = len(b.warnings) - 1
	}
	b.warnings[i].Times++
	return true
}

// place is where e stands in the document: services[0].plugins[1].
func (e *entity) place() string {
	var out strings.Builder
	for i, part := range strings.Split(strings.TrimPrefix(e.path, "/"), "/") {
		switch {
		case i%2 == 1:
			out.WriteString("[" + part + "]")
		case i > 0:
			out.WriteString("." + part)
		default:
			out.WriteString(part)
		}
	}
	if out.Len() == 0 {
		return "the configuration"
	}
	return out.String()
}

// only refuses fields that are not named, and passes over what Kong has and this
// gateway lacks.
func (b *builder) only(e *entity, kind string, fields ...string) {
	lacks := lackingFields(kind)
	for _, k := range slices.Sorted(maps.Keys(e.m)) {
		switch {
		case slices.Contains(fields, k):
		case !slices.Contains(lacks, k):
			e.fail(k, "unknown field")
		case e.m[k] != nil:
			b.passOver(e, k, "has no "+k)
		}
	}
}

// pass notes that a service, with its routes, or a route is not served: what refers
// to it is not either.
func (b *builder) pass(m map[string]any) {
	if b.passed == nil {
		b.passed = map[string]bool{}
	}
	for _, k := range []string{"id", "name"} {
		if s, ok := m[k].(string); ok {
			b.passed[s] = true
		}
	}
	routes, _ := m["routes"].([]any)
	for _, r := range routes {
		if route, ok := r.(map[string]any); ok {
			b.pass(route)
		}
	}
}

// passedRoute tells whether a route is one that this gateway cannot serve as Kong
// does.
func (b *builder) passedRoute(e *entity, protocols []string) bool {
	passed := b.passed[e.ref("service")]
	for _, k := range conditions() {
		if e.m[k] != nil {
			passed = b.passOver(e, k, "does not match routes by "+k+": this route is not served") || passed
		}
	}
	if len(protocols) > 0 && !slices.Contains(protocols, "http") && !slices.Contains(protocols, "https") {
		passed = b.passOver(e, "protocols", "serves only HTTP: this route is not served") || passed
	}
	return passed
}

// passedPlugin tells whether a plugin is one that this gateway does not run. What
// does nothing is taken out of its settings, in m.
func (b *builder) passedPlugin(e *entity, m map[string]any) bool {
	name := e.text("name")
	if _, known := b.loader.Types[name]; !known {
		switch {
		case b.loader.Warn == nil || name == "":
			e.fail("name", "plugin '"+name+"' not enabled; add it to the 'plugins' configuration property")
			return true
		case slices.Contains(bundledPlugins(), name):
			return b.passOver(e, "name", "has no plugin "+name+": it does not run")
		}
		return b.passOver(e, "name", "has no plugin "+name+", and neither has Kong: it does not run")
	}
	if b.loader.Warn == nil {
		return false
	}
	if b.passed[e.ref("route")] || b.passed[e.ref("service")] {
		return true
	}
	if e.m["consumer_group"] != nil {
		return b.passOver(e, "consumer_group", "has no plugins on consumer groups: this one does not run")
	}
	settings, idle := gaps(name)
	config, ok := m["config"].(map[string]any)
	if !ok {
		return false
	}
	for _, s := range settings {
		field, value, some := strings.Cut(s, "=")
		if got := config[field]; got != nil && (!some || fmt.Sprint(got) == value) {
			return b.passOver(e, "config", "does not support "+s+" of "+name+": this plugin does not run")
		}
	}
	config = maps.Clone(config)
	maps.DeleteFunc(config, func(k string, v any) bool {
		return slices.Contains(idle, k) || v == nil && slices.Contains(settings, k)
	})
	m["config"] = config
	return false
}
