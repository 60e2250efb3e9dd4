package plugin

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"

	"kong-go-jwt/plugin/dpop"
	"kong-go-jwt/schema"
)

// Refusal is the answer to a request that does not reach the upstream: the
// client's fault or, with a status of 5xx, a fault on this side. It is a value,
// not an error: nothing has failed when a bad token is refused.
//
// This file alone holds what clients are told. The wording is the bundled
// plugin's (kong/plugins/jwt/handler.lua) wherever it has one.
type Refusal struct {
	Status          int
	Body            []byte // JSON
	WWWAuthenticate string // "": no such header
	RetryAfter      string // seconds; "": no such header
	DPoPNonce       string // "": no such header

	// The rest is for logs and metrics alone.
	Reason Reason
	// Claim is the configured name or path of the claim at fault, where the
	// reason does not tell; "": none.
	Claim string
	// MissedBy is by how many seconds exp, nbf or iat was missed; nil: none was.
	MissedBy *float64

	encoded, encodedGRPC atomic.Pointer[[]byte]
}

// Encoded returns what encode makes of r's reply, or of that to a gRPC call. Either is
// made once for each r, by the first caller's encode; it must not be changed.
func (r *Refusal) Encoded(grpc bool, encode func(*Reply) []byte) []byte {
	kept := &r.encoded
	if grpc {
		kept = &r.encodedGRPC
	}
	if b := kept.Load(); b != nil {
		return *b
	}
	reply := r.Reply()
	if grpc {
		reply = r.GRPCReply()
	}
	b := encode(reply)
	kept.Store(&b)
	return b
}

// Reply returns r as what is sent.
func (r *Refusal) Reply() *Reply {
	return r.reply(r.Body, jsonContent())
}

// GRPCReply returns r as what Kong is told where the request is a gRPC call. Of a body
// without a Content-Type it makes grpc-message, and grpc-status of the status
// (kong/pdk/response.lua).
func (r *Refusal) GRPCReply() *Reply {
	var body struct{ Message string }
	if err := json.Unmarshal(r.Body, &body); err != nil || body.Message == "" {
		body.Message = grpcUnauthenticated
	}
	return r.reply([]byte(body.Message))
}

// grpcUnauthenticated is what Kong calls 401 where a body has no message: that of
// claims which are not as they must be.
const grpcUnauthenticated = "Unauthenticated"

func (r *Refusal) reply(body []byte, headers ...Header) *Reply {
	reply := &Reply{Status: r.Status, Body: body, Headers: headers}
	for _, h := range []Header{{Name: "WWW-Authenticate", Value: r.WWWAuthenticate}, {Name: "Retry-After", Value: r.RetryAfter}, {Name: "DPoP-Nonce", Value: r.DPoPNonce}} {
		if h.Value != "" {
			reply.Headers = append(reply.Headers, h)
		}
	}
	return reply
}

// at notes the path of the claim at fault.
func (r *Refusal) at(claim ...string) *Refusal {
	r.Claim = strings.Join(claim, ".")
	return r
}

func unauthorized(c *schema.Config, reason Reason, message string) *Refusal {
	return &Refusal{
		Status:          http.StatusUnauthorized,
		Body:            messageBody(message),
		WWWAuthenticate: challenge(c, `error="invalid_token"`),
		Reason:          reason,
	}
}

// challenge is the value of WWW-Authenticate (RFC 6750 section 3), in the schemes that
// are good under c. Parameters
// are separated by commas (RFC 9110 section 11.6.1), which the bundled plugin
// of Kong 3.9 forgets.
func challenge(c *schema.Config, params ...string) string {
	bearer := strings.TrimSuffix("Bearer "+strings.Join(challengeParams(c, params), ", "), " ")
	switch c.DPoP {
	case schema.BindingRequired:
		return dpopChallenge(c, params...)
	case schema.BindingHonour: // either will do
		return bearer + ", " + dpopChallenge(c, params...)
	case schema.BindingOff:
	}
	return bearer
}

// dpopChallenge is the challenge of RFC 9449 section 7.1.
func dpopChallenge(c *schema.Config, params ...string) string {
	algorithms := `algs="` + strings.Join(dpop.Algorithms(), " ") + `"`
	return "DPoP " + strings.Join(append(challengeParams(c, params), algorithms), ", ")
}

// challengeParams adds to params what c has every challenge tell.
func challengeParams(c *schema.Config, params []string) []string {
	all := make([]string, 0, len(params)+3)
	if c.Realm != "" {
		all = append(all, `realm="`+quotable(c.Realm)+`"`)
	}
	all = append(all, params...)
	if c.ResourceMetadata != nil { // RFC 9728 section 5.1
		all = append(all, `resource_metadata="`+quotable(MetadataURL(c.ResourceMetadata))+`"`)
	}
	return all
}

// quotable escapes what would end a quoted-string (RFC 9110 section 5.6.4).
func quotable(s string) string {
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		switch {
		case s[i] == '"' || s[i] == '\\':
			out = append(out, '\\', s[i])
		case s[i] >= ' ' && s[i] != 0x7f:
			out = append(out, s[i])
		}
	}
	return string(out)
}

