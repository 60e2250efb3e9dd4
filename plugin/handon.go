package plugin

import (
	"fmt"
	"strings"

	"kong-go-jwt/schema"
)

// claimHeaders returns the headers of claims_to_headers with what a token's
// claims say; those without a value are to be removed. Without claims, all are.
// The last is that of an upstream assertion, if there is to be one, without it.
func claimHeaders(c *schema.Config, claims map[string]any) []Header {
	headers := make([]Header, 0, len(c.ClaimsToHeaders))
	for _, h := range c.ClaimsToHeaders {
		values := claimTexts(claimAt(claims, h.Claim))
		_, isList := claimAt(claims, h.Claim).([]any)
		joined := isList && h.Values == "comma"
		for i := range values {
			values[i] = headerSafe(values[i], joined)
		}
		header := Header{Name: h.Header}
		switch {
		case joined:
			header.Value = strings.Join(values, ",")
		case len(values) == 1:
			header.Value = values[0]
		case len(values) > 1:
			header.Values = values
		}
		headers = append(headers, header)
	}
	if c.UpstreamAssertion != nil {
		headers = append(headers, Header{Name: c.UpstreamAssertion.Header})
	}
	return headers
}

// headerSafe percent-encodes what would break a header line and, for an element
// of a list joined by commas, what would make two of it; there "%" too, so that
// decoding gives back what the claim was.
func headerSafe(s string, element bool) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == 0x7f || element && (c == ',' || c == '%') {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// groups returns the caller's groups for Kong's ACL plugin. They are nil only without
// groups_claim: with it, nobody goes on with groups that something else has set.
func groups(c *schema.Config, claims map[string]any) []string {
	if len(c.GroupsClaim) == 0 {
		return nil
	}
	return claimTexts(claimAt(claims, c.GroupsClaim))
}
