package schema

import (
	"net/url"
	"strings"
)

// checkMetadata checks resource_metadata.
func (c *Config) checkMetadata() (errs []error) {
	if m := c.ResourceMetadata; m != nil {
		if _, err := url.Parse(m.Resource); err != nil {
			errs = append(errs, fault("config.resource_metadata.resource", "is not a URL"))
		}
	}
	return errs
}

// Scopes are those that ScopesRequired names, each once, in its order.
func (c *Config) Scopes() (scopes []string) {
	seen := map[string]bool{}
	for _, together := range c.ScopesRequired {
		for _, scope := range strings.Fields(together) {
			if !seen[scope] {
				seen[scope] = true
				scopes = append(scopes, scope)
			}
		}
	}
	return scopes
}
