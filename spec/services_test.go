package spec_test

import (
	"crypto/ecdsa"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	golangjwt "github.com/golang-jwt/jwt/v5"

	"kong-go-jwt/spec/conformance"
)

// documentedService runs the program in that language of docs/services.md, and
// returns its address. It is stopped when the test ends.
func documentedService(t *testing.T, language, keysURL string) string {
	t.Helper()
	code := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindStringSubmatch(readRoot(t, "docs/services.md"))
	if code == nil {
		t.Fatal("docs/services.md has no such program")
	}
	dir := t.TempDir()
	var command []string
	file := ""
	switch language {
	case "js":
		modules, err := filepath.Abs("node/node_modules")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(filepath.Join(modules, "jose")); err != nil {
			t.Skip("jose is not there: npm ci in spec/node")
		}
		if err := os.Symlink(modules, filepath.Join(dir, "node_modules")); err != nil {
			t.Fatal(err)
		}
		file = filepath.Join(dir, "service.mjs")
		command = []string{"node", file}
	case "python":
		const python = "/usr/bin/python3" // the one that Debian's packages are for
		if err := exec.Command(python, "-c", "import jwt, cryptography").Run(); err != nil {
			t.Skip("PyJWT is not there: apt-get install python3-jwt python3-cryptography")
		}
		file = filepath.Join(dir, "service.py")
		command = []string{python, file}
	}
	if _, err := exec.LookPath(command[0]); err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(file, []byte(code[1]), 0o600); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "ISSUER=https://gateway.example", "AUDIENCE=orders", "KEYS_URL="+keysURL, "PORT="+port)
	log := &logBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		if t.Failed() {
			t.Logf("the service's log:\n%s", log)
		}
	})
	poll(t, patience, func() bool { return strings.Contains(log.String(), "listening") })
	return address
}

// TestDocumentedServices runs the services of docs/services.md in other languages
// against the gateway's tokens and its published keys.
func TestDocumentedServices(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	key, text := signingKey(t)
	dropped, _ := signingKey(t)
	g := startGateway(t, assertionConfig(t, upstream(t), map[string]object{
		"/a":         {"upstream_assertion": assertion(nil, text)},
		"/anonymous": {"upstream_assertion": assertion(nil, text), "anonymous": conformance.Anonymous},
	}, text))
	// made makes the tokens, whose times count from then on.
	made := func(t *testing.T) map[string]struct{ token, want string } {
		t.Helper()
		callers := tokenOf(t, "hs256", "hs-a", "HS256")
		minted := g.send(t, "GET", "/a", bearer(callers)).upstream.Headers[assertionHeader][0]
		anonymous := g.send(t, "GET", "/anonymous").upstream.Headers[assertionHeader][0]
		parsed, _, err := golangjwt.NewParser().ParseUnverified(minted, golangjwt.MapClaims{})
		if err != nil {
			t.Fatal(err)
		}
		sign := func(k *ecdsa.PrivateKey, header, claims object) string {
			all, _ := parsed.Claims.(golangjwt.MapClaims)
			c := golangjwt.MapClaims{}
			for name, v := range all {
				c[name] = v
			}
			token := golangjwt.NewWithClaims(golangjwt.SigningMethodES256, c)
			token.Header["typ"], token.Header["kid"] = parsed.Header["typ"], parsed.Header["kid"]
			for name, v := range header {
				token.Header[name] = v
			}
			for name, v := range claims {
				c[name] = v
			}
			signed, err := token.SignedString(k)
			if err != nil {
				t.Fatal(err)
			}
			return signed
		}
		none := golangjwt.NewWithClaims(golangjwt.SigningMethodNone, parsed.Claims)
		none.Header["typ"], none.Header["kid"] = parsed.Header["typ"], parsed.Header["kid"]
		unsigned, err := none.SignedString(golangjwt.UnsafeAllowNoneSignatureType)
		if err != nil {
			t.Fatal(err)
		}
		return map[string]struct{ token, want string }{
			"minted":           {minted, "200 verified: alice\n"},
			"signed alike":     {sign(key, nil, nil), "200 verified: alice\n"},
			"clock behind":     {sign(key, nil, object{"exp": time.Now().Unix() - 5}), "200 verified: alice\n"},
			"clock ahead":      {sign(key, nil, object{"iat": time.Now().Unix() + 30}), "200 verified: alice\n"},
			"no token":         {"", "401 "},
			"other audience":   {sign(key, nil, object{"aud": "billing"}), "401 "},
			"other issuer":     {sign(key, nil, object{"iss": "https://other"}), "401 "},
			"other type":       {sign(key, object{"typ": "JWT"}, nil), "401 "},
			"expired":          {sign(key, nil, object{"exp": time.Now().Unix() - 60}), "401 "},
			"caller's own":     {callers, "401 "},
			"dropped key":      {sign(dropped, object{"kid": "dropped"}, nil), "401 "},
			"dropped, old kid": {sign(dropped, nil, nil), "401 "},
			"none":             {unsigned, "401 "},
			"anonymous":        {anonymous, "401 "},
		}
	}
	for _, language := range []string{"js", "python"} {
		t.Run(language, func(t *testing.T) {
			address := documentedService(t, language, "http://"+g.proxy+"/.well-known/jwks.json")
			for name, tt := range made(t) {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("X-Consumer-Username", "forged")
				if tt.token != "" {
					r.Header.Set(assertionHeader, tt.token)
				}
				res, err := adminClient.Do(r)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				body, _ := io.ReadAll(res.Body)
				res.Body.Close()
				if got := fmt.Sprintf("%d %s", res.StatusCode, body); got != tt.want {
					t.Errorf("%s: got %q, want %q", name, got, tt.want)
				}
			}
		})
	}
}
