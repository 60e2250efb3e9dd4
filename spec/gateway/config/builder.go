package config

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"kong-go-jwt/spec/gateway/schema"
)

// builder fills a Store; fails collects what is wrong.
type builder struct {
	loader *Loader
	store  *Store
	fails  schema.Errors
	now    int64

	upstreams []string // names of Kong's
	warnings  []Warning
	passed    map[string]bool // ids and names of the services and routes that are not served
}

// entity is one table of the document with a place to report errors to.
type entity struct {
	m    map[string]any
	errs schema.Errors
	path string // makes ids of nameless entities
}

func (e *entity) fail(field, text string) { e.errs[field] = text }

func (e *entity) text(field string) string {
	v, ok := e.m[field]
	if !ok || v == nil {
		return ""
	}
	s, ok := v.(string)
	if !ok {
		e.fail(field, "expected a string")
	} else if s == "" {
		e.fail(field, "length must be at least 1")
	}
	return s
}

func (e *entity) number(field string, or int) int {
	v, ok := e.m[field]
	if !ok || v == nil {
		return or
	}
	n, ok := v.(float64)
	if !ok || n != float64(int(n)) {
		e.fail(field, "expected an integer")
		return or
	}
	return int(n)
}

func (e *entity) flag(field string, or bool) bool {
	v, ok := e.m[field]
	if !ok || v == nil {
		return or
	}
	b, ok := v.(bool)
	if !ok {
		e.fail(field, "expected a boolean")
	}
	return b
}

func (e *entity) texts(field string) []string {
	v, ok := e.m[field]
	if !ok || v == nil {
		return nil
	}
	items, ok := v.([]any)
	if !ok {
		e.fail(field, "expected a set")
		return nil
	}
	var out []string
	for _, i := range items {
		s, ok := i.(string)
		if !ok {
			e.fail(field, "expected a string")
			return nil
		}
		out = append(out, s)
	}
	return out
}

// id is the given id, or one made of what the entity is.
func (e *entity) id(kind, name string) string {
	if id := e.text("id"); id != "" {
		if !schema.IsUUID(id) {
			e.fail("id", "expected a valid UUID")
		}
		return id
	}
	if name == "" {
		name = e.path
	}
	return UUID(kind, name)
}

// ref is a reference to another entity: a text or a table with an id.
func (e *entity) ref(field string) string {
	switch v := e.m[field].(type) {
	case nil:
		return ""
	case string:
		return v
	case map[string]any:
		for _, k := range []string{"id", "name", "username"} {
			if s, ok := v[k].(string); ok {
				return s
			}
		}
	}
	e.fail(field, "expected a reference")
	return ""
}

// each calls do for the tables of a list and files their errors under field.
func (b *builder) each(parent *entity, field string, do func(*entity)) {
	v, ok := parent.m[field]
	if !ok || v == nil {
		return
	}
	items, ok := v.([]any)
	if !ok {
		parent.fail(field, "expected an array")
		return
	}
	errs, bad := make([]any, len(items)), false
	for i, item := range items {
		m, ok := item.(map[string]any)
		if !ok {
			errs[i], bad = "expected a record", true
			continue
		}
		e := &entity{m, schema.Errors{}, parent.path + "/" + field + "/" + strconv.Itoa(i)}
		do(e)
		if len(e.errs) > 0 {
			errs[i], bad = map[string]any(e.errs), true
		}
	}
	if bad {
		parent.errs[field] = errs
	}
}

