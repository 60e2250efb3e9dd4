package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"kong-go-jwt/spec/conformance"
	"kong-go-jwt/spec/gateway/config"
	"kong-go-jwt/verify"
)

// assertionKey is where kong/verified.yml has the key of upstream assertions from.
const assertionKey = "GO_JWT_ASSERTION_KEY"

// makeAssertionKey makes that key for this run, unless there is one.
func makeAssertionKey() error {
	if os.Getenv(assertionKey) != "" {
		return nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return os.Setenv(assertionKey, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

// demoUpstream answers with what it was sent and, where the configuration has
// upstream_assertion, only whom it has verified.
func demoUpstream(store *config.Store, proxy string) (handler http.Handler, verifies bool, err error) {
	for _, p := range store.Plugins {
		a, ok := p.Config["upstream_assertion"].(map[string]any)
		if !ok {
			continue
		}
		issuer, _ := a["issuer"].(string)
		audience, _ := a["audience"].(string)
		v, err := verify.New(verify.Options{
			Issuer: issuer, Audience: audience, KeysURL: "http://" + proxy + "/.well-known/jwks.json", AllowHTTP: true,
			Anonymous: true, // of the public route
			Log:       slog.New(slog.NewTextHandler(os.Stderr, nil)),
		})
		if err != nil {
			return nil, false, fmt.Errorf("-demo: %w", err)
		}
		verified := v.Handler(http.HandlerFunc(tellCaller))
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodOptions { // a preflight comes without a caller
				conformance.Echo(w, r)
				return
			}
			verified.ServeHTTP(w, r)
		}), true, nil
	}
	return http.HandlerFunc(conformance.Echo), false, nil
}

// tellCaller answers who has called, and with what.
func tellCaller(w http.ResponseWriter, r *http.Request) {
	id, _ := verify.FromContext(r.Context())
	caller := "verified: " + id.Username
	if id.Anonymous {
		caller += " (anonymous)"
	}
	w.Header().Set("Content-Type", "application/json")
	answer := json.NewEncoder(w)
	answer.SetIndent("", "  ")
	answer.Encode(struct {
		Caller string `json:"caller"`
		conformance.Received
	}{caller, conformance.Received{Method: r.Method, URI: r.RequestURI, Headers: r.Header}}) // the client went away
}
