package spec_test

import (
	"strings"
	"testing"
	"time"
)

// TestExplainBound: what of a request binds its token can be given, and what is not is
// said to be missing.
func TestExplainBound(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	g := withRoutes(t, map[string][]any{
		"/off":       jwt(object{}),
		"/mtls":      jwt(object{"mtls_binding": "honour"}),
		"/dpop":      jwt(object{"dpop": "honour"}),
		"/nonce":     jwt(object{"dpop": "honour", "dpop_use_nonce": true}),
		"/preflight": jwt(object{"dpop": "honour", "run_on_preflight": false}),
	}, nil)
	at := time.Now().UTC().Format(time.RFC3339) // a busy machine may take longer than a proof lives
	own, thumbprint := clientCertificate(t)
	other, _ := clientCertificate(t)
	toCertificate := claimsToken(t, object{"cnf": object{"x5t#S256": thumbprint}})
	c := newDPoPClient(t)
	target := "http://" + g.proxy + "/dpop"
	proof := c.proof(t, "POST", target, nil, nil)
	sent := func(proof string) string { return "Authorization: DPoP " + c.token + "\r\nDPoP: " + proof + "\r\n" }
	post := []string{"-method", "POST", "-url", target + "?a=b"}
	for name, tt := range map[string]struct {
		route, in string
		args      []string
		code      int
		want      string // a line of what is said
	}{
		"no certificate":      {"mtls", toCertificate, nil, 2, "  ?     certificate        comes with a request, and is not known here"},
		"its certificate":     {"mtls", toCertificate, []string{"-client-cert", write(t, "own.pem", string(certificatePEM(own)))}, 0, "  ok    certificate        is the one that the token is bound to"},
		"another certificate": {"mtls", toCertificate, []string{"-client-cert", write(t, "other.pem", string(certificatePEM(other)))}, 1, "  FAIL  certificate        Token is bound to another client certificate"},
		"no PEM":              {"mtls", toCertificate, []string{"-client-cert", write(t, "no.pem", "x")}, 1, "Refused: invalid_certificate"},

		"token alone":          {"dpop", c.token, nil, 2, "  ?     proof              comes with a request, and is not known here"},
		"sent as Bearer":       {"dpop", "Bearer " + c.token, nil, 1, "Refused: bound_token_as_bearer"},
		"sent as DPoP alone":   {"dpop", "DPoP " + c.token, nil, 2, "  ?     proof              comes with a request, and is not known here"},
		"proof":                {"dpop", sent(proof), post, 0, "  ok    proof              is for this request; only the node knows whether it was used before"},
		"token and proof":      {"dpop", "dpop:" + proof + "\n" + c.token, post, 0, "Proof      htm \"POST\""},
		"request":              {"dpop", sent(proof), post, 0, "Request    POST " + target + "?a=b"},
		"no URL":               {"dpop", sent(proof), nil, 2, "go-jwt: explain: a DPoP proof is for one URL: give the URL that the client called with -url"},
		"no such URL":          {"dpop", sent(proof), []string{"-url", "/dpop"}, 2, `invalid value "/dpop" for flag -url: is not an http or https URL`},
		"another URL":          {"dpop", sent(proof), []string{"-method", "POST", "-url", target + "/x"}, 1, "  FAIL  proof              htu is not the request's URI"},
		"another port":         {"dpop", sent(proof), []string{"-method", "POST", "-url", "http://127.0.0.1/dpop"}, 1, "  FAIL  proof              htu is not the request's URI"},
		"another method":       {"dpop", sent(proof), []string{"-url", target}, 1, "  FAIL  proof              htm is not the request's method"},
		"too old":              {"dpop", sent(proof), append([]string{"-at", "+2m"}, post...), 1, "Refused: stale_dpop_proof"},
		"two proofs":           {"dpop", sent(proof) + "DPoP: " + proof, post, 1, "  FAIL  proof              there are several"},
		"no proof":             {"dpop", sent("x"), post, 1, "  FAIL  proof              it is not a signed JWT"},
		"unbound":              {"dpop", "DPoP " + claimsToken(t, nil), nil, 1, "Refused: unbound_token"},
		"nonce":                {"nonce", sent(c.proof(t, "GET", target, nil, nil)), []string{"-url", target}, 2, "Cannot tell: the proof must contain a nonce, and only the node that gave it out knows it"},
		"DPoP is off":          {"off", "DPoP " + c.token, nil, 1, "  FAIL  token              sent in the header Authorization, after DPoP, while dpop is off"},
		"preflight":            {"preflight", sent(proof), []string{"-method", "OPTIONS", "-url", target}, 2, "go-jwt: explain: -method: run_on_preflight is false, so an OPTIONS request needs no token"},
		"https, port not told": {"dpop", sent(c.proof(t, "GET", "https://API.example.com:443/a", nil, nil)), []string{"-url", "https://api.example.com/a"}, 0, "Accepted"},
		"IPv6":                 {"dpop", sent(c.proof(t, "GET", "http://[::1]:8000/a", nil, nil)), []string{"-url", "http://[::1]:8000/a"}, 0, "Accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, errs, code := explain(t, tt.in, append([]string{"-config", g.configFile, "-route", "r-" + tt.route, "-at", at}, tt.args...)...)
			if code != tt.code || !strings.Contains("\n"+out+errs, "\n"+tt.want+"\n") {
				t.Errorf("exit code %d, want %d with %q:\n%s%s", code, tt.code, tt.want, out, errs)
			}
			for _, secret := range []string{c.token, proof, toCertificate} {
				if _, signature, _ := strings.Cut(secret[strings.Index(secret, ".")+1:], "."); strings.Contains(out+errs, signature) {
					t.Errorf("shows a signature:\n%s%s", out, errs)
				}
			}
		})
	}
	// What explain says is what the gateway does, and it has not used the proof up.
	if a := g.send(t, "POST", "/dpop", c.sent(proof)...); identityOf(a) != alice {
		t.Errorf("the gateway: %s", identityOf(a))
	}
}
