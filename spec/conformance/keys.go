// Package conformance holds what the recorded cases need: keys, tokens, the
// configuration of the gateway, and the comparison of answers.
package conformance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cloudflare/circl/sign/ed448"
)

// Key signs tokens: one of the fields is set.
type Key struct {
	Secret  []byte
	RSA     *rsa.PrivateKey
	EC      *ecdsa.PrivateKey
	Ed25519 ed25519.PrivateKey
	Ed448   ed448.PrivateKey
	public  []byte // PEM
}

// PublicPEM is the key's public half, for a credential.
func (k *Key) PublicPEM() string { return string(k.public) }

// Keys are the named keys of one run.
type Keys map[string]*Key

// maker makes a key of its kind.
type maker func() (*Key, error)

func makers() map[string]maker {
	secret := func() (*Key, error) {
		b := make([]byte, 32)
		if _, err := rand.Read(b); err != nil {
			return nil, err
		}
		return &Key{Secret: []byte(hex.EncodeToString(b))}, nil
	}
	rsaKey := func(bits int) maker {
		return func() (*Key, error) {
			k, err := rsa.GenerateKey(rand.Reader, bits)
			return &Key{RSA: k}, err
		}
	}
	ec := func(c elliptic.Curve) maker {
		return func() (*Key, error) {
			k, err := ecdsa.GenerateKey(c, rand.Reader)
			return &Key{EC: k}, err
		}
	}
	return map[string]maker{
		"hs-a": secret, "hs-b": secret,
		"rsa-a": rsaKey(2048), "rsa-b": rsaKey(2048), "rsa-4096": rsaKey(4096),
		"p256": ec(elliptic.P256()), "p256-b": ec(elliptic.P256()), "p384": ec(elliptic.P384()), "p521": ec(elliptic.P521()),
		"ed25519": func() (*Key, error) {
			_, k, err := ed25519.GenerateKey(rand.Reader)
			return &Key{Ed25519: k}, err
		},
		"ed448": func() (*Key, error) {
			_, k, err := ed448.GenerateKey(rand.Reader)
			return &Key{Ed448: k}, err
		},
	}
}

// NewKeys makes fresh keys.
func NewKeys() (Keys, error) {
	keys := Keys{}
	var mu sync.Mutex
	var wait sync.WaitGroup
	var failures []error
	for name, do := range makers() {
		wait.Go(func() {
			k, err := do()
			if err == nil {
				err = k.fillPublic()
			}
			mu.Lock()
			defer mu.Unlock()
			keys[name] = k
			if err != nil {
				failures = append(failures, fmt.Errorf("making the key %s: %w", name, err))
			}
		})
	}
	wait.Wait()
	return keys, errors.Join(failures...)
}

// algorithmEd448 is id-Ed448, which crypto/x509 does not know.
func algorithmEd448() asn1.ObjectIdentifier { return asn1.ObjectIdentifier{1, 3, 101, 113} }

type algorithmID struct{ Algorithm asn1.ObjectIdentifier }

type publicKeyInfo struct {
	Algorithm algorithmID
	PublicKey asn1.BitString
}

func (k *Key) fillPublic() error {
	var der []byte
	var err error
	switch {
	case k.RSA != nil:
		der, err = x509.MarshalPKIXPublicKey(k.RSA.Public())
	case k.EC != nil:
		der, err = x509.MarshalPKIXPublicKey(k.EC.Public())
	case k.Ed25519 != nil:
		der, err = x509.MarshalPKIXPublicKey(k.Ed25519.Public())
	case k.Ed448 != nil:
		public, ok := k.Ed448.Public().(ed448.PublicKey)
		if !ok {
			return errors.New("not an Ed448 key")
		}
		der, err = asn1.Marshal(publicKeyInfo{
			algorithmID{algorithmEd448()}, asn1.BitString{Bytes: public, BitLength: len(public) * 8},
		})
	default:
		return nil
	}
	if err != nil {
		return err
	}
	k.public = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return nil
}

// Save writes the keys to a folder, for specs that run later.
func (keys Keys) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, k := range keys {
		var text []byte
		switch {
		case k.Secret != nil:
			text = k.Secret
		case k.Ed448 != nil:
			text = pem.EncodeToMemory(&pem.Block{Type: "ED448 SEED", Bytes: k.Ed448.Seed()})
		default:
			der, err := x509.MarshalPKCS8PrivateKey(k.private())
			if err != nil {
				return err
			}
			text = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (k *Key) private() crypto.PrivateKey {
	switch {
	case k.RSA != nil:
		return k.RSA
	case k.EC != nil:
		return k.EC
	}
	return k.Ed25519
}

// LoadKeys reads what Save wrote.
func LoadKeys(dir string) (Keys, error) {
	keys := Keys{}
	for name := range makers() {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		k := &Key{}
		block, _ := pem.Decode(text)
		switch {
		case strings.HasPrefix(name, "hs-"):
			k.Secret = text
		case block == nil:
			return nil, fmt.Errorf("the key %s is not PEM", name)
		case name == "ed448":
			if len(block.Bytes) != ed448.SeedSize {
				return nil, fmt.Errorf("the key %s has a bad size", name)
			}
			k.Ed448 = ed448.NewKeyFromSeed(block.Bytes)
		default:
			parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("the key %s: %w", name, err)
			}
			switch parsed := parsed.(type) {
			case *rsa.PrivateKey:
				k.RSA = parsed
			case *ecdsa.PrivateKey:
				k.EC = parsed
			case ed25519.PrivateKey:
				k.Ed25519 = parsed
			}
		}
		if err := k.fillPublic(); err != nil {
			return nil, err
		}
		keys[name] = k
	}
	return keys, nil
}
