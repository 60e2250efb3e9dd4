package dpop

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"math"
	"slices"
	"time"
)

// Skew is by how much a client's clock may be ahead of this one, beside any leeway.
const Skew = 5 * time.Second

// Verifier holds proofs against their requests. It is read-only and safe for
// concurrent use.
type Verifier struct {
	Lifetime time.Duration // for how long a proof, and a nonce, is good
	Leeway   time.Duration // by which clocks may differ
	Replays  *Replays
	Nonces   *Nonces // nil: none is asked for
	Now      func() time.Time
}

// Request is what a proof must be of.
type Request struct {
	Method string
	URIs   []string // any of these, from Normalize
	Token  []byte   // the access token
	Key    []byte   // thumbprint of the key that it is bound to (RFC 7638)
}

// Proof is a proof that is of its request, but for its signature.
type Proof struct {
	v       *Verifier
	p       *proof
	created time.Time
}

// Check holds all of a proof against r but its signature, which takes long. A proof
// without a fault must be given to Use.
func (v *Verifier) Check(text []byte, r *Request) (Proof, *Fault) {
	p, no := parse(text)
	if no != nil {
		return Proof{}, no
	}
	hash := sha256.Sum256(r.Token)
	uri, isURI := Normalize(p.htu)
	switch {
	case subtle.ConstantTimeCompare([]byte(p.thumbprint), []byte(base64.RawURLEncoding.EncodeToString(r.Key))) == 0:
		return Proof{}, &Fault{WrongKey, "it is of another key than the token's"}
	case p.htm != r.Method:
		return Proof{}, fault("htm is not the request's method")
	case !isURI || !slices.Contains(r.URIs, uri):
		return Proof{}, fault("htu is not the request's URI")
	case subtle.ConstantTimeCompare([]byte(p.ath), []byte(base64.RawURLEncoding.EncodeToString(hash[:]))) == 0:
		return Proof{}, fault("ath is not the token's hash")
	}
	created, no := v.created(p, v.Now())
	return Proof{v, p, created}, no
}

// created returns when a proof was made: by this clock where it must have a nonce, and
// else by the client's.
func (v *Verifier) created(p *proof, now time.Time) (time.Time, *Fault) {
	if v.Nonces != nil {
		at, made := v.Nonces.made(p.nonce)
		if !made || now.Before(at) || now.Sub(at) > v.Lifetime {
			return at, &Fault{NoNonce, "it needs the nonce of DPoP-Nonce"}
		}
		return at, nil
	}
	age := float64(now.Unix()) - math.Floor(p.iat)
	switch {
	case age > (v.Lifetime + v.Leeway).Seconds():
		return now, &Fault{Stale, "iat is too long ago"}
	case age < -(Skew + v.Leeway).Seconds():
		return now, &Fault{Stale, "iat is in the future"}
	}
	return now.Add(-time.Duration(age) * time.Second), nil
}

// Use verifies the proof's signature, which takes as long as that of a token, and uses
// it up.
func (p Proof) Use() *Fault {
	if !p.p.verify() {
		return fault("its signature is not that of its jwk")
	}
	until := p.created.Add(p.v.Lifetime + p.v.Leeway)
	switch fresh, room := p.v.Replays.use(p.p.thumbprint, p.p.jti, until, p.v.Now()); {
	case !fresh:
		return &Fault{Replayed, "it was used before"}
	case !room:
		return &Fault{Full, "it cannot be told whether it was used before"}
	}
	return nil
}

// NextNonce returns a nonce to take the place of the proof's (RFC 9449 section 8.2), once
// that has half of its life behind it, so that who goes on using the service never needs
// two tries; "": the proof's own will do, or none is asked for.
func (p Proof) NextNonce() string {
	now := p.v.Now()
	if p.v.Nonces == nil || now.Sub(p.created) <= p.v.Lifetime/2 {
		return ""
	}
	return p.v.Nonces.New(now)
}
