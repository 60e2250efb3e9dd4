package plugin

//go:generate go test -run TestReasonsAreCurrent . -update

// Reason says in one word why a request was refused: in metrics, in Kong's logs
// and in docs/reasons.md. It never holds anything that a client has sent.
type Reason string

// The reasons, in the order in which a request meets them. What each means
// stands in the table below; a new one needs a row there.
const (
	ReasonConnectionHeader    Reason = "connection_header"
	ReasonTooManyHeaders      Reason = "too_many_headers"
	ReasonNoToken             Reason = "no_token"
	ReasonMultipleTokens      Reason = "multiple_tokens"
	ReasonUnrecognizableToken Reason = "unrecognizable_token"
	ReasonMalformedToken      Reason = "malformed_token"
	ReasonNoKeyClaim          Reason = "no_key_claim"
	ReasonInvalidKeyClaim     Reason = "invalid_key_claim"
	ReasonUnknownCredential   Reason = "unknown_credential"
	ReasonInvalidType         Reason = "invalid_type"
	ReasonInvalidAlgorithm    Reason = "invalid_algorithm"
	ReasonUnknownKey          Reason = "unknown_key"
	ReasonInvalidKey          Reason = "invalid_key"
	ReasonInvalidSignature    Reason = "invalid_signature"
	ReasonNoExp               Reason = "no_exp"
	ReasonInvalidExp          Reason = "invalid_exp"
	ReasonExpired             Reason = "expired"
	ReasonExceedsMaximum      Reason = "exceeds_maximum_expiration"
	ReasonNoNbf               Reason = "no_nbf"
	ReasonInvalidNbf          Reason = "invalid_nbf"
	ReasonNotYetValid         Reason = "not_yet_valid"
	ReasonInvalidIat          Reason = "invalid_iat"
	ReasonIssuedInFuture      Reason = "issued_in_the_future"
	ReasonRevoked             Reason = "revoked"
	ReasonRevocationUnknown   Reason = "revocation_unknown"
	ReasonWrongIssuer         Reason = "wrong_issuer"
	ReasonWrongAudience       Reason = "wrong_audience"
	ReasonForbiddenClaim      Reason = "forbidden_claim"
	ReasonInvalidSubject      Reason = "invalid_subject"
	ReasonMissingConsumer     Reason = "missing_consumer"
	ReasonUnknownConsumer     Reason = "unknown_consumer"
	ReasonInsufficientScope   Reason = "insufficient_scope"
	ReasonMissingClaim        Reason = "missing_claim"
	ReasonInvalidBinding      Reason = "invalid_binding"
	ReasonUnboundToken        Reason = "unbound_token"
	ReasonNoCertificate       Reason = "no_certificate"
	ReasonInvalidCertificate  Reason = "invalid_certificate"
	ReasonWrongCertificate    Reason = "wrong_certificate"
	ReasonBearerOfBound       Reason = "bound_token_as_bearer" //nolint:gosec // a reason
	ReasonInvalidProof        Reason = "invalid_dpop_proof"
	ReasonWrongProofKey       Reason = "wrong_dpop_key"
	ReasonStaleProof          Reason = "stale_dpop_proof"
	ReasonNoNonce             Reason = "dpop_nonce_needed"
	ReasonReplayedProof       Reason = "replayed_dpop_proof"
	ReasonTooManyProofs       Reason = "too_many_dpop_proofs"
	ReasonUnknownAnonymous    Reason = "unknown_anonymous"
	ReasonLookupFailed        Reason = "lookup_failed"
	ReasonBadConfiguration    Reason = "bad_configuration"
	ReasonFailure             Reason = "failure"
)

// ReasonMeaning is a row of the table of reasons.
type ReasonMeaning struct {
	Reason  Reason
	Meaning string // why the request was refused
	Remedy  string // what to do about it
}

