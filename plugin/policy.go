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
	if len(c.IssuersAllowed) > 0 {
		iss, _ := t.claims["iss"].(string)
		allowed := slices.Contains(c.IssuersAllowed, iss)
		t.trace.step(CheckIssuersAllowed, 0, allowed)
		if !allowed {
			faults = faults.add("iss", "issuer not allowed", ReasonWrongIssuer)
		}
	}
	if !audienceHolds(t, c.AudienceRequired, CheckAudienceRequired) {
		faults = wrongAudience(faults)
	}
	for i, name := range c.ClaimsForbidden {
		_, there := t.claims[name]
		t.trace.step(CheckClaimsForbidden, i+1, !there)
		if there {
			faults = faults.add(name, "claim not allowed", ReasonForbiddenClaim)
		}
	}
	if faults != nil {
		return invalidClaims(c, faults)
	}
	if len(c.ScopesRequired) > 0 {
		has := claimWords(claimAt(t.claims, c.ScopesClaim))
		enough := slices.ContainsFunc(c.ScopesRequired, func(wanted string) bool {
			scopes := strings.Fields(wanted)
			return len(scopes) > 0 && !slices.ContainsFunc(scopes, func(scope string) bool { return !slices.Contains(has, scope) })
		})
		t.trace.step(CheckScopesRequired, 0, enough)
		if !enough {
			return insufficientScope(c)
		}
	}
	for i, rule := range c.ClaimsRequired {
		holds := ruleHolds(&rule, claimAt(t.claims, rule.Claim))
		t.trace.step(CheckClaimsRequired, i+1, holds)
		if !holds {
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
func audienceHolds(t *token, wanted []string, check Check) bool {
	if len(wanted) == 0 {
		return true
	}
	holds := slices.ContainsFunc(asList(t.claims["aud"]), func(v any) bool {
		s, ok := v.(string)
		return ok && slices.Contains(wanted, s)
	})
	t.trace.step(check, 0, holds)
	return holds
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
