package check

import (
	"fmt"
	"slices"

	"kong-go-jwt/schema"
)

// hosts warns of DPoP on a route that takes any host. The htu of a proof is compared with
// the request's own Host then, so that a service which was sent a token and a proof can
// send both on to here, unless the token's audience keeps it from that.
func (p *pluginCheck) hosts() {
	refused := p.draft.refused // of which it is not known what they say
	unknown := p.state.Partial || refused["audience_required"] || refused["issuers"]
	if !p.config.DPoP.On() || unknown || checksAudience(p.config) {
		return
	}
	for _, r := range p.state.Routes {
		if len(r.Field("hosts").Items()) > 0 || !r.Field("expression").IsNull() || p.state.Effective(p.Title, r) != p.Plugin {
			continue
		}
		p.at(&schema.FieldError{
			Path: "config.dpop",
			Problem: fmt.Sprintf("route %q has no hosts, so a token and proof for another host are accepted there too, unless a trusted proxy "+
				"sends X-Forwarded-Host: set hosts on the route, or audience_required", r.Title),
		}, Warning)
		return
	}
}

// checksAudience tells whether aud is checked of all tokens that are known of.
func checksAudience(c *schema.Config) bool {
	unchecked := func(is schema.Issuer) bool { return len(is.Audience) == 0 }
	return len(c.AudienceRequired) > 0 ||
		len(c.Issuers) > 0 && len(c.Credentials) == 0 && !slices.ContainsFunc(c.Issuers, unchecked)
}
