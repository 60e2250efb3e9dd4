package plugin

import (
	"math"
	"slices"
	"time"

	"kong-go-jwt/schema"
)

// validity is the span of time in which a token's registered claims let it be
// used, in seconds since 1970. It is what remains of the claims in a cached
// decision.
type validity struct {
	notBefore float64 // -Inf: always
	expires   float64 // +Inf: never; the token is good while now < expires
}

func always() validity { return validity{math.Inf(-1), math.Inf(1)} }

// faults tells what of it does not hold at the time now, in the bundled
// plugin's words, or returns nil.
func (v validity) faults(now float64) (faults map[string]string) {
	if v.holds(now) {
		return nil
	}
	faults = make(map[string]string, 2)
	if now >= v.expires {
		faults["exp"] = "token expired"
	}
	if now < v.notBefore {
		faults["nbf"] = "token not valid yet"
	}
	return faults
}

func (v validity) holds(now float64) bool { return v.notBefore <= now && now < v.expires }

const notNumber = "must be a number"

// checkClaims verifies the registered claims that c asks for (RFC 7519
// sections 4.1.4 and 4.1.5) at the time now. faults is nil if they hold.
func checkClaims(c *schema.Config, t *token, now time.Time) (v validity, faults map[string]string) {
	v, faults = always(), map[string]string{}
	exp, isNumber := t.number("exp")
	if slices.Contains(c.ClaimsToVerify, "exp") {
		if v.expires = exp + c.Leeway; !isNumber {
			v.expires, faults["exp"] = math.Inf(1), notNumber
		}
	}
	if slices.Contains(c.ClaimsToVerify, "nbf") {
		nbf, isNumber := t.number("nbf")
		if v.notBefore = nbf - c.Leeway; !isNumber {
			v.notBefore, faults["nbf"] = math.Inf(-1), notNumber
		}
	}
	seconds := wholeSeconds(now)
	for claim, fault := range v.faults(seconds) {
		faults[claim] = fault
	}
	if len(faults) > 0 {
		return v, faults
	}
	if c.MaximumExpiration > 0 && (!isNumber || exp-seconds > c.MaximumExpiration) {
		return v, map[string]string{"exp": "exceeds maximum allowed expiration"}
	}
	return v, nil
}

// wholeSeconds is the resolution of the bundled plugin's clock, ngx.time().
func wholeSeconds(t time.Time) float64 { return float64(t.Unix()) }
