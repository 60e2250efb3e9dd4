package check

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"kong-go-jwt/plugin"
)

// saw tells in words what a check saw.
func (x *explainer) saw(s plugin.Step) string {
	c, t := x.plugin.config, &x.trace
	switch s.Check {
	case plugin.CheckToken:
		if x.where == "" {
			return "the plugin looks nowhere: header_names, uri_param_names and cookie_names are empty"
		}
		if text := "sent " + x.where; s.Passed || x.given.sentBy() != "DPoP" {
			return text
		}
		return "sent " + x.where + ", while dpop is off"
	case plugin.CheckForm:
		return x.sawForm(s.Passed)
	case plugin.CheckKeyClaim:
		return c.KeyClaimName + " is " + quote(t.Key)
	case plugin.CheckCredential:
		return x.sawCredential(s.Passed)
	case plugin.CheckAlgorithm:
		return x.sawAlgorithm(s)
	case plugin.CheckKey:
		switch {
		case x.isUnknown(s):
			return "is filled in later" + x.which(s)
		case s.Passed:
			return "can be used"
		}
		return "cannot be used: see below"
	case plugin.CheckSignature:
		return x.sawSignature(s)
	case plugin.CheckType:
		return quote(t.Header["typ"]) + "; the issuer's type is " + t.Issuer.Type
	case plugin.CheckKeyID:
		return quote(t.Header["kid"]) + " is not a string"
	case plugin.CheckPublishedKey:
		return "the issuer publishes none with kid " + quote(t.Header["kid"]) + " that fits " + quote(t.Header["alg"])
	case plugin.CheckExp, plugin.CheckNbf, plugin.CheckIat:
		text := x.when(t.Claims[string(s.Check)])
		if c.Leeway > 0 {
			text += fmt.Sprintf("; leeway %gs", c.Leeway)
		}
		return text
	case plugin.CheckMaximumExpiration:
		return fmt.Sprintf("exp is %s; at most %s from now", x.when(t.Claims["exp"]), span(seconds(c.MaximumExpiration)))
	case plugin.CheckIssuedFor:
		return wanted("aud", t.Claim("aud"), t.Issuer.Audience)
	case plugin.CheckAudienceRequired:
		return wanted("aud", t.Claim("aud"), c.AudienceRequired)
	case plugin.CheckIssuersAllowed:
		return wanted("iss", t.Claim("iss"), c.IssuersAllowed)
	case plugin.CheckScopesRequired:
		return wanted(strings.Join(c.ScopesClaim, "."), t.Claim(c.ScopesClaim...), c.ScopesRequired)
	case plugin.CheckClaimsRequired:
		rule := c.ClaimsRequired[s.Number-1]
		name, v := strings.Join(rule.Claim, "."), t.Claim(rule.Claim...)
		if rule.Match == "contains" {
			return fmt.Sprintf("%s is %s; expected: a list that contains %s", name, quote(v), quote(rule.Value))
		}
		return wanted(name, v, []string{rule.Value})
	case plugin.CheckClaimsForbidden:
		if s.Passed {
			return c.ClaimsForbidden[s.Number-1] + " is not there"
		}
		return c.ClaimsForbidden[s.Number-1] + " is there"
	case plugin.CheckSubject:
		return "sub is " + quote(t.Claims["sub"]) + ", and there is no consumer"
	case plugin.CheckConsumer:
		return x.sawConsumer(s.Passed)
	case plugin.CheckRevocation:
		return x.sawRevocation(s)
	case plugin.CheckBinding:
		return fmt.Sprintf("cnf is %s; mtls_binding is %s, dpop is %s", quote(t.Claims["cnf"]), c.MTLSBinding, c.DPoP)
	case plugin.CheckCertificate:
		return x.sawCertificate(s.Passed)
	case plugin.CheckProof:
		return x.sawProof(s.Passed)
	}
	return ""
}

func (x *explainer) sawForm(ok bool) string {
	if ok {
		return "a signed JWT"
	}
	switch parts := strings.Count(x.token, ".") + 1; {
	case strings.Contains(x.token, " "):
		return "there is white space in it"
	case parts == 5:
		return "it has five parts, as encrypted tokens (JWE) have"
	case parts != 3:
		return fmt.Sprintf("it has %s, where a signed JWT has three", number(parts, "part"))
	}
	return strings.TrimPrefix(x.message(), "Bad token; ")
}

func (x *explainer) sawCredential(there bool) string {
	key, _ := x.trace.Key.(string)
	var places, keys []string
	for i, cr := range x.plugin.config.Credentials {
		if keys = append(keys, cr.Key); cr.Key == key {
			places = append(places, place(x.credential(i+1)))
		}
	}
	switch {
	case there && len(places) > 0:
		return strings.Join(places, ", ")
	case there:
		return place(x.credential(0))
	}
	for _, j := range x.source.state.JWTSecrets {
		keys = append(keys, j.Key)
	}
	text := "none has the key " + quote(key)
	if meant := nearest(key, keys); meant != "" {
		text += "; is " + quote(meant) + " meant?"
	}
	return text
}

