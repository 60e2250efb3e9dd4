package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // for crypto.Hash
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"
)

const (
	secret   = "a secret of a benchmark, of 32 bytes or more"
	consumer = "00000000-0000-4000-8000-000000000001"
)

// world is what a plugin binary finds around it: an Admin API, as with a database, with one
// credential for each algorithm, by its name.
type world struct {
	admin *httptest.Server
	keys  map[string]crypto.Signer
	pems  map[string]string
}

func newWorld() (*world, error) {
	w := &world{keys: map[string]crypto.Signer{}, pems: map[string]string{}}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	keys := map[string]crypto.Signer{"RS256": rsaKey, "EdDSA": edKey}
	for name, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		if keys[name], err = ecdsa.GenerateKey(curve, rand.Reader); err != nil {
			return nil, err
		}
	}
	for name, key := range keys {
		der, err := x509.MarshalPKIXPublicKey(key.Public())
		if err != nil {
			return nil, err
		}
		w.keys[name], w.pems[name] = key, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	}
	w.admin = httptest.NewServer(http.HandlerFunc(w.serve))
	return w, nil
}

func (w *world) close() { w.admin.Close() }

func (w *world) serve(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "application/json; charset=utf-8")
	key, ok := strings.CutPrefix(r.URL.EscapedPath(), "/jwts/")
	if !ok {
		fmt.Fprint(rw, `{"server":{},"memory":{}}`)
		return
	}
	key, err := url.PathUnescape(key)
	algorithm, _, _ := strings.Cut(key, "-")
	if err != nil || algorithm != "HS256" && w.keys[algorithm] == nil {
		http.Error(rw, `{"message":"Not found"}`, http.StatusNotFound)
		return
	}
	json.NewEncoder(rw).Encode(map[string]any{ // the client's loss
		"id": "cred-" + key, "key": key, "algorithm": algorithm, "secret": secret, "rsa_public_key": w.pems[algorithm],
		"consumer": map[string]string{"id": consumer},
	})
}

// token signs a token for the credential of that key, whose algorithm is the
// part before the dash.
func (w *world) token(key string, n int) (string, error) {
	b64 := base64.RawURLEncoding.EncodeToString
	algorithm, _, _ := strings.Cut(key, "-")
	signed := b64(fmt.Appendf(nil, `{"alg":%q,"typ":"JWT"}`, algorithm)) + "." +
		b64(fmt.Appendf(nil, `{"iss":%q,"sub":"user-%d","exp":%d}`, key, n, time.Now().Add(24*time.Hour).Unix()))
	digest := func(h crypto.Hash) []byte {
		sum := h.New()
		sum.Write([]byte(signed))
		return sum.Sum(nil)
	}
	var signature []byte
	var err error
	switch k := w.keys[algorithm].(type) {
	case nil:
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(signed))
		signature = mac.Sum(nil)
	case *rsa.PrivateKey:
		signature, err = rsa.SignPKCS1v15(rand.Reader, k, crypto.SHA256, digest(crypto.SHA256))
	case *ecdsa.PrivateKey:
		h := map[string]crypto.Hash{"ES256": crypto.SHA256, "ES384": crypto.SHA384, "ES512": crypto.SHA512}[algorithm]
		r, s, e := ecdsa.Sign(rand.Reader, k, digest(h))
		if err = e; err == nil {
			size := (k.Params().BitSize + 7) / 8
			signature = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
	case ed25519.PrivateKey:
		signature = ed25519.Sign(k, []byte(signed))
	}
	return signed + "." + b64(signature), err
}
