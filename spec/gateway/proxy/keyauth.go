package proxy

import (
	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/spec/gateway/wire"
)

func flag(conf map[string]any, name string) bool {
	b, _ := conf[name].(bool)
	return b
}

func textOf(conf map[string]any, name string) string {
	s, _ := conf[name].(string)
	return s
}

func textsOf(conf map[string]any, name string) []string {
	items, _ := conf[name].([]any)
	out := make([]string, 0, len(items))
	for _, i := range items {
		if s, ok := i.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// keyAuth is the bundled key-auth, as far as it looks into headers and query.
// It ends the request by setting exit.
func (c *requestContext) keyAuth(conf map[string]any) {
	if !flag(conf, "run_on_preflight") && c.method == "OPTIONS" {
		return
	}
	anonymous := textOf(conf, "anonymous")
	if anonymous != "" && c.credential != nil {
		return
	}
	consumer, credential, refusal := c.keyAuthConsumer(conf)
	switch {
	case refusal == "":
		c.identify(consumer, credential)
	case anonymous != "":
		// An anonymous consumer that does not exist is a nil consumer to
		// key-auth, and authenticating nobody an error.
		if consumer = c.store.Consumer(anonymous); consumer == nil {
			c.exit = c.failure(500, unexpected)
			return
		}
		c.identify(consumer, nil)
	default:
		challenge := "Key"
		if realm := textOf(conf, "realm"); realm != "" {
			challenge += ` realm="` + realm + `"`
		}
		c.exit = c.failure(401, refusal)
		c.exit.Header.Set("WWW-Authenticate", challenge)
	}
}

func (c *requestContext) keyAuthConsumer(conf map[string]any) (*config.Consumer, *wire.Credential, string) {
	headers := c.header.Map(maxHeaders)
	query := decodeArgs(c.query, maxHeaders)
	key := ""
	for _, name := range textsOf(conf, "key_names") {
		var v any
		if values := headerLookup(headers, name); flag(conf, "key_in_header") && len(values) > 0 {
			v = values[0]
			if len(values) > 1 {
				return nil, nil, "Duplicate API key found"
			}
		} else if flag(conf, "key_in_query") {
			v = query[name]
		}
		if _, many := v.([]any); many {
			return nil, nil, "Duplicate API key found"
		}
		if s, ok := v.(string); ok {
			key = s
			if flag(conf, "hide_credentials") {
				c.header.Del(name)
				c.query = withoutArg(c.query, name)
			}
			break
		}
	}
	if key == "" {
		return nil, nil, "No API key found in request"
	}
	credential := c.store.KeyAuth(key)
	if credential == nil {
		return nil, nil, "Unauthorized"
	}
	return c.store.ConsumerByID(credential.ConsumerID), &wire.Credential{ID: credential.ID}, ""
}

// identify tells the upstream who it is and the later plugins too.
func (c *requestContext) identify(consumer *config.Consumer, credential *wire.Credential) {
	c.setConsumer(consumer, credential)
	set := func(name, value string) {
		if value == "" {
			c.header.Del(name)
		} else {
			c.header.Set(name, value)
		}
	}
	set("X-Consumer-ID", consumer.ID)
	set("X-Consumer-Custom-ID", consumer.CustomID)
	set("X-Consumer-Username", consumer.Username)
	if credential != nil {
		set("X-Credential-Identifier", credential.ID)
		set("X-Anonymous-Consumer", "")
	} else {
		set("X-Credential-Identifier", "")
		set("X-Anonymous-Consumer", "true")
	}
}
