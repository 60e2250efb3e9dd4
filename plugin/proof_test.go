package plugin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"kong-go-jwt/plugin"
)

// proofKey is the key of a client that makes DPoP proofs.
type proofKey struct {
	private    *ecdsa.PrivateKey
	jwk        map[string]any
	thumbprint string
	made       *atomic.Int64
}

func newProofKey(t *testing.T) proofKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	x, y := b64(point[1:33]), b64(point[33:])
	sum := sha256.Sum256([]byte(fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, x, y)))
	return proofKey{private, map[string]any{"kty": "EC", "crv": "P-256", "x": x, "y": y}, b64(sum[:]), new(atomic.Int64)}
}

// proof is for GET https://api.example/a, with these claims changed.
func (k proofKey) proof(t *testing.T, token string, claims jwt.MapClaims) string {
	t.Helper()
	sum := sha256.Sum256([]byte(token))
	all := jwt.MapClaims{
		"jti": fmt.Sprint(k.made.Add(1)), "htm": "GET", "htu": "https://api.example/a", "iat": start.Unix(),
		"ath": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
	maps.Copy(all, claims)
	p := jwt.NewWithClaims(jwt.SigningMethodES256, all)
	p.Header["typ"], p.Header["jwk"] = "dpop+jwt", k.jwk
	text, err := p.SignedString(k.private)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// proven is a request for https://api.example/a, with the Authorization header as given.
func proven(authorization, proof string) *plugin.Request {
	return &plugin.Request{
		Method: []byte("GET"), Target: []byte("/a?b=c"), Headers: [][]byte{[]byte(authorization)}, DPoP: []byte(proof),
		Scheme: []byte("https"), Host: []byte("api.example"), HostHeader: []byte("api.example"), Port: 8443,
	}
}

const (
	notDPoPBound = `401 {"message":"Token is not bound to a key"}`
	mustBeDPoP   = `401 {"message":"Token is bound to a key, and must be sent as DPoP"}`
	noProof      = `401 {"message":"DPoP proof is missing"}`
	replayed     = `401 {"message":"Invalid DPoP proof; it was used before"}`
)

// RFC 9449 section 7.
func TestDPoP(t *testing.T) {
	key, other := newProofKey(t), newProofKey(t)
	bound := `"cnf":{"jkt":"` + key.thumbprint + `"}`
	proof := func(token string) string { return key.proof(t, token, nil) }
	none := func(string) string { return "" }
	for name, tt := range map[string]struct {
		mode, cnf, scheme string
		proof             func(token string) string
		want              string
	}{
		"its key":            {"honour", bound, "DPoP ", proof, accepted},
		"required":           {"required", bound, "DPoP ", proof, accepted},
		"scheme in small":    {"honour", bound, "dpop  ", proof, accepted},
		"off":                {"off", bound, "Bearer ", none, accepted},
		"off, as DPoP":       {"off", bound, "DPoP ", proof, `401 {"message":"Unauthorized"}`},
		"stolen, as Bearer":  {"honour", bound, "Bearer ", none, mustBeDPoP},
		"as Bearer, proven":  {"honour", bound, "Bearer ", proof, mustBeDPoP},
		"no proof":           {"honour", bound, "DPoP ", none, noProof},
		"of another key":     {"honour", bound, "DPoP ", func(token string) string { return other.proof(t, token, nil) }, `401 {"message":"Invalid DPoP proof; it is of another key than the token's"}`},
		"of another request": {"honour", bound, "DPoP ", func(token string) string { return key.proof(t, token, jwt.MapClaims{"htm": "POST"}) }, `401 {"message":"Invalid DPoP proof; htm is not the request's method"}`},
		"of another token":   {"honour", bound, "DPoP ", func(token string) string { return key.proof(t, token+"x", nil) }, `401 {"message":"Invalid DPoP proof; ath is not the token's hash"}`},
		"on the port of Kong": {"honour", bound, "DPoP ", func(token string) string {
			return key.proof(t, token, jwt.MapClaims{"htu": "https://api.example:8443/a"})
		}, accepted},
		"on another port": {"honour", bound, "DPoP ", func(token string) string {
			return key.proof(t, token, jwt.MapClaims{"htu": "https://api.example:9443/a"})
		}, `401 {"message":"Invalid DPoP proof; htu is not the request's URI"}`},
		"the token as its proof": {"honour", bound, "DPoP ", func(token string) string { return token }, `401 {"message":"Invalid DPoP proof; typ is not dpop+jwt"}`},
		"unbound":                {"honour", `"sub":"x"`, "Bearer ", none, accepted},
		"unbound, as DPoP":       {"honour", `"sub":"x"`, "DPoP ", proof, notDPoPBound},
		"unbound, required":      {"required", `"sub":"x"`, "Bearer ", none, notDPoPBound},
		"bound to a certificate": {"required", `"cnf":{"x5t#S256":"` + key.thumbprint + `"}`, "DPoP ", proof, notDPoPBound},
		"cnf no object":          {"honour", `"cnf":[]`, "DPoP ", proof, invalidBinding},
		"jkt no string":          {"honour", `"cnf":{"jkt":1}`, "Bearer ", proof, invalidBinding},
		"jkt too long":           {"honour", `"cnf":{"jkt":"` + key.thumbprint + `A"}`, "DPoP ", proof, invalidBinding},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := w.engine(t, `{"dpop":"`+tt.mode+`"}`)
			token := w.token(`{"iss":"key",` + tt.cnf + `}`)
			want := tt.want
			for range 2 { // the second time remembered
				expect(t, e.Decide(t.Context(), proven(tt.scheme+token, tt.proof(token)), w), want)
				if want == accepted {
					want = cached
				}
			}
		})
	}
}