func (x *explainer) sawAlgorithm(s plugin.Step) string {
	if s.Passed {
		return quote(x.trace.Header["alg"]) + x.which(s)
	}
	of := "the credential's"
	var allowed string
	if is := x.trace.Issuer; is != nil {
		of, allowed = "the issuer's", strings.Join(is.Algorithms, ", ")
	} else if allowed = x.credential(s.Number).Field("algorithm").Text(); allowed == "" {
		allowed = "HS256"
	}
	return fmt.Sprintf("the token's is %s, %s %s", quote(x.trace.Header["alg"]), of, allowed) + x.which(s)
}

// which tells which of several credentials a step is about.
func (x *explainer) which(s plugin.Step) string {
	if s.Number == 0 {
		return ""
	}
	return fmt.Sprintf(" (credentials[%d])", s.Number-1)
}

func (x *explainer) sawSignature(s plugin.Step) string {
	text := "does not verify"
	switch {
	case x.isUnknown(s):
		text = "needs the key"
	case s.Passed:
		text = "verifies"
	}
	if x.trace.Issuer == nil {
		return text + x.which(s)
	}
	if id := x.trace.Keys[s.Number-1].KeyID; id != "" {
		return text + " with the published key " + quote(id)
	}
	return text + " with a published key"
}

func (x *explainer) sawConsumer(there bool) string {
	switch t := &x.trace; {
	case t.Consumer != nil:
		name := quote(t.Consumer.Username)
		if t.Consumer.Username == "" {
			name = "custom_id " + quote(t.Consumer.CustomID)
		}
		return name + ", id " + t.Consumer.ID
	case there:
		return "none, which consumer_optional allows"
	case t.Issuer != nil:
		return fmt.Sprintf("%s is %s: no consumer has that %s", strings.Join(t.ConsumerClaim, "."), quote(t.Claim(t.ConsumerClaim...)), t.Issuer.ConsumerBy)
	}
	return "the credential's consumer does not exist"
}

// isUnfetched tells whether the list with that number is published and was not
// fetched.
func (x *explainer) isUnfetched(list int) bool {
	return !x.online && list > min(1, len(x.plugin.config.Revoked))
}

// isUnknown tells whether a check could not be made, for want of what it looks at.
func (x *explainer) isUnknown(s plugin.Step) bool {
	switch s.Check {
	case plugin.CheckKey, plugin.CheckSignature:
		return x.trace.Issuer == nil && len(filledIn(x.credential(s.Number))) > 0
	case plugin.CheckRevocation:
		return x.isUnfetched(s.Number)
	case plugin.CheckCertificate, plugin.CheckProof:
		return !s.Passed && x.given.lacks(x.trace.Refusal.Reason) != ""
	default:
		return false
	}
}

func (x *explainer) sawRevocation(s plugin.Step) string {
	published := s.Number - 1 - min(1, len(x.plugin.config.Revoked))
	name := fmt.Sprintf("revocations[%d]", published)
	if published < 0 {
		name = "revoked"
	}
	switch {
	case !s.Passed:
		return name + " names the token"
	case x.isUnfetched(s.Number):
		return name + " is fetched only with -online"
	}
	return name + " does not name the token"
}

// wanted tells a claim, and which values are good.
func wanted(name string, v any, good []string) string {
	of := "one of "
	if len(good) == 1 {
		of = ""
	}
	return fmt.Sprintf("%s is %s; expected: %s%s", name, quote(v), of, quoteAll(good))
}

func quoteAll(texts []string) string {
	quoted := make([]string, 0, len(texts))
	for _, s := range texts {
		quoted = append(quoted, quote(s))
	}
	return strings.Join(quoted, ", ")
}

// quote is a value as JSON, without what a terminal would obey.
func quote(v any) string {
	const most = 200
	if v == nil {
		return "not there"
	}
	text, ok := v.(string)
	if ok {
		text = strconv.Quote(text)
	} else {
		b, err := json.Marshal(v)
		if err != nil {
			return "unreadable"
		}
		text = printable(string(b))
	}
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return text
}

// printable is a text without what a terminal would obey.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// lastSecond is the last one of the year 9999.
const lastSecond = 253402300799

func date(seconds float64) string {
	return time.UnixMilli(int64(seconds * 1000)).UTC().Format("2006-01-02 15:04:05 UTC")
}

// when tells a NumericDate (RFC 7519 section 2) as a date, and how far away it is.
func (x *explainer) when(v any) string {
	n, ok := v.(json.Number)
	if !ok {
		return quote(v)
	}
	at, err := n.Float64()
	if err != nil || math.Abs(at) > lastSecond {
		return quote(v)
	}
	now := float64(x.now.Unix())
	switch d := seconds(math.Abs(at - now)); {
	case d < time.Second:
		return date(at) + " (now)"
	case at < now:
		return date(at) + " (" + span(d) + " ago)"
	default:
		return date(at) + " (in " + span(d) + ")"
	}
}

// seconds is a number of seconds, the longest duration if it is longer than that.
func seconds(n float64) time.Duration {
	if n >= math.MaxInt64/float64(time.Second) {
		return math.MaxInt64
	}
	return time.Duration(n * float64(time.Second))
}

// span is a duration in its greatest unit.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	for _, unit := range []struct {
		from, of time.Duration
		name     string
	}{{2 * 365 * day, 365 * day, "year"}, {2 * day, day, "day"}, {time.Hour, time.Hour, "hour"}, {time.Minute, time.Minute, "minute"}} {
		if d >= unit.from {
			return number(int(d/unit.of), unit.name)
		}
	}
	return number(int(d/time.Second), "second")
}