func (b *builder) document(doc map[string]any) {
	top := &entity{doc, b.fails, ""}
	b.only(top, "document", "_format_version", "_transform", "_comment", "_ignore", "services", "routes", "plugins", "consumers",
		"jwt_secrets", "keyauth_credentials", "acls")
	if v, _ := doc["_format_version"].(string); !slices.Contains([]string{"1.1", "2.1", "3.0"}, v) {
		top.fail("_format_version", "expected one of: 1.1, 2.1, 3.0")
	}
	b.each(top, "upstreams", func(e *entity) { b.upstreams = append(b.upstreams, e.text("name")) })
	b.each(top, "consumers", b.consumer)
	b.each(top, "services", b.service)
	b.each(top, "routes", func(e *entity) { b.route(e, nil) })
	b.each(top, "plugins", func(e *entity) { b.plugin(e, nil, nil) })
	b.each(top, "jwt_secrets", func(e *entity) { b.jwt(e, "") })
	b.each(top, "keyauth_credentials", func(e *entity) { b.keyAuth(e, "") })
	b.each(top, "acls", func(e *entity) { b.acl(e, "") })
}

func (b *builder) service(e *entity) {
	b.only(e, "service", "id", "name", "url", "protocol", "host", "port", "path", "routes", "plugins", "tags", "retries",
		"connect_timeout", "read_timeout", "write_timeout", "enabled", "created_at", "updated_at")
	s := &Service{
		Name: e.text("name"), Protocol: e.text("protocol"), Host: e.text("host"),
		Port: e.number("port", 80), Path: e.text("path"),
	}
	if s.Protocol == "" {
		s.Protocol = "http"
	}
	if raw := e.text("url"); raw != "" {
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" {
			e.fail("url", "missing host in url")
			return
		}
		s.Protocol, s.Host, s.Path = u.Scheme, u.Hostname(), u.EscapedPath()
		if port, err := strconv.Atoi(u.Port()); err == nil {
			s.Port = port
		} else if u.Scheme == "https" {
			s.Port = 443
		}
	}
	if s.Host == "" {
		e.fail("host", "required field missing")
	}
	if s.Protocol != "http" && s.Protocol != "https" {
		if !slices.Contains([]string{"grpc", "grpcs", "tcp", "tls", "tls_passthrough", "udp", "ws", "wss"}, s.Protocol) {
			e.fail("protocol", "expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp")
		} else if b.passOver(e, "protocol", "serves only HTTP: this service and its routes are not served") {
			b.pass(e.m)
			return
		}
	}
	if slices.Contains(b.upstreams, s.Host) {
		b.passOver(e, "host", "has no upstreams: requests for services that name one fail")
	}
	if s.Path != "" && !strings.HasPrefix(s.Path, "/") {
		e.fail("path", "should start with: /")
	}
	s.ID = e.id("services", s.Name)
	b.store.Services = append(b.store.Services, s)
	b.each(e, "routes", func(e *entity) { b.route(e, s) })
	b.each(e, "plugins", func(e *entity) { b.plugin(e, nil, s) })
}

func (b *builder) findService(name string) *Service {
	for _, s := range b.store.Services {
		if s.ID == name || s.Name == name {
			return s
		}
	}
	return nil
}

func (b *builder) findRoute(name string) *Route {
	for _, r := range b.store.Routes {
		if r.ID == name || r.Name == name {
			return r
		}
	}
	return nil
}

func (b *builder) route(e *entity, s *Service) {
	b.only(e, "route", append(conditions(), "id", "name", "service", "paths", "hosts", "methods", "protocols", "strip_path",
		"preserve_host", "regex_priority", "plugins", "tags", "https_redirect_status_code", "path_handling", "request_buffering",
		"response_buffering", "created_at", "updated_at")...)
	r := &Route{
		Name: e.text("name"), Service: s, Paths: e.texts("paths"), Hosts: e.texts("hosts"), Methods: e.texts("methods"),
		Protocols: e.texts("protocols"), Tags: e.texts("tags"), StripPath: e.flag("strip_path", true),
		PreserveHost: e.flag("preserve_host", false), RegexPriority: e.number("regex_priority", 0),
		CreatedAt: b.now, UpdatedAt: b.now,
	}
	if b.passedRoute(e, r.Protocols) {
		b.pass(e.m)
		return
	}
	if r.Protocols == nil {
		r.Protocols = []string{"http", "https"}
	}
	if name := e.ref("service"); name != "" {
		if r.Service = b.findService(name); r.Service == nil {
			e.fail("service", "invalid reference: '"+name+"'")
		}
	}
	if len(r.Paths)+len(r.Hosts)+len(r.Methods) == 0 {
		e.fail("@entity", "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis' when 'protocols' is 'http'")
	}
	for _, p := range r.Paths {
		if pattern, ok := strings.CutPrefix(p, "~"); ok {
			if _, err := regexp.Compile(pattern); err != nil {
				e.fail("paths", fmt.Sprintf("invalid regex: '%s'", pattern))
			}
		} else if !strings.HasPrefix(p, "/") {
			e.fail("paths", "should start with: / (fixed path) or ~/ (regex path)")
		}
	}
	r.ID = e.id("routes", r.Name)
	b.store.Routes = append(b.store.Routes, r)
	b.each(e, "plugins", func(e *entity) { b.plugin(e, r, nil) })
}