// Clients are held to the port that they say in the Host header, if there is one and the
// header is theirs: if a proxy has told another host, it is the proxy's.
func TestPortOfTheHostHeader(t *testing.T) {
	w, key := newWorld(t), newProofKey(t)
	e := w.engine(t, `{"dpop":"honour"}`)
	token := w.token(`{"iss":"key","cnf":{"jkt":"` + key.thumbprint + `"}}`)
	const refused = `401 {"message":"Invalid DPoP proof; htu is not the request's URI"}`
	for _, tt := range []struct{ header, port, want string }{
		{"api.example:9443", ":9443", accepted},
		{"API.example:9443", ":9443", accepted},
		{"api.example:9443", ":8443", accepted},
		{"api.example:9443", "", refused},
		{"kong.internal:9443", ":9443", refused},
		{"kong.internal:9443", ":8443", accepted},
		{"kong.internal:9443", "", accepted},
	} {
		r := proven("DPoP "+token, key.proof(t, token, jwt.MapClaims{"htu": "https://api.example" + tt.port + "/a"}))
		r.HostHeader = []byte(tt.header)
		out := e.Decide(t.Context(), r, w)
		if got := strings.Replace(verdict(out), "remembered", "accepted", 1); got != tt.want {
			t.Errorf("Host %s, port %q: got %s, want %s", tt.header, tt.port, got, tt.want)
		}
	}
}

// A proof is good for dpop_proof_lifetime, and leeway more.
func TestProofLifetime(t *testing.T) {
	w, key := newWorld(t), newProofKey(t)
	e := w.engine(t, `{"dpop":"honour","dpop_proof_lifetime":30,"leeway":5}`)
	for age, want := range map[int64]string{35: accepted, 36: message(401, "Invalid DPoP proof; iat is too long ago")} {
		token := w.token(fmt.Sprintf(`{"iss":"key","n":%d,"cnf":{"jkt":"%s"}}`, age, key.thumbprint))
		proof := key.proof(t, token, jwt.MapClaims{"iat": start.Unix() - age})
		expect(t, e.Decide(t.Context(), proven("DPoP "+token, proof), w), want)
	}
}

