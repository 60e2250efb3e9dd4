package proxy

import (
	"slices"
	"strings"
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
			c.exit = failure(403, "You cannot consume this service", c.id)
		default:
			c.exit = failure(401, "Unauthorized", c.id)
		}
	}
	header := "X-Consumer-Groups"
	var groups []string
	shared, authenticated := c.sharedGroups()
	switch {
	case c.consumer == nil:
		if !authenticated {
			refuse()
			return
		}
		groups, header = shared, "X-Authenticated-Groups"
	case (c.credential == nil || flag(conf, "always_use_authenticated_groups")) && authenticated:
		groups, header = shared, "X-Authenticated-Groups"
	default:
		groups = c.store.Groups(c.consumer.ID)
		if len(groups) == 0 && len(deny) == 0 {
			refuse()
			return
		}
	}
	in := slices.ContainsFunc(wanted, func(g string) bool { return slices.Contains(groups, g) })
	if in == (len(deny) > 0) {
		c.exit = failure(403, "You cannot consume this service", c.id)
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