func messageBody(message string) []byte {
	return jsonBody(map[string]string{"message": message})
}

// refusals are those that are the same for every request under a configuration.
// They are made, and encoded, once: a flood of bad tokens shall cost little.
type refusals struct {
	connectionHeader    *Refusal
	noToken             *Refusal
	multipleTokens      *Refusal
	unrecognizableToken *Refusal
	noKeyClaim          *Refusal
	invalidKeyClaim     *Refusal
	noCredential        *Refusal
	invalidAlgorithm    *Refusal
	invalidKey          *Refusal
	invalidSignature    *Refusal
	invalidBinding      *Refusal
	unboundToken        *Refusal
	unboundToKey        *Refusal
	noCertificate       *Refusal
	invalidCertificate  *Refusal
	wrongCertificate    *Refusal
	unboundProven       *Refusal
	noProof             *Refusal
	boundBearer         *Refusal
	malformed           map[string]*Refusal // by what is wrong, in the words of token.go
}

func newRefusals(c *schema.Config) *refusals {
	r := &refusals{
		connectionHeader: &Refusal{
			Status: http.StatusBadRequest,
			Body:   messageBody("Connection header names an identity header"),
			Reason: ReasonConnectionHeader,
		},
		noToken:             noToken(c),
		multipleTokens:      unauthorized(c, ReasonMultipleTokens, "Multiple tokens provided"),
		unrecognizableToken: unauthorized(c, ReasonUnrecognizableToken, "Unrecognizable token"),
		noKeyClaim:          unauthorized(c, ReasonNoKeyClaim, "No mandatory '"+c.KeyClaimName+"' in claims").at(c.KeyClaimName),
		invalidKeyClaim:     unauthorized(c, ReasonInvalidKeyClaim, "Invalid '"+c.KeyClaimName+"' in claims").at(c.KeyClaimName),
		noCredential:        unauthorized(c, ReasonUnknownCredential, "No credentials found for given '"+c.KeyClaimName+"'"),
		invalidAlgorithm:    unauthorized(c, ReasonInvalidAlgorithm, "Invalid algorithm"),
		invalidKey:          unauthorized(c, ReasonInvalidKey, "Invalid key/secret"),
		invalidSignature:    unauthorized(c, ReasonInvalidSignature, "Invalid signature"),
		invalidBinding:      unauthorized(c, ReasonInvalidBinding, "Invalid 'cnf' in claims").at("cnf"),
		unboundToken:        unauthorized(c, ReasonUnboundToken, "Token is not bound to a client certificate").at("cnf"),
		unboundToKey:        unauthorized(c, ReasonUnboundToken, "Token is not bound to a key").at("cnf"),
		noCertificate:       unauthorized(c, ReasonNoCertificate, "Token is bound to a client certificate, and there is none"),
		invalidCertificate:  unauthorized(c, ReasonInvalidCertificate, "Token is bound to a client certificate, and the one told cannot be read"),
		wrongCertificate:    unauthorized(c, ReasonWrongCertificate, "Token is bound to another client certificate"),
		unboundProven:       unproven(c, ReasonUnboundToken, invalidToken, "Token is not bound to a key"),
		noProof:             unproven(c, ReasonInvalidProof, invalidProof, "DPoP proof is missing"),
		boundBearer:         unproven(c, ReasonBearerOfBound, invalidToken, "Token is bound to a key, and must be sent as DPoP"),
		malformed:           map[string]*Refusal{},
	}
	for _, what := range []string{malformedJSON, malformedAlg, malformedClaims, malformedSignature, malformedCrit} {
		r.malformed[what] = unauthorized(c, ReasonMalformedToken, "Bad token; "+what)
	}
	return r
}

func noToken(c *schema.Config) *Refusal {
	var scope []string
	if c.ResourceMetadata != nil && len(c.ScopesRequired) > 0 { // for who logs in because of it
		scope = append(scope, scopeParam(c))
	}
	return &Refusal{
		Status: http.StatusUnauthorized, Body: messageBody("Unauthorized"),
		WWWAuthenticate: challenge(c, scope...), Reason: ReasonNoToken,
	}
}

// scopeParam tells what would be enough.
func scopeParam(c *schema.Config) string { return `scope="` + quotable(c.ScopesRequired[0]) + `"` }

// What is wrong, as error tells it (RFC 6750 section 3.1, RFC 9449 sections 7.1 and 9).
const (
	invalidToken = "invalid_token"
	invalidProof = "invalid_dpop_proof"
	useNonce     = "use_dpop_nonce"
)

// unproven refuses a token for how it is bound to a key, and for nothing else.
func unproven(c *schema.Config, reason Reason, code, message string) *Refusal {
	return &Refusal{
		Status: http.StatusUnauthorized, Body: messageBody(message), Reason: reason,
		WWWAuthenticate: dpopChallenge(c, `error="`+code+`"`),
	}
}