// A token is remembered, a proof never: each is used once.
func TestProofOfARememberedToken(t *testing.T) {
	w, key := newWorld(t), newProofKey(t)
	e := w.engine(t, `{"dpop":"honour"}`)
	token := w.token(`{"iss":"key","cnf":{"jkt":"` + key.thumbprint + `"}}`)
	proof := key.proof(t, token, nil)
	expect(t, e.Decide(t.Context(), proven("DPoP "+token, proof), w), accepted)
	expect(t, e.Decide(t.Context(), proven("DPoP "+token, proof), w), replayed)
	expect(t, e.Decide(t.Context(), proven("DPoP "+token, key.proof(t, token, nil)), w), cached)
	// Nor under another configuration, such as this one after a change.
	expect(t, w.engine(t, `{"dpop":"required"}`).Decide(t.Context(), proven("DPoP "+token, proof), w), replayed)
}

// Whoever must not wait does not use a proof up, nor verify its signature.
func TestProofIsNotUsedUpByAnAttempt(t *testing.T) {
	w, key := newWorld(t), newProofKey(t)
	e := w.engine(t, `{"dpop":"honour"}`)
	token := w.token(`{"iss":"key","cnf":{"jkt":"` + key.thumbprint + `"}}`)
	for _, want := range []string{accepted, cached} {
		r := proven("DPoP "+token, key.proof(t, token, nil))
		for range 2 {
			if _, decided := e.DecideNow(r); decided {
				t.Fatal("decided without waiting")
			}
		}
		expect(t, e.Decide(t.Context(), r, w), want)
	}
	if out, decided := e.DecideNow(proven("Bearer "+token, "")); !decided {
		t.Error("nothing to wait for")
	} else {
		expect(t, out, mustBeDPoP)
	}
}

// A token that is bound to both needs both, and a wrong certificate uses no proof up.
func TestBoundToBoth(t *testing.T) {
	w, key := newWorld(t), newProofKey(t)
	der, thumbprint := certificate(t)
	e := w.engine(t, `{"dpop":"required","mtls_binding":"required"}`)
	token := w.token(`{"iss":"key","cnf":{"jkt":"` + key.thumbprint + `","x5t#S256":"` + thumbprint + `"}}`)
	r := proven("DPoP "+token, key.proof(t, token, nil))
	expect(t, e.Decide(t.Context(), r, w), noCertificate)
	r.Certificate = []byte(pemOf(der))
	expect(t, e.Decide(t.Context(), r, w), cached)
	expect(t, e.Decide(t.Context(), r, w), replayed)
}

// A token in two places is bound in both.
func TestDPoPTokenInTwoPlaces(t *testing.T) {
	w, key := newWorld(t), newProofKey(t)
	e := w.engine(t, `{"dpop":"honour"}`)
	token := w.token(`{"iss":"key","cnf":{"jkt":"` + key.thumbprint + `"}}`)
	r := proven("DPoP "+token, key.proof(t, token, nil))
	r.Query = []byte("jwt=" + token)
	expect(t, e.Decide(t.Context(), r, w), mustBeDPoP)
	r.Query = []byte("jwt=" + w.token(`{"iss":"key"}`))
	expect(t, e.Decide(t.Context(), r, w), message(401, "Multiple tokens provided"))
}

