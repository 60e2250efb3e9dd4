package plugin

import (
	"context"
	"sync/atomic"
	"time"
)

// KeySets gives access to the keys that issuers publish (RFC 7517). It is safe
// for concurrent use.
type KeySets interface {
	// Open returns the key set of an issuer, whose URL is jwksURI or, if that is
	// empty, found by OpenID Connect discovery. Fetching starts in the
	// background. All that open the same issuer and URL share one set.
	Open(issuer, jwksURI string) KeySet
	// Fixed returns the key set that is written in jwks (RFC 7517 section 5). The
	// error says what is wrong with it, and nothing of its keys.
	Fixed(jwks string) (KeySet, error)
}

// KeySet is the keys of one issuer. It is safe for concurrent use.
type KeySet interface {
	// Keys returns the keys that a token may be signed with: the one whose kid
	// is keyID or, if that is empty, all. There are none if the issuer, asked
	// anew where that is due, publishes none. An error means that this cannot
	// be known now. Keys waits only for what is not known yet, and not beyond
	// ctx.
	Keys(ctx context.Context, keyID string) ([]*PublishedKey, error)
	// Close tells that the set is not needed any more by who opened it.
	Close()
}

// PublishedKey is a public key out of a JWK Set that may verify signatures.
// Only Retire and AskAgain change it.
type PublishedKey struct {
	KeyID     string
	Algorithm string // the JWK's "alg"; "": any that is fit for the key
	Key       any    // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
	retired   atomic.Bool
	askAgain  atomic.Int64 // nanoseconds since 1970; 0: see AskAgain
	last      atomic.Pointer[verifier]
}

// Retire tells that the issuer publishes the key no more, or that this cannot
// be known any more. What rests on it is void from now on.
func (k *PublishedKey) Retire() { k.retired.Store(true) }

// AskAgain tells that what rests on the key must ask its set for it again from
// that time on. Without it, the set retires the key by itself.
func (k *PublishedKey) AskAgain(from time.Time) { k.askAgain.Store(from.UnixNano()) }

// good tells whether what rests on the key stands.
func (k *PublishedKey) good(now time.Time) bool {
	from := k.askAgain.Load()
	return !k.retired.Load() && (from == 0 || now.UnixNano() < from)
}

// Fits tells whether k may verify tokens that are signed with that algorithm.
func (k *PublishedKey) Fits(algorithm string) bool { return k.verifier(algorithm) != nil }

// verifier returns what checks signatures of that algorithm with k; nil if k is
// not fit for it. The last one is kept: what it has made of the key is used again.
func (k *PublishedKey) verifier(algorithm string) *verifier {
	if k.Algorithm != "" && k.Algorithm != algorithm {
		return nil
	}
	if v := k.last.Load(); v != nil && v.algorithm == algorithm {
		return v
	}
	v, err := newPublicKeyVerifier(algorithm, k.Key, minRSABits)
	if err != nil {
		return nil
	}
	k.last.Store(v)
	return v
}
