package plugin

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"kong-go-jwt/schema"
)

// issuer is an identity provider whose published keys are trusted.
type issuer struct {
	schema.Issuer

	keys KeySet
}

// open returns the keys of an issuer: those in the configuration, or else those
// that it publishes.
func (s *Store) open(is *schema.Issuer) (KeySet, error) {
	if is.JWKS != "" {
		return s.o.Keys.Fixed(is.JWKS)
	}
	return s.o.Keys.Open(is.Issuer, is.JWKSURI), nil
}

// maxCandidates is how many keys a signature is tried with if its token names
// none.
const maxCandidates = 4

// verifyIssued decides whether a token of a trusted issuer is accepted.
func (e *Engine) verifyIssued(ctx context.Context, is *issuer, t *token, consumers ConsumerSource) (*verified, Outcome) {
	f := facts{issuer: is.Issuer.Issuer}
	refused := func(no *Refusal) (*verified, Outcome) { return nil, Outcome{Refusal: no, facts: f} }
	if consumers == nil { // a signature with a public key is never quick
		return nil, Outcome{Refusal: Failure(), Fault: errMustWait}
	}
	t.trace.issued(is)
	if is.Type != "" {
		holds := typeHolds(t, is.Type)
		t.trace.step(CheckType, 0, holds)
		if !holds {
			return refused(invalidType(e.c))
		}
	}
	allowed := slices.Contains(is.Algorithms, t.alg)
	t.trace.step(CheckAlgorithm, 0, allowed)
	if !allowed {
		return refused(e.no.invalidAlgorithm)
	}
	keyID, ok := t.header["kid"].(string)
	if !ok && t.header["kid"] != nil {
		t.trace.step(CheckKeyID, 0, false)
		return refused(unknownKey(e.c))
	}
	ctx, cancel := context.WithTimeout(ctx, e.s.o.LookupTimeout)
	defer cancel()
	keys, err := is.keys.Keys(ctx, keyID)
	if err != nil {
		return nil, Outcome{Refusal: keysUnavailable(), Fault: fmt.Errorf("issuer %s: %w", is.Issuer.Issuer, err), facts: f}
	}
	t.trace.published(keys)
	if len(keys) == 1 {
		f.keyID = keys[0].KeyID
	}
	key, tried, err := e.verifyingKey(ctx, t, keys)
	if err != nil {
		return nil, Outcome{Refusal: busy(), Fault: err}
	}
	switch {
	case tried == 0:
		return refused(unknownKey(e.c))
	case key == nil:
		return refused(e.no.invalidSignature)
	}
	v := &verified{decision: decision{key: key}, identity: is.identity(t)}
	f.keyID, f.claims, f.credential = key.KeyID, t.claims, v.identity.CredentialKey
	var faults *claimFaults
	if v.validity, faults = checkIssuedClaims(e.c, t, e.s.o.Now()); faults == nil && !audienceHolds(t, is.Audience, CheckIssuedFor) {
		faults = wrongAudience(nil)
	}
	if faults != nil {
		return refused(invalidClaims(e.c, faults))
	}
	v.epoch = e.s.consumerEpoch.Load()
	consumer, out := e.issuedConsumer(ctx, is, t, consumers)
	if out.Refusal != nil {
		out.facts = f
		return nil, out
	}
	if consumer != nil {
		v.consumer, v.identity.Consumer = consumer, consumer.value
	} else {
		v.unmatched = true
	}
	if v.identity.Subject == "" {
		if consumer == nil {
			t.trace.step(CheckSubject, 0, false)
			return refused(invalidSubject(e.c, is.CredentialClaim))
		}
		v.identity.CredentialID, v.identity.CredentialKey = consumer.value.ID, consumer.value.ID
		f.credential = consumer.value.ID
	}
	return v, Outcome{facts: f}
}

// identity returns who a token is from, without the consumer. It has no credential
// if the token does not tell.
func (is *issuer) identity(t *token) *Identity {
	subject, _ := claimAt(t.claims, is.CredentialClaim).(string)
	if subject == "" {
		return new(Identity)
	}
	id := subject
	if is.CredentialPrefix {
		id = is.Issuer.Issuer + "#" + subject
	}
	return &Identity{CredentialID: id, CredentialKey: id, Subject: subject}
}

