package plugin

import (
	"slices"
	"strings"

	"kong-go-jwt/schema"
)

// checkPolicy holds a verified token against what the configuration asks of its
// claims. Nil means that it complies.
func checkPolicy(c *schema.Config, t *token) *Refusal {
	var faults *claimFaults
	if iss, _ := t.claims["iss"].(string); len(c.IssuersAllowed) > 0 && !slices.Contains(c.IssuersAllowed, iss) {
		faults = faults.add("iss", "issuer not allowed", ReasonWrongIssuer)
	}
	if !audienceHolds(t, c.AudienceRequired) {
		faults = wrongAudience(faults)
	}
	for _, name := range c.ClaimsForbidden {
		if _, there := t.claims[name]; there {
			faults = faults.add(name, "claim not allowed", ReasonForbiddenClaim)
		}
	}
	if faults != nil {
		return invalidClaims(c, faults)
	}
	if len(c.ScopesRequired) > 0 {
		has := claimWords(claimAt(t.claims, c.ScopesClaim))
		enough := slices.ContainsFunc(c.ScopesRequired, func(wanted string) bool {
			return !slices.ContainsFunc(strings.Fields(wanted), func(scope string) bool { return !slices.Contains(has, scope) })
		})
		if !enough {
			return insufficientScope(c)
		}
	}
	for _, rule := range c.ClaimsRequired {
		if !ruleHolds(&rule, claimAt(t.claims, rule.Claim)) {
			return missingClaim(c, rule.Claim)
		}
	}
	return nil
}

func wrongAudience(faults *claimFaults) *claimFaults {
	return faults.add("aud", "audience not allowed", ReasonWrongAudience)
}

// audienceHolds tells whether aud holds one of wanted, or none is wanted
// (RFC 7519 section 4.1.3).
func audienceHolds(t *token, wanted []string) bool {
	if len(wanted) == 0 {
		return true
	}
	for _, v := range asList(t.claims["aud"]) {
		if s, ok := v.(string); ok && slices.Contains(wanted, s) {
			return true
		}
	}
	return false
}

func asList(v any) []any {
	if list, ok := v.([]any); ok {
		return list
	}
	return []any{v}
}

func ruleHolds(rule *schema.ClaimRule, v any) bool {
	_, isList := v.([]any)
	switch {
	case v == nil:
		return false
	case rule.Match == "contains":
		return isList && slices.Contains(claimTexts(v), rule.Value)
	}
	return !isList && claimText(v) == rule.Value
}
