package conformance

import (
	"fmt"
	"strings"
)

// The consumers of the cases.
const (
	Alice       = "00000000-0000-4000-8000-000000000001"
	Bob         = "00000000-0000-4000-8000-000000000002"
	Carol       = "00000000-0000-4000-8000-000000000003"
	Nameless    = "00000000-0000-4000-8000-000000000004"
	Anonymous   = "00000000-0000-4000-8000-0000000000aa"
	BobsKeyID   = "00000000-0000-4000-8000-0000000000b0"
	AlicesKeyID = "00000000-0000-4000-8000-0000000000a0"
)

// Secret is the HS256 secret of the credential https://auth.example.com.
const Secret = "your-256-bit-secret"

type table = map[string]any

// Consumers are the consumers and credentials of the cases, in Kong's
// declarative format.
func Consumers(keys Keys) []any {
	text := func(name string) string { return string(keys[name].Secret) }
	hs := func(key, alg, secret string) any { return table{"key": key, "algorithm": alg, "secret": secret} }
	public := func(key, name string) any {
		alg := strings.ToUpper(key[:5])
		if strings.HasPrefix(key, "ed") {
			alg = "EdDSA"
		}
		return table{"key": key, "algorithm": alg, "secret": "unused", "rsa_public_key": keys[name].PublicPEM()}
	}
	return []any{
		table{"id": Alice, "username": "alice", "custom_id": "a-1", "keyauth_credentials": []any{table{"id": AlicesKeyID, "key": "alices-key"}}, "jwt_secrets": []any{
			hs("https://auth.example.com", "HS256", Secret),
			hs("hs256", "HS256", text("hs-a")), hs("hs384", "HS384", text("hs-a")), hs("hs512", "HS512", text("hs-a")),
			hs("key with space/and?odd=chars&%25", "HS256", text("hs-a")), hs("ключ-✓", "HS256", text("hs-a")),
			hs("42", "HS256", text("hs-a")),
			hs("b64", "HS256", "c2VjcmV0LWJ5dGVzLXNlY3JldC1ieXRlcy1zZWNyZXQtYnl0ZXM"),
			hs("b64url", "HS256", "_-8_-8_-8_-8_-8_-8_-8_-8_-8_-8_-8_-8"),
		}},
		table{
			"id": Bob, "username": "bob",
			"jwt_secrets": []any{
				public("rs256", "rsa-a"), public("rs384", "rsa-a"), public("rs512", "rsa-a"),
				public("ps256", "rsa-a"), public("ps384", "rsa-a"), public("ps512", "rsa-a"),
				public("rs256-4096", "rsa-4096"), public("ps256-4096", "rsa-4096"),
			},
			"keyauth_credentials": []any{table{"id": BobsKeyID, "key": "bobs-key"}},
		},
		table{"id": Carol, "username": "carol", "custom_id": "c-3", "jwt_secrets": []any{
			public("es256", "p256"), public("es384", "p384"), public("es512", "p521"),
			public("eddsa", "ed25519"), public("ed448", "ed448"),
		}},
		table{"id": Nameless, "custom_id": "only-custom", "jwt_secrets": []any{hs("custom", "HS256", text("hs-a"))}},
		table{"id": Anonymous, "username": "anonymous-user"},
	}
}

// Also is the second plugin of a case.
func Also(name string) (any, error) {
	switch name {
	case "key-auth":
		return table{"name": "key-auth"}, nil
	case "key-auth-anonymous":
		return table{"name": "key-auth", "config": table{"anonymous": Anonymous}}, nil
	}
	return nil, fmt.Errorf("unknown second plugin %q", name)
}

// Config is the configuration that has a route for every distinct
// configuration among the cases, and those in extra.
func Config(plugin, upstream string, cases []Case, keys Keys, extra ...any) (any, error) {
	var routes []any
	list, _ := Routes(cases)
	for _, r := range list {
		plugins := []any{table{"name": plugin, "config": r.Config}}
		if r.Also != "" {
			also, err := Also(r.Also)
			if err != nil {
				return nil, err
			}
			plugins = append(plugins, also)
		}
		routes = append(routes, table{"name": r.Path[1:], "paths": []any{r.Path}, "plugins": plugins})
	}
	return table{
		"_format_version": "3.0",
		"services":        []any{table{"name": "upstream", "url": upstream, "routes": append(routes, extra...)}},
		"consumers":       Consumers(keys),
	}, nil
}
