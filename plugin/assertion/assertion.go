// Package assertion makes the token that tells an upstream who the caller is:
// the upstream assertion, a JWT signed by the gateway (RFC 7519). It reads the
// private keys of the configuration, mints, and publishes the public part.
//
// Package verify, for services, is the other end, and imports nothing of this.
package assertion

import (
	"crypto"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kong-go-jwt/schema"
)

// Type is the typ header of every assertion. No other kind of token has it, so
// that none can be taken for the other (RFC 8725 section 3.11).
const Type = "upstream-assertion+jwt"

// Signer mints assertions under one configuration, and holds its keys. It is
// read-only and safe for concurrent use.
type Signer struct {
	c      *schema.UpstreamAssertion
	method jwt.SigningMethod
	key    crypto.Signer
	keys   []Key
}

// New returns a signer for c. The error is a [*schema.FieldError], and holds
// nothing of a key.
func New(c *schema.UpstreamAssertion) (*Signer, error) {
	s := &Signer{c: c, method: jwt.GetSigningMethod(c.Algorithm)}
	for i, text := range c.Keys {
		private, err := parsePrivateKey([]byte(text))
		var public Key
		if err == nil {
			public, err = newKey(private.Public())
		}
		if err == nil && i == 0 && public.Algorithm != c.Algorithm {
			err = fmt.Errorf("is a key for %s, but the first key signs and must fit algorithm %s", public.Algorithm, c.Algorithm)
		}
		if err != nil {
			return nil, &schema.FieldError{Path: fmt.Sprintf("config.upstream_assertion.keys[%d]", i+1), Problem: err.Error()}
		}
		if i == 0 {
			s.key = private
		}
		s.keys = append(s.keys, public)
	}
	return s, nil
}

// Keys returns the public part of all keys, the signing one first.
func (s *Signer) Keys() []Key { return s.keys }

// Life is how long an assertion is good for.
func (s *Signer) Life() time.Duration { return time.Duration(s.c.TTL) * time.Second }

// Caller is who an assertion tells of. Empty fields are left out of it.
type Caller struct {
	// Subject is the sub claim. It means one caller whatever issuer or
	// credential vouched for him.
	Subject string

	ConsumerID, Username, CustomID string // of the Kong consumer
	Credential                     string // X-Credential-Identifier: the credential's key or the issuer's sub
	OriginalIssuer                 string // who issued the caller's token
	Groups                         []string
	Scope                          string // separated by spaces (RFC 8693 section 4.2)
	Anonymous                      bool

	// Claims are copied from the caller's token, with the structure they have
	// there.
	Claims map[string]any

	Method, Path string // of the request, if it is bound
}

// Mint returns a signed assertion of a caller, issued at the time now, and that
// time in whole seconds. It takes some 50 microseconds with ES256 and EdDSA, and
// a millisecond with RS256.
func (s *Signer) Mint(c *Caller, now time.Time) (token string, issued time.Time, err error) {
	issued = now.Truncate(time.Second)
	claims := make(jwt.MapClaims, 16+len(c.Claims))
	for name, v := range c.Claims {
		claims[name] = v
	}
	for name, v := range map[string]string{
		"sub": c.Subject, "consumer_id": c.ConsumerID, "username": c.Username, "custom_id": c.CustomID,
		"credential": c.Credential, "original_issuer": c.OriginalIssuer, "scope": c.Scope,
		"method": c.Method, "path": c.Path,
	} {
		if v != "" {
			claims[name] = strings.ToValidUTF8(v, "\uFFFD")
		}
	}
	if len(c.Groups) > 0 {
		claims["groups"] = c.Groups
	}
	claims["anonymous"] = c.Anonymous
	claims["iss"], claims["aud"] = s.c.Issuer, s.c.Audience
	claims["iat"], claims["exp"] = issued.Unix(), issued.Add(s.Life()).Unix()
	claims["jti"] = rand.Text()

	t := jwt.NewWithClaims(s.method, claims)
	t.Header["typ"], t.Header["kid"] = Type, s.keys[0].ID
	if token, err = t.SignedString(s.key); err != nil {
		return "", issued, fmt.Errorf("signing an upstream assertion: %w", err)
	}
	return token, issued, nil
}