// When no more proofs can be remembered, none is accepted, and that is no client's fault:
// who has a good token does not become the anonymous consumer.
func TestTooManyProofs(t *testing.T) {
	w, key := newWorld(t), newProofKey(t)
	e := w.engine(t, `{"dpop":"honour","anonymous":"guest"}`)
	token := w.token(`{"iss":"key","cnf":{"jkt":"` + key.thumbprint + `"}}`)
	for range 100 { // ProofEntries
		if out := e.Decide(t.Context(), proven("DPoP "+token, key.proof(t, token, nil)), w); out.Refusal != nil {
			t.Fatal(verdict(out))
		}
	}
	out := e.Decide(t.Context(), proven("DPoP "+token, key.proof(t, token, nil)), w)
	expect(t, out, message(503, "DPoP proofs cannot be told apart at the moment"))
	if out.Refusal.RetryAfter != "1" || out.Refusal.WWWAuthenticate != "" {
		t.Errorf("%+v", out.Refusal)
	}
}

// RFC 9449 sections 7.1 and 9: what clients are told.
func TestDPoPChallenges(t *testing.T) {
	const algs = `algs="RS256 RS384 RS512 ES256 ES384 ES512 PS256 PS384 PS512 EdDSA Ed25519"`
	key, other := newProofKey(t), newProofKey(t)
	for name, tt := range map[string]struct {
		config, scheme string
		signer         *proofKey
		claims         string
		want           string
	}{
		"no token":           {`{"dpop":"honour"}`, "", nil, "", `Bearer, DPoP ` + algs},
		"no token, required": {`{"dpop":"required","realm":"r"}`, "", nil, "", `DPoP realm="r", ` + algs},
		"expired":            {`{"dpop":"honour","claims_to_verify":["exp"]}`, "Bearer ", nil, `"exp":1`, `Bearer error="invalid_token", DPoP error="invalid_token", ` + algs},
		"expired, required":  {`{"dpop":"required","claims_to_verify":["exp"]}`, "DPoP ", nil, `"exp":1`, `DPoP error="invalid_token", ` + algs},
		"as Bearer":          {`{"dpop":"honour"}`, "Bearer ", nil, "", `DPoP error="invalid_token", ` + algs},
		"unbound, required":  {`{"dpop":"required"}`, "Bearer ", nil, `"cnf":{}`, `DPoP error="invalid_token", ` + algs},
		"no proof":           {`{"dpop":"honour"}`, "DPoP ", nil, "", `DPoP error="invalid_dpop_proof", ` + algs},
		"of another key":     {`{"dpop":"honour"}`, "DPoP ", &other, "", `DPoP error="invalid_token", ` + algs},
		"where to log in": {
			`{"dpop":"honour","realm":"r","resource_metadata":{"resource":"https://a/b","authorization_servers":["https://c"]}}`, "DPoP ", nil, "",
			`DPoP realm="r", error="invalid_dpop_proof", resource_metadata="https://a/.well-known/oauth-protected-resource/b", ` + algs,
		},
		"where to log in, as Bearer": {
			`{"dpop":"required","resource_metadata":{"resource":"https://a","authorization_servers":["https://c"]}}`, "Bearer ", nil, "",
			`DPoP error="invalid_token", resource_metadata="https://a/.well-known/oauth-protected-resource", ` + algs,
		},
		"no nonce":             {`{"dpop":"honour","dpop_use_nonce":true}`, "DPoP ", &key, "", `DPoP error="use_dpop_nonce", ` + algs},
		"not enough scope":     {`{"dpop":"required","scopes_required":["w"]}`, "DPoP ", &key, "", `DPoP error="insufficient_scope", scope="w", ` + algs},
		"wrong, and dpop off":  {`{"claims_to_verify":["exp"]}`, "Bearer ", nil, `"exp":1`, `Bearer error="invalid_token"`},
		"nobody, and dpop off": {`{}`, "", nil, "", `Bearer`},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			claims := tt.claims
			if claims == "" {
				claims = `"cnf":{"jkt":"` + key.thumbprint + `"}`
			}
			token := w.token(`{"iss":"key",` + claims + `}`)
			proof, authorization := "", ""
			if tt.signer != nil {
				proof = tt.signer.proof(t, token, nil)
			}
			if tt.scheme != "" {
				authorization = tt.scheme + token
			}
			out := w.engine(t, tt.config).Decide(t.Context(), proven(authorization, proof), w)
			if out.Refusal == nil || out.Refusal.WWWAuthenticate != tt.want {
				t.Errorf("got %+v, want %s", out.Refusal, tt.want)
			}
		})
	}
}