func (b *builder) plugin(e *entity, r *Route, s *Service) {
	m := maps.Clone(e.m)
	if b.passedPlugin(e, m) {
		return
	}
	name := e.text("name")
	kind := b.loader.Types[name]
	if ref := e.ref("route"); ref != "" {
		if r = b.findRoute(ref); r == nil {
			e.fail("route", "invalid reference: '"+ref+"'")
		}
		m["route"] = map[string]any{"id": ref}
	}
	if ref := e.ref("service"); ref != "" {
		if s = b.findService(ref); s == nil {
			e.fail("service", "invalid reference: '"+ref+"'")
		}
		m["service"] = map[string]any{"id": ref}
	}
	consumer := e.ref("consumer")
	if consumer != "" {
		m["consumer"] = map[string]any{"id": consumer}
	}
	checked, errs := kind.Schema.Check(m)
	maps.Copy(e.errs, errs)
	if len(e.errs) > 0 {
		return
	}
	if consumer != "" {
		b.passOver(e, "consumer", "has no plugins on consumers: this one does not run")
		return
	}
	p := &Plugin{Name: name}
	if r != nil {
		p.RouteID = r.ID
	}
	if s != nil {
		p.ServiceID = s.ID
	}
	p.ID = e.id("plugins", name+"\x00"+p.RouteID+"\x00"+p.ServiceID)
	p.Enabled, _ = checked["enabled"].(bool)
	config, _ := checked["config"].(map[string]any)
	p.Written, p.Config = config, kind.Schema.Resolve(config, b.vault)
	for _, other := range b.store.Plugins {
		if other.Name == p.Name && other.RouteID == p.RouteID && other.ServiceID == p.ServiceID {
			e.fail("@entity", "uniqueness violation: 'plugins' entity with this name, route and service already declared")
		}
	}
	b.store.Plugins = append(b.store.Plugins, p)
}