// badProof refuses a proof. nonce is told to who needs one.
func badProof(c *schema.Config, f *dpop.Fault, nonce func() string) *Refusal {
	message := "Invalid DPoP proof; " + f.What
	switch f.Kind {
	case dpop.WrongKey:
		return unproven(c, ReasonWrongProofKey, invalidToken, message)
	case dpop.Stale:
		return unproven(c, ReasonStaleProof, invalidProof, message)
	case dpop.Replayed:
		return unproven(c, ReasonReplayedProof, invalidProof, message)
	case dpop.NoNonce:
		no := unproven(c, ReasonNoNonce, useNonce, message)
		no.DPoPNonce = nonce()
		return no
	case dpop.Full:
		return &Refusal{
			Status: http.StatusServiceUnavailable, RetryAfter: "1",
			Body: messageBody("DPoP proofs cannot be told apart at the moment"), Reason: ReasonTooManyProofs,
		}
	case dpop.Invalid:
	}
	return unproven(c, ReasonInvalidProof, invalidProof, message)
}

func invalidClaims(c *schema.Config, faults *claimFaults) *Refusal {
	r := unauthorized(c, faults.reason, "")
	r.Body, r.MissedBy = jsonBody(faults.told), faults.missedBy
	return r
}

func noConsumer(c *schema.Config, key string) *Refusal {
	return &Refusal{
		Status: http.StatusUnauthorized,
		Body:   messageBody("Could not find consumer for '" + c.KeyClaimName + "=" + key + "'"),
		Reason: ReasonMissingConsumer,
	}
}

func invalidType(c *schema.Config) *Refusal {
	return unauthorized(c, ReasonInvalidType, "Invalid token type")
}

func unknownKey(c *schema.Config) *Refusal {
	return unauthorized(c, ReasonUnknownKey, "No key found for the token")
}

func invalidSubject(c *schema.Config, claim []string) *Refusal {
	return unauthorized(c, ReasonInvalidSubject, "Invalid '"+strings.Join(claim, ".")+"' in claims").at(claim...)
}

func noIssuedConsumer(c *schema.Config, claim []string) *Refusal {
	return unauthorized(c, ReasonUnknownConsumer, "Could not find consumer for claim '"+strings.Join(claim, ".")+"'").at(claim...)
}

func tokenRevoked(c *schema.Config) *Refusal {
	return unauthorized(c, ReasonRevoked, "Token revoked")
}

// revocationUnknown refuses a request of which it cannot be told whether its
// token is revoked.
func revocationUnknown() *Refusal {
	return &Refusal{
		Status:     http.StatusServiceUnavailable,
		Body:       messageBody("Revoked tokens cannot be told at the moment"),
		RetryAfter: "1",
		Reason:     ReasonRevocationUnknown,
	}
}

// insufficientScope tells what would have been enough (RFC 6750 section 3.1).
func insufficientScope(c *schema.Config) *Refusal {
	no := &Refusal{
		Status: http.StatusForbidden, Body: messageBody("Insufficient scope"),
		WWWAuthenticate: challenge(c, `error="insufficient_scope"`, scopeParam(c)),
		Reason:          ReasonInsufficientScope,
	}
	return no.at(c.ScopesClaim...)
}

func missingClaim(c *schema.Config, claim []string) *Refusal {
	no := &Refusal{
		Status:          http.StatusForbidden,
		Body:            messageBody("Claim '" + strings.Join(claim, ".") + "' does not have the required value"),
		WWWAuthenticate: challenge(c, `error="insufficient_scope"`),
		Reason:          ReasonMissingClaim,
	}
	return no.at(claim...)
}

func noAnonymous(c *schema.Config) *Refusal {
	return &Refusal{
		Status: http.StatusInternalServerError,
		Body:   messageBody("anonymous consumer " + c.Anonymous + " is configured but doesn't exist"),
		Reason: ReasonUnknownAnonymous,
	}
}

// Unavailable refuses a request that cannot be decided because credentials or
// consumers cannot be looked up.
func Unavailable() *Refusal { return unavailable("Credentials cannot be looked up at the moment") }

// keysUnavailable is the refusal where an issuer's keys cannot be fetched.
func keysUnavailable() *Refusal {
	return unavailable("The issuer's keys cannot be fetched at the moment")
}

// busy is the refusal where too many signatures wait to be verified.
func busy() *Refusal { return unavailable("Too many tokens to verify at the moment") }

func unavailable(message string) *Refusal {
	return &Refusal{
		Status:     http.StatusServiceUnavailable,
		Body:       messageBody(message),
		RetryAfter: "1",
		Reason:     ReasonLookupFailed,
	}
}

// Misconfigured refuses a request because the configuration cannot be used.
func Misconfigured() *Refusal {
	no := Failure()
	no.Reason = ReasonBadConfiguration
	return no
}

// Failure refuses a request because of a fault on this side, in Kong's words.
func Failure() *Refusal {
	return &Refusal{
		Status: http.StatusInternalServerError,
		Body:   messageBody("An unexpected error occurred"),
		Reason: ReasonFailure,
	}
}

// TooManyHeaders refuses a request with more headers than can be looked at.
func TooManyHeaders() *Refusal {
	return &Refusal{
		Status: http.StatusRequestHeaderFieldsTooLarge,
		Body:   messageBody("Too many request headers"),
		Reason: ReasonTooManyHeaders,
	}
}