// RFC 9449 sections 8.2 and 9: a client that is told a nonce gets in with it, and is told
// the next one in time.
func TestDPoPNonce(t *testing.T) {
	w, key := newWorld(t), newProofKey(t)
	e := w.engine(t, `{"dpop":"honour","dpop_use_nonce":true}`)
	token := w.token(`{"iss":"key","cnf":{"jkt":"` + key.thumbprint + `"}}`)
	out := e.Decide(t.Context(), proven("DPoP "+token, key.proof(t, token, nil)), w)
	expect(t, out, message(401, "Invalid DPoP proof; it needs the nonce of DPoP-Nonce"))
	nonce := ""
	for _, h := range out.Refusal.Reply().Headers {
		if h.Name == "DPoP-Nonce" {
			nonce = h.Value
		}
	}
	with := func(nonce string) plugin.Outcome {
		return e.Decide(t.Context(), proven("DPoP "+token, key.proof(t, token, jwt.MapClaims{"nonce": nonce})), w)
	}
	accepted := func(nonce string, next bool) string {
		t.Helper()
		out := with(nonce)
		if out.Refusal != nil || next != (out.DPoPNonce != "") {
			t.Errorf("refused %v, told the nonce %q", out.Refusal, out.DPoPNonce)
		}
		return out.DPoPNonce
	}
	const tooOld = "Invalid DPoP proof; it needs the nonce of DPoP-Nonce"
	accepted(nonce, false)
	w.pass(30 * time.Second)
	accepted(nonce, false)
	w.pass(time.Second) // half of its life is over
	next := accepted(nonce, true)
	accepted(next, false)
	accepted(nonce, true) // what the client sent before it knew of the next one
	w.pass(30 * time.Second)
	expect(t, with(nonce), message(401, tooOld))
	accepted(next, false)
	w.pass(time.Second)
	accepted(accepted(next, true), false)
	w.pass(61 * time.Second)
	expect(t, with(next), message(401, tooOld))
}

// A client that goes on without being authenticated, for want of a nonce, is told one too.
func TestDPoPNonceOfWhoIsNotRefused(t *testing.T) {
	for name, options := range map[string]string{"anonymous": `"anonymous":"guest"`, "shadow": `"shadow":true`} {
		t.Run(name, func(t *testing.T) {
			w, key := newWorld(t), newProofKey(t)
			e := w.engine(t, `{"dpop":"honour","dpop_use_nonce":true,`+options+`}`)
			token := w.token(`{"iss":"key","cnf":{"jkt":"` + key.thumbprint + `"}}`)
			out := e.Decide(t.Context(), proven("DPoP "+token, key.proof(t, token, nil)), w)
			out = e.Decide(t.Context(), proven("DPoP "+token, key.proof(t, token, jwt.MapClaims{"nonce": out.DPoPNonce})), w)
			expect(t, out, cached)
		})
	}
}

// hide_credentials removes the token after the word DPoP, and the proof.
func TestHideDPoP(t *testing.T) {
	w, key := newWorld(t), newProofKey(t)
	e := w.engine(t, `{"dpop":"honour","hide_credentials":true}`)
	token := w.token(`{"iss":"key","cnf":{"jkt":"` + key.thumbprint + `"}}`)
	out := e.Decide(t.Context(), proven("DPoP "+token, key.proof(t, token, nil)), w)
	var hidden []string
	for _, h := range out.Hidden.Headers {
		hidden = append(hidden, fmt.Sprintf("%s=%s%v", h.Name, h.Value, h.Values))
	}
	if got, want := strings.Join(hidden, " "), "authorization=[] DPoP=[]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
