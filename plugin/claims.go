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

func (v validity) holds(now float64) bool { return v.notBefore <= now && now < v.expires }

const notNumber = "must be a number"

// claimFaults are what is wrong with a token's claims.
type claimFaults struct {
	told     map[string]string // to the client: by claim, in the bundled plugin's words
	reason   Reason            // of the first
	missedBy *float64          // see Refusal
}

// at tells whether a claim is at fault.
func (f *claimFaults) at(claim string) bool { return f != nil && f.told[claim] != "" }

// add returns f, or the first faults if f is nil, with what is wrong with a claim.
func (f *claimFaults) add(claim, told string, reason Reason) *claimFaults {
	if f == nil {
		f = &claimFaults{told: make(map[string]string, 1), reason: reason}
	}
	f.told[claim] = told
	return f
}

// missed is add for a claim that is missed by so many seconds.
func (f *claimFaults) missed(claim, told string, reason Reason, by float64) *claimFaults {
	f = f.add(claim, told, reason)
	if f.reason == reason && !math.IsInf(by, 0) {
		f.missedBy = &by
	}
	return f
}

// checkClaims verifies the registered claims that c asks for (RFC 7519
// sections 4.1.4 and 4.1.5) at the time now. faults is nil if they hold.
func checkClaims(c *schema.Config, t *token, now time.Time) (v validity, faults *claimFaults) {
	v = always()
	seconds := wholeSeconds(now)
	// either is the reason for a claim that is not a number.
	either := func(claim string, absent, invalid Reason) Reason {
		if t.claims[claim] == nil {
			return absent
		}
		return invalid
	}
	exp, isNumber := t.number("exp")
	if slices.Contains(c.ClaimsToVerify, "exp") {
		switch v.expires = exp + c.Leeway; {
		case !isNumber:
			faults = faults.add("exp", notNumber, either("exp", ReasonNoExp, ReasonInvalidExp))
		case seconds >= v.expires:
			faults = faults.missed("exp", "token expired", ReasonExpired, seconds-exp)
		}
		t.trace.step(CheckExp, 0, !faults.at("exp"))
	}
	if slices.Contains(c.ClaimsToVerify, "nbf") {
		nbf, isNumber := t.number("nbf")
		switch v.notBefore = nbf - c.Leeway; {
		case !isNumber:
			faults = faults.add("nbf", notNumber, either("nbf", ReasonNoNbf, ReasonInvalidNbf))
		case seconds < v.notBefore:
			faults = faults.missed("nbf", "token not valid yet", ReasonNotYetValid, nbf-seconds)
		}
		t.trace.step(CheckNbf, 0, !faults.at("nbf"))
	}
	if faults != nil || c.MaximumExpiration <= 0 {
		return v, faults
	}
	const exceeds = "exceeds maximum allowed expiration"
	switch over := exp - seconds - c.MaximumExpiration; {
	case !isNumber:
		faults = faults.add("exp", exceeds, either("exp", ReasonNoExp, ReasonInvalidExp))
	case over > 0:
		faults = faults.missed("exp", exceeds, ReasonExceedsMaximum, over)
	}
	t.trace.step(CheckMaximumExpiration, 0, faults == nil)
	return v, faults
}

// wholeSeconds is the resolution of the bundled plugin's clock, ngx.time().
func wholeSeconds(t time.Time) float64 { return float64(t.Unix()) }
