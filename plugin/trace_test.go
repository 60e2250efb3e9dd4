package plugin_test

import (
	"fmt"
	"strings"
	"testing"

	"kong-go-jwt/plugin"
)

// steps sums a trace up: each check with the number of what was held against the
// token, and "!" where it failed.
func steps(t *plugin.Trace) string {
	var all []string
	for _, s := range t.Steps {
		text := string(s.Check)
		if s.Number > 0 {
			text += fmt.Sprint(s.Number)
		}
		if !s.Passed {
			text += "!"
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

// A trace has every check up to the one that failed, and changes nothing.
func TestTrace(t *testing.T) {
	const config = `{"claims_to_verify":["exp","nbf"],"maximum_expiration":60,"audience_required":["a"],"issuers_allowed":["key","old"],
		"claims_forbidden":["x","y"],"scopes_required":["read"],"claims_required":[{"claim":["r"],"value":"1"},{"claim":["r"],"value":"2"}],
		"revoked":[{"jti":"x"}],"anonymous":"guest","credentials":[
		{"key":"old","algorithm":"HS512","secret":"s","consumer":"id-1"},{"key":"old","secret":"s","consumer":"id-1"},{"key":"lost","secret":"t","consumer":"nobody"}]}`
	const found = "token form key_claim credential algorithm key signature "
	const times = `"exp":1800000030,"nbf":1800000000`
	for name, tt := range map[string]struct{ header, claims, secret, want string }{
		"nothing":      {"", "", "", "token!"},
		"malformed":    {`{"alg":"none"}`, `{}`, "", "token form!"},
		"no key claim": {`{"alg":"HS256"}`, `{}`, "", "token form key_claim!"},
		"unknown":      {`{"alg":"HS256"}`, `{"iss":"nobody"}`, "", "token form key_claim credential!"},
		"no candidate": {`{"alg":"HS384"}`, `{"iss":"key"}`, "", "token form key_claim credential algorithm!"},
		"forged":       {`{"alg":"HS256"}`, `{"iss":"key"}`, "other", "token form key_claim credential algorithm key signature!"},
		"no times":     {`{"alg":"HS256"}`, `{"iss":"key"}`, "", found + "exp! nbf!"},
		"expired":      {`{"alg":"HS256"}`, `{"iss":"key","exp":1799999999,"nbf":1}`, "", found + "exp! nbf"},
		"too long":     {`{"alg":"HS256"}`, `{"iss":"key","exp":1800000061,"nbf":1}`, "", found + "exp nbf maximum_expiration!"},
		"of several": {
			`{"alg":"HS256"}`, `{"iss":"old",` + times + `,"aud":"b","y":1}`, "s",
			"token form key_claim credential algorithm1! algorithm2 key2 signature2 exp nbf maximum_expiration consumer revocation1 " +
				"issuers_allowed audience_required! claims_forbidden1 claims_forbidden2!",
		},
		"no consumer": {
			`{"alg":"HS256"}`, `{"iss":"lost",` + times + `}`, "t",
			"token form key_claim credential algorithm3 key3 signature3 exp nbf maximum_expiration consumer!",
		},
		"revoked": {`{"alg":"HS256"}`, `{"iss":"key",` + times + `,"jti":"1"}`, "", found + "exp nbf maximum_expiration consumer revocation1!"},
		"no scope": {
			`{"alg":"HS256"}`, `{"iss":"key",` + times + `,"aud":["b","a"]}`, "",
			found + "exp nbf maximum_expiration consumer revocation1 issuers_allowed audience_required claims_forbidden1 claims_forbidden2 scopes_required!",
		},
		"wrong claim": {
			`{"alg":"HS256"}`, `{"iss":"key",` + times + `,"aud":"a","scope":"read","r":1}`, "",
			found + "exp nbf maximum_expiration consumer revocation1 issuers_allowed audience_required claims_forbidden1 claims_forbidden2 scopes_required " +
				"claims_required1 claims_required2!",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.lists.revoke("1")
			token := ""
			if tt.header != "" {
				if tt.secret == "" {
					tt.secret = w.credentials["key"].Secret
				}
				token = sign(tt.header, tt.claims, tt.secret)
			}
			e := w.engine(t, config)
			trace := new(plugin.Trace)
			r := requestWith(token)
			r.Trace = trace
			expect(t, e.Decide(t.Context(), r, w), verdict(w.decide(t, e, token)))
			if got := steps(trace); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if trace.Refusal == nil {
				t.Error("the refusal is not told")
			}
		})
	}
}

// What an issuer's token is held against.
func TestTraceOfIssuer(t *testing.T) {
	w := newWorld(t)
	e := w.engine(t, `{"issuers":[{"issuer":"https://i","type":"at+jwt","consumer_claim":["sub"]}]}`)
	for header, want := range map[string]string{
		`{"alg":"RS256"}`:                          "token form typ!",
		`{"alg":"HS256","typ":"at+jwt"}`:           "token form typ algorithm!",
		`{"alg":"RS256","typ":"at+jwt","kid":1}`:   "token form typ algorithm kid!",
		`{"alg":"RS256","typ":"at+jwt","kid":"k"}`: "token form typ algorithm published_key!",
	} {
		trace := new(plugin.Trace)
		r := requestWith(sign(header, `{"iss":"https://i"}`, "s"))
		r.Trace = trace
		e.Decide(t.Context(), r, w)
		if got := steps(trace); got != want || trace.Issuer == nil || trace.Issuer.Issuer != "https://i" {
			t.Errorf("%s: %s, want %s; %v", header, got, want, trace.Issuer)
		}
	}
}

// Which of an issuer's keys has signed, and when.
func TestTraceOfIssuersKey(t *testing.T) {
	const found = "token form algorithm signature1! signature2 exp "
	for iat, want := range map[string]string{"1800000000": found + "iat consumer", "1800000001": found + "iat!"} {
		w, issued := issuing(t)
		other, _ := issuing(t)
		w.published["https://idp"] = append(other.published["https://idp"], w.published["https://idp"]...)
		trace := new(plugin.Trace)
		r := requestWith(issued("", `,"sub":"alice","iat":`+iat))
		r.Trace = trace
		w.engine(t, fmt.Sprintf(issuerConfig, "", "")).Decide(t.Context(), r, w)
		if got := steps(trace); got != want {
			t.Errorf("iat %s: got %s, want %s", iat, got, want)
		}
	}
}

// What a bound token's request is held against.
func TestTraceOfBinding(t *testing.T) {
	key := newProofKey(t)
	der, thumbprint := certificate(t)
	const found = "token form key_claim credential algorithm key signature consumer "
	both := `"cnf":{"jkt":"` + key.thumbprint + `","x5t#S256":"` + thumbprint + `"}`
	for name, tt := range map[string]struct{ cnf, certificate, want string }{
		"both":           {both, pemOf(der), found + "cnf certificate proof"},
		"no certificate": {both, "", found + "cnf certificate!"},
		"no proof":       {both, pemOf(der), found + "cnf certificate proof!"},
		"not bound":      {`"sub":"x"`, "", found + "cnf!"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			e := w.engine(t, `{"dpop":"honour","mtls_binding":"required"}`)
			token := w.token(`{"iss":"key",` + tt.cnf + `}`)
			proof := key.proof(t, token, nil)
			if name == "no proof" {
				proof = ""
			}
			r := proven("DPoP "+token, proof)
			r.Certificate, r.Trace = []byte(tt.certificate), new(plugin.Trace)
			e.Decide(t.Context(), r, w)
			if got := steps(r.Trace); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}