// Reasons is the table of all reasons, from which docs/reasons.md is made.
func Reasons() []ReasonMeaning {
	return []ReasonMeaning{
		{
			ReasonConnectionHeader, "The request's `Connection` header names an identity header. Kong would then remove that header.",
			"Find out who sent it: ordinary clients do not do this. `guard_headers: false` turns the check off.",
		},
		{
			ReasonTooManyHeaders, "The request has 1,000 headers or more, so Kong could not show all of them.",
			"The client must send fewer headers.",
		},
		{
			ReasonNoToken, "The request has no token in the places where the plugin looks.",
			"Compare where the client puts the token with `header_names`, `uri_param_names` and `cookie_names`. In a header, the token must follow the word `Bearer`.",
		},
		{
			ReasonMultipleTokens, "The request has different tokens in several places.",
			"The client must send only one token. Or configure fewer places.",
		},
		{
			ReasonUnrecognizableToken, "A query parameter for the token has no value: `?jwt` without `=`.",
			"Correct the client.",
		},
		{
			ReasonMalformedToken, "The token is not a signed JWT. The answer says which part is wrong.",
			"Check that the client sends the whole token, and that the token is not encrypted (JWE), opaque, or signed with an unsupported algorithm.",
		},
		{
			ReasonNoKeyClaim, "The token does not have the claim that names its credential (`key_claim_name`), and its `iss` is not in `issuers`.",
			"Set `key_claim_name` to the claim that names the credential, or add the issuer to `issuers`.",
		},
		{
			ReasonInvalidKeyClaim, "The claim that names the credential is empty or not a string.",
			"Correct the program that makes the token.",
		},
		{
			ReasonUnknownCredential, "No credential has the key that the token names, and the token's `iss` is not in `issuers`.",
			"Compare the claim that `key_claim_name` names with the keys in `jwt_secrets` and `credentials`, letter by letter. A slash at the end counts.",
		},
		{
			ReasonInvalidType, "The token's `typ` is not the issuer's `type`.",
			"Check whether the client sends an ID token instead of an access token.",
		},
		{
			ReasonInvalidAlgorithm, "The token is signed with an algorithm that its credential or issuer does not allow.",
			"Set the credential's `algorithm`, or the issuer's `algorithms`, to the one that signs the tokens.",
		},
		{
			ReasonUnknownKey, "The issuer publishes no key that fits the token.",
			"Compare the token's `kid` and `alg` with the issuer's JWK Set. The plugin fetches new keys at most once per `-jwks-min-interval`.",
		},
		{
			ReasonInvalidKey, "The credential's key or secret cannot be used.",
			"See Kong's log: it names the credential, and says what is wrong with its key.",
		},
		{
			ReasonInvalidSignature, "The signature does not match the key of the credential or issuer.",
			"Compare the key with the signer's key, and `secret_is_base64` with how the secret is written. If both are right, the token was changed or forged.",
		},
		{
			ReasonNoExp, "The token has no `exp`, but must have one.",
			"The signer must add an `exp`. Or remove `exp` from `claims_to_verify`. Tokens of `issuers` must always have an `exp`, and so must all tokens with `maximum_expiration`.",
		},
		{ReasonInvalidExp, "The token's `exp` is not a number.", "Correct the program that makes the token: `exp` is in seconds since 1970."},
		{
			ReasonExpired, "The token's `exp` has passed.",
			"The client should get a new token before the old one expires. If the token was only a few seconds late, compare the clocks, or set `leeway`.",
		},
		{
			ReasonExceedsMaximum, "The token's `exp` lies further in the future than `maximum_expiration`.",
			"The signer must make tokens with a shorter life. Or raise `maximum_expiration`.",
		},
		{
			ReasonNoNbf, "The token has no `nbf`, but must have one.",
			"The signer must add an `nbf`. Or remove `nbf` from `claims_to_verify`.",
		},
		{ReasonInvalidNbf, "The token's `nbf` is not a number.", "Correct the program that makes the token: `nbf` is in seconds since 1970."},
		{
			ReasonNotYetValid, "The token's `nbf` lies in the future.",
			"Compare the clocks of this host and of the signer, or set `leeway`.",
		},
		{ReasonInvalidIat, "The token's `iat` is not a number.", "Correct the program that makes the token: `iat` is in seconds since 1970."},
		{
			ReasonIssuedInFuture, "The token's `iat` lies in the future.",
			"Compare the clocks of this host and of the signer, or set `leeway`.",
		},
		{
			ReasonRevoked, "The token is in `revoked`, or on a list of `revocations`.",
			"If the client may still call, it must get a new token.",
		},
		{
			ReasonRevocationUnknown, "The plugin has no usable copy of a list of `revocations`, whose `on_failure` is `closed`.",
			"See Kong's log: it says why the list cannot be fetched. The metric `go_jwt_revocation_list_usable` shows which list it is.",
		},
		{
			ReasonWrongIssuer, "The token's `iss` is not in `issuers_allowed`.",
			"If you want to accept tokens of this issuer, add it there.",
		},
		{
			ReasonWrongAudience, "The token's `aud` contains none of `audience_required`, or none of the issuer's `audience`.",
			"Check that the client asks for a token for this service. Compare the values letter by letter.",
		},
		{
			ReasonForbiddenClaim, "The token has a claim that `claims_forbidden` names.",
			"Check what kind of token the client sends. It may be an ID token instead of an access token.",
		},
		{
			ReasonInvalidSubject, "The issuer has `consumer_optional`, but the caller has no consumer, and the token has no `sub` (or `credential_claim`).",
			"The issuer must add a `sub`. Or set `credential_claim` to a claim that the tokens have.",
		},
		{
			ReasonMissingConsumer, "The credential's consumer does not exist.",
			"Compare the credential's `consumer` with Kong's consumers. If all callers are refused for this reason, Kong has lost its database.",
		},
		{
			ReasonUnknownConsumer, "No consumer matches the claim that identifies it.",
			"Create the consumer, or compare `consumer_claim` and `consumer_by` with the token. `consumer_optional: true` accepts callers without a consumer.",
		},
		{
			ReasonInsufficientScope, "The token has none of `scopes_required`.",
			"The client must ask for the scope. If the scopes are in another claim than `scope`, set `scopes_claim`.",
		},
		{
			ReasonMissingClaim, "A claim does not have the value that `claims_required` asks for. The answer and the log name it.",
			"Look at this claim in the token. For a list, set `match: contains`.",
		},
		{
			ReasonInvalidBinding, "The token's `cnf` (RFC 7800), which says what the token is bound to, is malformed.",
			"Correct the program that makes the token: `cnf` is an object; `x5t#S256` and `jkt` in it are 32 bytes as base64url.",
		},
		{
			ReasonUnboundToken, "The token is not bound to a client certificate or a key, but `mtls_binding` or `dpop` is `required`, or the client sent the token as DPoP.",
			"The issuer must bind the client's tokens (RFC 8705, RFC 9449). Or set the option to `honour`.",
		},
		{
			ReasonNoCertificate, "The token is bound to a client certificate, but the request has none.",
			"Check that the client sends its certificate, and that Kong asks for it: `nginx_proxy_ssl_verify_client = optional_no_ca`. Behind a proxy, compare the proxy's address with `trusted_proxies`.",
		},
		{
			ReasonInvalidCertificate, "A trusted proxy sent something in `certificate_header_name` that is not a certificate.",
			"Compare the header with `certificate_header_format`. The proxy must send it only once.",
		},
		{
			ReasonWrongCertificate, "The token is bound to another client certificate than the one of the request.",
			"Check whether the client got its token with the certificate that it uses now. If it did, the token was stolen.",
		},
		{
			ReasonBearerOfBound, "The token is bound to a key, but was not sent in a header after the word DPoP.",
			"The client must send `Authorization: DPoP …` with a proof. If the client always does this, the token was stolen.",
		},
		{
			ReasonInvalidProof, "The request has no DPoP proof, several of them, or one that does not fit the request and the token. The answer says what is wrong.",
			"Check that the client makes a proof for each request. If `htu` is wrong, compare the URL that the client calls with the one that Kong sees (see configuration/bound.md).",
		},
		{
			ReasonWrongProofKey, "The DPoP proof is signed with another key than the one that the token is bound to.",
			"Check that the client still uses the key with which it got the token. If it does, the token was stolen.",
		},
		{
			ReasonStaleProof, "The DPoP proof is older than `dpop_proof_lifetime`, or was made in the future.",
			"Compare the clocks of client and gateway, or set `leeway` or `dpop_use_nonce`.",
		},
		{
			ReasonNoNonce, "`dpop_use_nonce` is on, and the DPoP proof has no valid nonce. The answer contains one.",
			"Nothing: the client sends the request again with the nonce. If every request of a client needs two tries, check whether each one goes to another node.",
		},
		{
			ReasonReplayedProof, "The DPoP proof was used before.",
			"Check that the client makes a new `jti` for each request, also when it retries. If it does, somebody else has read and replayed the request.",
		},
		{
			ReasonTooManyProofs, "The plugin has to remember more DPoP proofs than `-dpop-proofs` allows.",
			"Raise `-dpop-proofs`, or lower `dpop_proof_lifetime`.",
		},
		{
			ReasonUnknownAnonymous, "The consumer in `anonymous` does not exist.",
			"Create the consumer, or correct `anonymous`.",
		},
		{
			ReasonLookupFailed, "The plugin could not look up a credential, a consumer or an issuer's keys, or too many unknown keys were looked up at the same time.",
			"See Kong's log: it says which lookup failed and why. The client was told to try again.",
		},
		{
			ReasonBadConfiguration, "The plugin cannot use its configuration.",
			"See Kong's log: it names the field, and the route, service and plugin.",
		},
		{ReasonFailure, "Something failed in the plugin, or between the plugin and Kong.", "See Kong's log: it says what failed. If it says panic, please report it: that is a bug."},
	}
}
