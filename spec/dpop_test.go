package spec_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	golangjwt "github.com/golang-jwt/jwt/v5"
)

// dpopClient is a client with a key of its own, and a token of alice's that is bound to it.
type dpopClient struct {
	key   *ecdsa.PrivateKey
	jwk   object // public
	token string
}

func newDPoPClient(t *testing.T) *dpopClient {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	x, y := b64(point[1:33]), b64(point[33:])
	sum := sha256.Sum256([]byte(fmt.Sprintf(`{"crv":"P-256","kty":"EC","x":%q,"y":%q}`, x, y))) // RFC 7638
	return &dpopClient{
		key: key, jwk: object{"kty": "EC", "crv": "P-256", "x": x, "y": y},
		token: claimsToken(t, object{"cnf": object{"jkt": b64(sum[:])}}),
	}
}

var proofs atomic.Int64

// proof is one for a request, with these members of its header and claims changed; nil
// leaves one out.
func (c *dpopClient) proof(t *testing.T, method, uri string, header, claims object) string {
	t.Helper()
	sum := sha256.Sum256([]byte(c.token))
	all := golangjwt.MapClaims{
		"jti": fmt.Sprint(proofs.Add(1)), "htm": method, "htu": uri, "iat": time.Now().Unix(),
		"ath": base64.RawURLEncoding.EncodeToString(sum[:]),
	}
	p := golangjwt.NewWithClaims(golangjwt.SigningMethodES256, all)
	p.Header["typ"], p.Header["jwk"] = "dpop+jwt", c.jwk
	for to, from := range map[*map[string]any]object{&p.Header: header, (*map[string]any)(&all): claims} {
		maps.Copy(*to, from)
		maps.DeleteFunc(*to, func(_ string, v any) bool { return v == nil })
	}
	text, err := p.SignedString(c.key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// sent are the headers of a request with a proof.
func (c *dpopClient) sent(proof string) [][2]string {
	return [][2]string{{"Authorization", "DPoP " + c.token}, {"DPoP", proof}}
}

const dpopAlgs = `algs="RS256 RS384 RS512 ES256 ES384 ES512 PS256 PS384 PS512 EdDSA Ed25519"`

// TestDPoP (RFC 9449): the clients that it is for; who attacks them is in
// TestBoundTokensStolen.
func TestDPoP(t *testing.T) {
	needsGateway(t)
	eachWay(t, func(t *testing.T, way ...string) {
		g := withRoutes(t, map[string][]any{
			"/off":      jwt(object{}),
			"/honour":   jwt(object{"dpop": "honour"}),
			"/required": jwt(object{"dpop": "required"}),
			"/hidden":   jwt(object{"dpop": "honour", "hide_credentials": true}),
			"/tls":      jwt(object{"dpop": "honour"}),
		}, nil, append([]string{"-proxy-tls=127.0.0.1:0"}, way...)...)
		c := newDPoPClient(t)
		base := "http://" + g.proxy
		free := bearer(claimsToken(t, nil))
		for name, tt := range map[string]struct {
			method, path string
			headers      func() [][2]string
			want         string
		}{
			"proven":           {"GET", "/honour", func() [][2]string { return c.sent(c.proof(t, "GET", base+"/honour", nil, nil)) }, alice},
			"required":         {"GET", "/required", func() [][2]string { return c.sent(c.proof(t, "GET", base+"/required", nil, nil)) }, alice},
			"with a query":     {"GET", "/honour?a=b", func() [][2]string { return c.sent(c.proof(t, "GET", base+"/honour", nil, nil)) }, alice},
			"POST":             {"POST", "/honour/x%2fy", func() [][2]string { return c.sent(c.proof(t, "POST", base+"/honour/x%2Fy", nil, nil)) }, alice},
			"Bearer":           {"GET", "/honour", func() [][2]string { return [][2]string{free} }, alice},
			"Bearer, required": {"GET", "/required", func() [][2]string { return [][2]string{free} }, `401 {"message":"Token is not bound to a key"}`},
			"off, bound":       {"GET", "/off", func() [][2]string { return [][2]string{bearer(c.token)} }, alice},
			"off, as DPoP":     {"GET", "/off", func() [][2]string { return c.sent(c.proof(t, "GET", base+"/off", nil, nil)) }, `401 {"message":"Unauthorized"}`},
			"unbound, as DPoP": {"GET", "/honour", func() [][2]string {
				return [][2]string{{"Authorization", strings.Replace(free[1], "Bearer", "DPoP", 1)}}
			}, `401 {"message":"Token is not bound to a key"}`},
			"no token, honour":   {"GET", "/honour", func() [][2]string { return nil }, `401 {"message":"Unauthorized"}`},
			"no token, and DPoP": {"GET", "/honour", func() [][2]string { return [][2]string{{"DPoP", c.proof(t, "GET", base+"/honour", nil, nil)}} }, `401 {"message":"Unauthorized"}`},
		} {
			t.Run(name, func(t *testing.T) {
				for range 2 { // the second time remembered, with a proof of its own
					if got := identityOf(g.send(t, tt.method, tt.path, tt.headers()...)); got != tt.want {
						t.Errorf("got %s, want %s", got, tt.want)
					}
				}
			})
		}
		t.Run("hidden", func(t *testing.T) {
			a := g.send(t, "GET", "/hidden", c.sent(c.proof(t, "GET", base+"/hidden", nil, nil))...)
			if identityOf(a) != alice || a.upstream.Headers["Authorization"] != nil || a.upstream.Headers["Dpop"] != nil {
				t.Errorf("%s, and the upstream got %v", identityOf(a), a.upstream)
			}
		})
		t.Run("TLS", func(t *testing.T) {
			target := "https://" + g.tlsAddress(t) + "/tls"
			if got, _ := ask(t, tlsClient(t), "GET", target, c.sent(c.proof(t, "GET", target, nil, nil))...); got != alice {
				t.Error(got)
			}
		})
		for path, want := range map[string]string{"/honour": "Bearer, DPoP " + dpopAlgs, "/required": "DPoP " + dpopAlgs, "/off": "Bearer"} {
			if got := g.send(t, "GET", path).header.Get("WWW-Authenticate"); got != want {
				t.Errorf("%s: challenged with %s, want %s", path, got, want)
			}
		}
	})
}

// TestDPoPBehindAProxy: htu is the URL that the client has called, as a proxy tells it that
// Kong trusts.
func TestDPoPBehindAProxy(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	routes := map[string][]any{"/honour": jwt(object{"dpop": "honour"})}
	trusting := withRoutes(t, routes, nil, "-trusted-ips=127.0.0.0/8")
	wary := withRoutes(t, routes, nil, "-trusted-ips=10.0.0.0/8")
	c := newDPoPClient(t)
	const refused = `401 {"message":"Invalid DPoP proof; htu is not the request's URI"}`
	https, host := [2]string{"X-Forwarded-Proto", "HTTPS"}, [2]string{"X-Forwarded-Host", "API.example.com"}
	port := func(p string) [2]string { return [2]string{"X-Forwarded-Port", p} }
	for name, tt := range map[string]struct {
		g    *gateway
		htu  string
		told [][2]string
		want string
	}{
		"scheme":              {trusting, "https://" + trusting.proxy + "/honour", [][2]string{https}, alice},
		"scheme, kept":        {trusting, "http://" + trusting.proxy + "/honour", [][2]string{https}, refused},
		"host and port":       {trusting, "https://api.example.com:8443/honour", [][2]string{https, host, port("8443")}, alice},
		"the scheme's port":   {trusting, "https://api.example.com/honour", [][2]string{https, host, port("443")}, alice},
		"port in the host":    {trusting, "https://api.example.com:444/honour", [][2]string{https, {"X-Forwarded-Host", "u@api.example.com:444"}}, alice},
		"no port":             {trusting, "https://api.example.com:0/honour", [][2]string{https, host, port("0")}, refused},
		"port not told":       {trusting, "https://api.example.com/honour", [][2]string{https, host}, alice},
		"port of the proxy's": {trusting, "https://api.example.com:8443/honour", [][2]string{https, host}, refused},
		"another host":        {trusting, "https://other.example.com/honour", [][2]string{https, host, port("443")}, refused},
		"by nobody trusted":   {wary, "https://api.example.com/honour", [][2]string{https, host, port("443")}, refused},
		"not told by anybody": {wary, "http://" + wary.proxy + "/honour", [][2]string{https, host, port("443")}, alice},
	} {
		t.Run(name, func(t *testing.T) {
			if got := identityOf(tt.g.send(t, "GET", "/honour", append(tt.told, c.sent(c.proof(t, "GET", tt.htu, nil, nil))...)...)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// Of one proof that is sent by many at once, to several workers, one is used.
func TestDPoPReplayedAtOnce(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	g := withRoutes(t, map[string][]any{"/honour": jwt(object{"dpop": "honour"})}, nil, "-workers=3")
	c := newDPoPClient(t)
	proof := c.proof(t, "GET", "http://"+g.proxy+"/honour", nil, nil)
	var used atomic.Int32
	var senders sync.WaitGroup
	for range 16 {
		senders.Go(func() {
			if a, err := exchange(g.proxy, "GET", "/honour", c.sent(proof)); err != nil {
				t.Error(err)
			} else if identityOf(a) == alice {
				used.Add(1)
			}
		})
	}
	senders.Wait()
	if used.Load() != 1 {
		t.Errorf("used %d times", used.Load())
	}
}

// TestDPoPNextNonce: whose nonce nears its end is told the next one with the upstream's
// answer (RFC 9449 section 8.2).
func TestDPoPNextNonce(t *testing.T) {
	needsGateway(t)
	eachWay(t, func(t *testing.T, way ...string) {
		const lifetime = 4 * time.Second
		g := withRoutes(t, map[string][]any{
			"/nonce":        jwt(object{"dpop": "required", "dpop_use_nonce": true, "dpop_proof_lifetime": lifetime.Seconds()}),
			"/unremembered": jwt(object{"dpop": "required", "dpop_use_nonce": true, "dpop_proof_lifetime": lifetime.Seconds(), "cache_ttl": 0}),
			"/no-nonces":    jwt(object{"dpop": "required", "dpop_proof_lifetime": 1, "leeway": 300}),
		}, nil, way...)
		c := newDPoPClient(t)
		send := func(path string, claims object) (got, nonce string) {
			a := g.send(t, "GET", path, c.sent(c.proof(t, "GET", "http://"+g.proxy+path, nil, claims))...)
			return identityOf(a), a.header.Get("DPoP-Nonce")
		}
		for _, path := range []string{"/nonce", "/unremembered"} {
			next := nextNonce(t, lifetime, func(nonce string) (string, string) { return send(path, object{"nonce": nonce}) })
			if got, _ := send(path, object{"nonce": next}); got != alice {
				t.Errorf("%s: with the next nonce %s", path, got)
			}
		}
		if got, told := send("/no-nonces", object{"iat": time.Now().Unix() - 2}); got != alice || told != "" {
			t.Errorf("without nonces %s, and the nonce %q", got, told)
		}
	})
}

// nextNonce uses one nonce until the next is told, which is before the first is too old.
func nextNonce(t *testing.T, lifetime time.Duration, send func(nonce string) (got, told string)) string {
	t.Helper()
	for range 5 { // a machine may be too busy for some
		_, nonce := send("")
		for last := time.Now(); ; {
			got, told := send(nonce)
			slow := time.Since(last) > lifetime/4
			last = time.Now()
			switch {
			case got == alice && told != "":
				return told
			case got != alice && !slow:
				t.Fatalf("%s, and no other nonce was told before", got)
			case got != alice:
			default:
				time.Sleep(100 * time.Millisecond)
				continue
			}
			break
		}
	}
	t.Skip("this machine is too busy")
	return ""
}

// TestDPoPNodeClient has a client library of others get in (oauth4webapi), with nonces
// and without.
func TestDPoPNodeClient(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	modules, err := filepath.Abs("node/node_modules")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "oauth4webapi")); err != nil {
		t.Skip("oauth4webapi is not there: npm ci in spec/node")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip(err)
	}
	g := withRoutes(t, map[string][]any{
		"/honour":   jwt(object{"dpop": "honour"}),
		"/required": jwt(object{"dpop": "required", "realm": `a "realm"`}),
		"/nonce":    jwt(object{"dpop": "honour", "dpop_use_nonce": true}),
		"/short":    jwt(object{"dpop": "honour", "dpop_use_nonce": true, "dpop_proof_lifetime": 14}),
	}, nil)
	c := newDPoPClient(t)
	d, err := c.key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	private := maps.Clone(c.jwk)
	private["d"] = base64.RawURLEncoding.EncodeToString(d)
	text, err := json.Marshal(private)
	if err != nil {
		t.Fatal(err)
	}
	for path, tt := range map[string]struct {
		want string
		env  []string
	}{
		"/honour?a=b":    {"200 alice, 200 alice", nil},
		"/required":      {"200 alice, 200 alice", nil},
		"/nonce/é?ü=1#x": {"use_dpop_nonce, 200 alice, 200 alice", nil}, // the nonce is good for the second request too
		// More than the life of a nonce, through which the second answer helps.
		"/short": {"use_dpop_nonce, 200 alice, 200 alice, 200 alice", []string{"CALLS=3", "PAUSE=9000"}},
	} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), node, "node/dpop/client.mjs", "http://"+g.proxy+path)
			cmd.Env = append(append(os.Environ(), "TOKEN="+c.token, "KEY="+string(text)), tt.env...)
			out, err := cmd.CombinedOutput()
			if got := strings.TrimSpace(string(out)); got != tt.want || err != nil {
				t.Errorf("got %s, %v; want %s", got, err, tt.want)
			}
		})
	}
}
