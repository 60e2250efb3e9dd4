package plugin

import "kong-go-jwt/schema"

// Trace notes what is checked while a request is decided, for who wants to be
// told: see [Request]. Nothing in Header and Claims is verified, unless
// CheckSignature has passed.
type Trace struct {
	// Header and Claims are the token's, as far as it can be read. Numbers are
	// [json.Number].
	Header, Claims map[string]any
	// Key is what the token tells of its credential; nil: nothing.
	Key any
	// Issuer is the one that the token is taken to be of; nil: it is held against
	// a credential.
	Issuer *schema.Issuer
	// Keys are those of the issuer that the token may be signed with.
	Keys []*PublishedKey
	// Consumer is the token's; nil: none was found, or looked for. ConsumerClaim is
	// the path of the issuer's claim that tells it.
	Consumer      *Consumer
	ConsumerClaim []string
	// Steps are the checks that were made, in order.
	Steps []Step
	// Refusal is what came of the token, whatever becomes of the request; nil: it
	// is good, or was not looked at.
	Refusal *Refusal
}

// Step is a check that was made.
type Step struct {
	Check Check
	// Number tells which of several was held against the token, from 1; see the
	// checks.
	Number int
	Passed bool
}

// Check is what a token is held against.
type Check string

// The checks, in the order in which a request meets them.
const (
	CheckToken Check = "token" // there is one
	CheckForm  Check = "form"  // it can be read

	// Of a credential's token. Number is the place in Config.Credentials, 0 for
	// one of the source.
	CheckKeyClaim   Check = "key_claim" // tells which credential
	CheckCredential Check = "credential"
	CheckAlgorithm  Check = "algorithm" // of an issuer's token, too
	CheckKey        Check = "key"       // can be used
	CheckSignature  Check = "signature" // of an issuer's token, Number is the place in Trace.Keys

	// Of an issuer's token.
	CheckType         Check = "typ"
	CheckKeyID        Check = "kid"
	CheckPublishedKey Check = "published_key" // there is one that fits
	CheckIat          Check = "iat"
	CheckIssuedFor    Check = "issued_for" // Issuer.Audience
	CheckSubject      Check = "sub"

	CheckExp               Check = "exp"
	CheckNbf               Check = "nbf"
	CheckMaximumExpiration Check = "maximum_expiration"
	CheckConsumer          Check = "consumer"
	CheckRevocation        Check = "revocation" // Number is the place in revocations, with all of revoked before them
	CheckIssuersAllowed    Check = "issuers_allowed"
	CheckAudienceRequired  Check = "audience_required"
	CheckClaimsForbidden   Check = "claims_forbidden" // Number is the place there
	CheckScopesRequired    Check = "scopes_required"
	CheckClaimsRequired    Check = "claims_required" // Number is the place there
	CheckBinding           Check = "cnf"             // is what mtls_binding and dpop ask for
	CheckCertificate       Check = "certificate"     // that the token is bound to
	CheckProof             Check = "proof"           // of the key that the token is bound to
)

// Claim returns the claim at a path of names, nil if there is none.
func (t *Trace) Claim(path ...string) any { return claimAt(t.Claims, path) }

// step notes a check. Like all of its methods, it does nothing to a nil t.
func (t *Trace) step(c Check, number int, passed bool) {
	if t != nil {
		t.Steps = append(t.Steps, Step{c, number, passed})
	}
}

// parsed notes what a token is.
func (t *Trace) parsed(token *token, ok bool) {
	if t != nil {
		t.Header, t.Claims = token.header, token.claims
		t.step(CheckForm, 0, ok)
	}
}

func (t *Trace) keyed(claim any, ok bool) {
	if t != nil {
		t.Key = claim
		t.step(CheckKeyClaim, 0, ok)
	}
}

func (t *Trace) owned(by *entry[Consumer], claim []string, ok bool) {
	if t != nil {
		t.ConsumerClaim = claim
		if by != nil {
			t.Consumer = by.value
		}
		t.step(CheckConsumer, 0, ok)
	}
}

func (t *Trace) issued(by *issuer) {
	if t != nil {
		t.Issuer = &by.Issuer
	}
}

func (t *Trace) published(keys []*PublishedKey) {
	if t != nil {
		t.Keys = keys
	}
}

func (t *Trace) refused(no *Refusal) {
	if t != nil {
		t.Refusal = no
	}
}