// verifyingKey returns the key that the signature verifies with, and how many
// were fit for being tried (RFC 8725 sections 3.1 and 3.2). It waits for its turn.
func (e *Engine) verifyingKey(ctx context.Context, t *token, keys []*PublishedKey) (key *PublishedKey, tried int, err error) {
	done, err := e.s.turns.take(ctx, e.s.o.LookupTimeout)
	if err != nil {
		return nil, 0, err
	}
	defer done()
	for i, k := range keys {
		verifier := k.verifier(t.alg)
		if verifier == nil || k.retired.Load() {
			continue
		}
		if tried++; tried > maxCandidates {
			return nil, tried, nil
		}
		good := verifier.verify(t)
		t.trace.step(CheckSignature, i+1, good)
		if good {
			return k, tried, nil
		}
	}
	if tried == 0 {
		t.trace.step(CheckPublishedKey, 0, false)
	}
	return nil, tried, nil
}

// typeHolds compares the typ header, which is a media type whose "application/"
// may be left out (RFC 7515 section 4.1.9, RFC 9068 section 4).
func typeHolds(t *token, want string) bool {
	typ, _ := t.header["typ"].(string)
	short := func(s string) string { return strings.TrimPrefix(strings.ToLower(s), "application/") }
	return short(typ) == short(want)
}

// checkIssuedClaims verifies the registered claims of an issuer's token, asked
// for or not: exp must be there, nbf too if it is asked for, and what is there of
// nbf and iat is held against the clock.
func checkIssuedClaims(c *schema.Config, t *token, now time.Time) (validity, *claimFaults) {
	issued := *c
	issued.ClaimsToVerify = []string{"exp"}
	if t.claims["nbf"] != nil || slices.Contains(c.ClaimsToVerify, "nbf") {
		issued.ClaimsToVerify = append(issued.ClaimsToVerify, "nbf")
	}
	v, faults := checkClaims(&issued, t, now)
	if faults != nil {
		return v, faults
	}
	if t.claims["iat"] != nil {
		iat, ok := t.number("iat")
		switch {
		case !ok:
			faults = faults.add("iat", notNumber, ReasonInvalidIat)
		case iat-c.Leeway > wholeSeconds(now):
			faults = faults.missed("iat", "token issued in the future", ReasonIssuedInFuture, iat-wholeSeconds(now))
		default:
			v.notBefore = math.Max(v.notBefore, iat-c.Leeway)
		}
		t.trace.step(CheckIat, 0, faults == nil)
	}
	return v, faults
}

// issuedConsumer finds the consumer of an issuer's token; nil without a refusal
// where there is none and none is needed.
func (e *Engine) issuedConsumer(ctx context.Context, is *issuer, t *token, consumers ConsumerSource) (*entry[Consumer], Outcome) {
	claim, path := consumerClaim(is, t)
	var consumer *entry[Consumer]
	var err error
	if claim != "" {
		consumer, err = e.consumerBy(ctx, is.ConsumerBy, claim, consumers)
	}
	if err != nil {
		return nil, Outcome{Refusal: Unavailable(), Fault: fmt.Errorf("looking up a consumer: %w", err)}
	}
	enough := consumer != nil || is.ConsumerOptional
	t.trace.owned(consumer, path, enough)
	if !enough {
		return nil, Outcome{Refusal: noIssuedConsumer(e.c, path)}
	}
	return consumer, Outcome{}
}

// consumerClaim returns the claim that tells the consumer: the first of
// consumer_claims that is there. It alone decides, so that a caller for whom
// there is no consumer does not pass for the client that it uses.
func consumerClaim(is *issuer, t *token) (value string, path []string) {
	paths := is.ConsumerClaims
	if len(paths) == 0 {
		paths = [][]string{is.ConsumerClaim}
	}
	for _, path = range paths {
		if v := claimAt(t.claims, path); v != nil {
			value, _ = v.(string)
			return value, path
		}
	}
	return "", paths[0]
}

var errNoSource = errors.New("a consumer cannot be looked up by custom_id: -store is none")

// consumerBy finds a consumer by what a claim tells of it, and by nothing else:
// Kong's load_consumer takes ids and usernames alike.
func (e *Engine) consumerBy(ctx context.Context, by, value string, consumers ConsumerSource) (*entry[Consumer], error) {
	if by == "custom_id" {
		if e.s.customIDs.source == nil {
			return nil, errNoSource
		}
		if consumer, known := e.s.customIDs.peek(value); known {
			return consumer, nil
		}
		return e.s.customIDs.find(ctx, value)
	}
	consumer, err := e.s.consumer(ctx, value, consumers)
	if err != nil || consumer == nil {
		return nil, err
	}
	if c := consumer.value; by == "id" && c.ID == value || by == "username" && c.Username == value {
		return consumer, nil
	}
	return nil, nil //nolint:nilnil // no error, and nothing found
}
