package proxy

import (
	"slices"
	"strings"

	"kong-go-jwt/spec/gateway/nginx"
	"kong-go-jwt/spec/gateway/schema"
)

// acl is the bundled acl.
func (c *requestContext) acl(conf map[string]any) {
	deny := textsOf(conf, "deny")
	wanted := deny
	if len(deny) == 0 {
		wanted = textsOf(conf, "allow")
	}
	refuse := func() {
		switch {
		case c.credential != nil:
			c.exit = c.failure(403, "You cannot consume this service")
		default:
			c.exit = c.failure(401, "Unauthorized")
		}
	}
	header := "X-Consumer-Groups"
	var groups []string
	shared, authenticated := c.sharedGroups()
	consumerID, identified := c.consumerID()
	switch {
	case !identified:
		if !authenticated {
			refuse()
			return
		}
		groups, header = shared, "X-Authenticated-Groups"
	case (c.credential == nil || flag(conf, "always_use_authenticated_groups")) && authenticated:
		groups, header = shared, "X-Authenticated-Groups"
	default:
		if !schema.IsUUID(consumerID) {
			c.gateway.Log.Printf(nginx.Err, `[acl] invalid primary key: '{id="expected a valid UUID"}'`)
			c.exit = c.failure(500, unexpected)
			return
		}
		groups = c.store.Groups(consumerID)
		if len(groups) == 0 && len(deny) == 0 {
			refuse()
			return
		}
	}
	in := slices.ContainsFunc(wanted, func(g string) bool { return slices.Contains(groups, g) })
	if in == (len(deny) > 0) {
		c.exit = c.failure(403, "You cannot consume this service")
		return
	}
	if !flag(conf, "hide_groups_header") {
		value := strings.Join(groups, ", ")
		if value == "" {
			value = " "
		}
		c.header.Set(header, value)
	}
}

// consumerID is the id that acl looks groups up by. A credential that came over
// the socket without a consumer has the id "", which is true to Lua.
func (c *requestContext) consumerID() (string, bool) {
	switch {
	case c.consumer != nil:
		return c.consumer.ID, true
	case c.credential != nil && !c.credential.Bare:
		return c.credential.ConsumerID, true
	}
	return "", false
}

// sharedGroups reads kong.ctx.shared.authenticated_groups.
func (c *requestContext) sharedGroups() ([]string, bool) {
	switch v := c.shared["authenticated_groups"].(type) {
	case []any:
		return textsOf(map[string]any{"groups": v}, "groups"), true
	case map[string]any:
		return nil, true
	}
	return nil, false
}