// vault resolves the references of Kong's env vault; what cannot be resolved
// becomes an empty text, as on Kong.
func (b *builder) vault(reference string) string {
	value := ""
	if name, ok := strings.CutPrefix(strings.TrimSuffix(reference, "}"), "{vault://env/"); ok {
		value = b.loader.Getenv(strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
	}
	if value == "" && b.loader.Warn != nil {
		b.warnings = append(b.warnings, Warning{At: reference, Text: "cannot be resolved: its value is empty", Times: 1})
	}
	return value
}

func (b *builder) consumer(e *entity) {
	b.only(e, "consumer", "id", "username", "custom_id", "tags", "jwt_secrets", "keyauth_credentials", "acls", "plugins", "created_at", "updated_at")
	c := &Consumer{Username: e.text("username"), CustomID: e.text("custom_id"), Tags: e.texts("tags"), CreatedAt: b.now}
	if c.Username == "" && c.CustomID == "" {
		e.fail("@entity", "at least one of these fields must be non-empty: 'custom_id', 'username'")
	}
	c.ID = e.id("consumers", c.Username)
	if b.store.consumers[c.ID] != nil {
		e.fail("id", "uniqueness violation: 'consumers' entity with primary key set to '"+c.ID+"' already declared")
	}
	if c.Username != "" && b.store.usernames[c.Username] != nil {
		e.fail("username", "uniqueness violation: 'consumers' entity with username set to '"+c.Username+"' already declared")
	}
	b.store.Consumers = append(b.store.Consumers, c)
	b.store.consumers[c.ID] = c
	if c.Username != "" {
		b.store.usernames[c.Username] = c
	}
	b.each(e, "jwt_secrets", func(e *entity) { b.jwt(e, c.ID) })
	b.each(e, "keyauth_credentials", func(e *entity) { b.keyAuth(e, c.ID) })
	b.each(e, "acls", func(e *entity) { b.acl(e, c.ID) })
	b.each(e, "plugins", func(e *entity) {
		e.m = maps.Clone(e.m)
		e.m["consumer"] = c.ID
		b.plugin(e, nil, nil)
	})
}

// owner is the consumer a credential belongs to.
func (b *builder) owner(e *entity, nested string) string {
	if nested != "" {
		return nested
	}
	name := e.ref("consumer")
	if name == "" {
		e.fail("consumer", "required field missing")
		return ""
	}
	c := b.store.Consumer(name)
	if c == nil {
		e.fail("consumer", "invalid reference: '"+name+"'")
		return ""
	}
	return c.ID
}

func algorithms() []string {
	return []string{
		"HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
		"ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA",
	}
}

func (b *builder) jwt(e *entity, consumer string) {
	b.only(e, "jwt_secret", "id", "key", "secret", "algorithm", "rsa_public_key", "consumer", "tags", "created_at")
	j := &JWTSecret{
		Key: e.text("key"), Secret: e.text("secret"), Algorithm: e.text("algorithm"),
		Consumer: Ref{b.owner(e, consumer)}, Tags: e.texts("tags"), CreatedAt: b.now,
	}
	if j.Algorithm == "" {
		j.Algorithm = "HS256"
	}
	if j.Key == "" {
		j.Key = randomText()
	}
	if j.Secret == "" {
		j.Secret = randomText()
	}
	if !slices.Contains(algorithms(), j.Algorithm) {
		e.fail("algorithm", "expected one of: "+strings.Join(algorithms(), ", "))
	}
	if key := e.text("rsa_public_key"); key != "" {
		j.RSAPublicKey = &key
	}
	if strings.HasPrefix(j.Algorithm, "RS") || strings.HasPrefix(j.Algorithm, "PS") || j.Algorithm == "EdDSA" {
		switch {
		case j.RSAPublicKey == nil:
			e.fail("rsa_public_key", "required field missing")
		default:
			if block, _ := pem.Decode([]byte(*j.RSAPublicKey)); block == nil {
				e.fail("rsa_public_key", "invalid key")
			}
		}
	}
	j.ID = e.id("jwt_secrets", j.Key)
	if b.store.jwtKeys[j.Key] != nil {
		e.fail("key", "uniqueness violation: 'jwt_secrets' entity with key set to '"+j.Key+"' already declared")
	}
	b.store.JWTs = append(b.store.JWTs, j)
	b.store.jwtKeys[j.Key] = j
	b.store.jwtIDs[j.ID] = j
}

func (b *builder) keyAuth(e *entity, consumer string) {
	b.only(e, "keyauth_credential", "id", "key", "consumer", "tags", "ttl", "created_at")
	k := &KeyAuth{Key: e.text("key"), ConsumerID: b.owner(e, consumer)}
	if k.Key == "" {
		k.Key = randomText()
	}
	k.ID = e.id("keyauth_credentials", k.Key)
	b.store.keyAuths[k.Key] = k
}

func (b *builder) acl(e *entity, consumer string) {
	b.only(e, "acl", "id", "group", "consumer", "tags", "created_at")
	group := e.text("group")
	if group == "" {
		e.fail("group", "required field missing")
	}
	id := b.owner(e, consumer)
	b.store.groups[id] = append(b.store.groups[id], group)
}

// randomText is what Kong generates for a key or a secret that is not given.
func randomText() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
