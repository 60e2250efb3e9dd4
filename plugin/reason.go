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
			ReasonConnectionHeader, "The request's `Connection` header names an identity header, which Kong would have removed.",
			"Look at who sent it: no ordinary client does this. `guard_headers` turns the check off.",
		},
		{
			ReasonTooManyHeaders, "The request has 1,000 headers or more, so that some could not be looked at.",
			"Have the client send fewer.",
		},
		{
			ReasonNoToken, "There is no token where one is looked for.",
			"Compare where the client puts it with `header_names`, `uri_param_names` and `cookie_names`. In a header it must follow the word `Bearer`.",
		},
		{
			ReasonMultipleTokens, "There are different tokens in several places.",
			"Have the client send one, or look in fewer places.",
		},
		{
			ReasonUnrecognizableToken, "A query parameter for the token has no value: `?jwt` without `=`.",
			"Mend the client.",
		},
		{
			ReasonMalformedToken, "The token is not a signed JWT in compact form. The answer says which part.",
			"See whether the client sends the whole token, and none that is encrypted (JWE), opaque or signed with an algorithm that is not supported.",
		},
		{
			ReasonNoKeyClaim, "The token does not hold the claim that tells its credential, and its `iss` is none of `issuers`.",
			"Set `key_claim_name` to the claim that does, or list the issuer in `issuers`.",
		},
		{
			ReasonInvalidKeyClaim, "The claim that tells the credential is empty or not a string.",
			"Mend what makes the token.",
		},
		{
			ReasonUnknownCredential, "There is no credential with the key that the token tells, and its `iss` is none of `issuers`.",
			"Compare the claim `key_claim_name` with the keys of `jwt_secrets` and `credentials`, letter by letter: a slash at the end counts.",
		},
		{
			ReasonInvalidType, "The token's `typ` is not the issuer's `type`.",
			"See whether the client sends an ID token where an access token is asked for.",
		},
		{
			ReasonInvalidAlgorithm, "The token is signed with another algorithm than its credential or issuer allows.",
			"Set the credential's `algorithm`, or the issuer's `algorithms`, to what the tokens are signed with.",
		},
		{
			ReasonUnknownKey, "The issuer publishes no key that fits the token.",
			"Compare the token's `kid` and `alg` with the issuer's JWK Set. A key that is new there is fetched once `-jwks-min-interval` has passed.",
		},
		{
			ReasonInvalidKey, "The credential's key or secret cannot be used.",
			"The log names the credential, and what is wrong with it.",
		},
		{
			ReasonInvalidSignature, "The signature does not verify with the key of the credential or issuer.",
			"Compare the key with the signer's, and `secret_is_base64` with how the secret is written. If both are right, the token was changed or forged.",
		},
		{
			ReasonNoExp, "The token has no `exp`, which is asked for.",
			"Have tokens made with an `exp`, or take `exp` out of `claims_to_verify`. With `issuers` and `maximum_expiration` it is always asked for.",
		},
		{ReasonInvalidExp, "The token's `exp` is not a number.", "Mend what makes the token: `exp` is seconds since 1970."},
		{
			ReasonExpired, "The token's `exp` has passed.",
			"Have the client get a new token in time. If it was missed by a few seconds, compare the clocks, or set `leeway`.",
		},
		{
			ReasonExceedsMaximum, "The token's `exp` lies further in the future than `maximum_expiration`.",
			"Have tokens made for a shorter time, or raise `maximum_expiration`.",
		},
		{
			ReasonNoNbf, "The token has no `nbf`, which is asked for.",
			"Have tokens made with an `nbf`, or take `nbf` out of `claims_to_verify`.",
		},
		{ReasonInvalidNbf, "The token's `nbf` is not a number.", "Mend what makes the token: `nbf` is seconds since 1970."},
		{
			ReasonNotYetValid, "The token's `nbf` lies in the future.",
			"Compare the clocks of this host and the issuer, or set `leeway`.",
		},
		{ReasonInvalidIat, "The token's `iat` is not a number.", "Mend what makes the token: `iat` is seconds since 1970."},
		{
			ReasonIssuedInFuture, "The token's `iat` lies in the future.",
			"Compare the clocks of this host and the issuer, or set `leeway`.",
		},
		{
			ReasonRevoked, "An entry of `revoked`, or of a list of `revocations`, names the token.",
			"Have the client get a new token, if it may.",
		},
		{
			ReasonRevocationUnknown, "A list of `revocations` was never fetched, or its last good copy is too old, and its `on_failure` is `closed`.",
			"See in the log why it cannot be fetched. `go_jwt_revocation_list_usable` shows which list it is.",
		},
		{
			ReasonWrongIssuer, "The token's `iss` is none of `issuers_allowed`.",
			"Add it there, if tokens of that issuer are welcome.",
		},
		{
			ReasonWrongAudience, "The token's `aud` holds none of `audience_required`, or of the issuer's `audience`.",
			"See whether the client asked for a token for this service, and compare the lists letter by letter.",
		},
		{
			ReasonForbiddenClaim, "The token has a claim that `claims_forbidden` names.",
			"See what kind of token the client sends: an ID token in place of an access token, perhaps.",
		},
		{
			ReasonInvalidSubject, "The token of an issuer with `consumer_optional` has neither a consumer nor a `sub` (`credential_claim`).",
			"Have tokens made with a `sub`.",
		},
		{
			ReasonMissingConsumer, "The credential's consumer does not exist.",
			"Compare the credential's `consumer` with Kong's consumers. When all callers are refused for this, Kong has lost its database.",
		},
		{
			ReasonUnknownConsumer, "There is no consumer for the claim that tells it.",
			"Create the consumer, or compare `consumer_claim` and `consumer_by` with what the token holds. `consumer_optional` lets the caller in without one.",
		},
		{
			ReasonInsufficientScope, "The token does not have one of `scopes_required`.",
			"Have the client ask for the scope. Where scopes are in another claim than `scope`, set `scopes_claim`.",
		},
		{
			ReasonMissingClaim, "A claim does not have the value that `claims_required` asks for. The answer and the log name it.",
			"See what the token holds there; a list needs `match` to be `contains`.",
		},
		{
			ReasonInvalidBinding, "The token's `cnf` (RFC 7800), which tells what it is bound to, has another form than the RFCs give it.",
			"Mend what makes the token: `cnf` is an object, and its `x5t#S256` and `jkt` the base64url of 32 bytes.",
		},
		{
			ReasonUnboundToken, "The token is not bound to a client certificate or a key, which `mtls_binding` or `dpop` asks for by `required`, or the client by sending it as DPoP.",
			"Have the issuer bind the client's tokens (RFC 8705, RFC 9449), or set the option to `honour`.",
		},
		{
			ReasonNoCertificate, "The token is bound to a client certificate, and none came with the request.",
			"See whether the client sends it, and whether Kong asks for it: `nginx_proxy_ssl_verify_client = optional_no_ca`. Behind a proxy, compare its address with `trusted_proxies`.",
		},
		{
			ReasonInvalidCertificate, "What a trusted proxy tells in `certificate_header_name` is no certificate.",
			"Compare what it sends with `certificate_header_format`. The header must come once.",
		},
		{
			ReasonWrongCertificate, "The token is bound to another client certificate than the request came with.",
			"See whether the client got its token with the certificate that it uses now. If it did, the token was stolen.",
		},
		{
			ReasonBearerOfBound, "The token is bound to a key, and was not sent in a header after the word DPoP.",
			"Have the client send `Authorization: DPoP …` with a proof. If the client never does, the token was stolen.",
		},
		{
			ReasonInvalidProof, "The request has no DPoP proof, or several, or one that is not of this request and token. The answer says what is wrong with it.",
			"See whether the client makes a proof for each request. If it is `htu`, compare what the client calls with what Kong knows of it (see configuration/bound.md).",
		},
		{
			ReasonWrongProofKey, "The DPoP proof is signed with another key than the token is bound to.",
			"See whether the client has kept the key that it got the token with. If it has, the token was stolen.",
		},
		{
			ReasonStaleProof, "The DPoP proof was made longer than `dpop_proof_lifetime` ago, or in the future.",
			"Compare the clocks of client and gateway, or set `leeway` or `dpop_use_nonce`.",
		},
		{
			ReasonNoNonce, "The DPoP proof does not hold a nonce that is good, which `dpop_use_nonce` asks for. The client was told one.",
			"Nothing: the client sends the request again. If each request of a client needs two tries, see whether it goes to another node each time.",
		},
		{
			ReasonReplayedProof, "The DPoP proof was used before.",
			"See whether the client makes a proof with a `jti` of its own for each request, tries included. If it does, somebody has read the request.",
		},
		{
			ReasonTooManyProofs, "More DPoP proofs were used within their lifetime than can be remembered.",
			"Raise `-dpop-proofs`, or lower `dpop_proof_lifetime`.",
		},
		{
			ReasonUnknownAnonymous, "The consumer `anonymous` does not exist.",
			"Create it, or correct `anonymous`.",
		},
		{
			ReasonLookupFailed, "A credential, a consumer or an issuer's keys could not be looked up, or a key is unknown and too many were looked up at the time.",
			"The log says which lookup failed and why. The client was told to try again.",
		},
		{
			ReasonBadConfiguration, "The plugin's configuration cannot be used.",
			"The log names the field, and the route, service and plugin.",
		},
		{ReasonFailure, "Something failed in the plugin, or between it and Kong.", "The log says what. If it says panic, please report it: that is a bug."},
	}
}
