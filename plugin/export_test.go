package plugin

import (
	"context"
	"crypto/ecdsa"
	"strings"
	"time"

	"kong-go-jwt/plugin/assertion"
	"kong-go-jwt/schema"
)

// FindToken, ParseToken and ParsePublicKey open the parts to tests that hostile
// input reaches first.
func FindToken(c *schema.Config, r *Request) (string, *Refusal) {
	sent, no := findToken(c, newRefusals(c), r)
	return string(sent.token), no
}

func ParseToken(raw []byte) (signed string, signature []byte, malformed string) {
	t, malformed := parseToken(raw)
	return string(t.signed), t.signature, malformed
}

func ParsePublicKey(text []byte) (any, error) { return parsePublicKey(text) }

// Turns opens newTurns to tests.
func Turns() (take func(context.Context, time.Duration) (func(), error), n int) {
	t := newTurns()
	return t.take, cap(t)
}

// HoldConsumers keeps what is known of consumers from being changed until release is
// called.
func (s *Store) HoldConsumers() (release func()) {
	s.consumers.results.Lock()
	return s.consumers.results.Unlock
}

// Hide hides tokens of a query and of a cookie named jwt, and of a header, and
// returns what is left, and the token that is found in it all the same.
func Hide(query, cookies, header []byte) (q, c, h []byte, token string) {
	e := &Engine{c: &schema.Config{URIParamNames: []string{"jwt"}, CookieNames: []string{"jwt"}, HeaderNames: []string{"authorization"}}}
	hidden := e.hide(&Request{Query: query, Cookie: cookies, Headers: [][]byte{header}})
	if hidden.Query != nil {
		query = []byte(*hidden.Query)
	}
	for _, changed := range hidden.Headers {
		if changed.Name == "Cookie" {
			cookies = []byte(changed.Value)
		} else {
			header = []byte(strings.Join(changed.Values, ", "))
		}
	}
	found, _ := findToken(e.c, newRefusals(e.c), &Request{Query: query, Cookie: cookies})
	return query, cookies, header, string(found.token)
}

// Verifier returns what tells whether a signature is one of message by that algorithm
// and key: a public key or, for HMAC, a secret.
func Verifier(algorithm string, key any) (func(message, signature []byte) bool, error) {
	var v *verifier
	var err error
	if secret, ok := key.([]byte); ok {
		v, err = newVerifier(&Credential{Algorithm: algorithm, Secret: string(secret)}, keyRules{})
	} else {
		v, err = newPublicKeyVerifier(algorithm, key, minRSABits)
	}
	if err != nil {
		return nil, err
	}
	return func(message, signature []byte) bool {
		return v.verify(&token{signed: message, signature: signature})
	}, nil
}

// DigestVerifier is [Verifier] for the digest of a message, for the algorithms whose
// ECDSA is the plugin's own.
func DigestVerifier(algorithm string, key *ecdsa.PublicKey) (func(digest, signature []byte) bool, error) {
	v, err := newPublicKeyVerifier(algorithm, key, minRSABits)
	if err != nil {
		return nil, err
	}
	own := v.method.(interface {
		verifies(digest, signature []byte) bool
	})
	return own.verifies, nil
}

// TakeApart takes a JWS in compact serialization apart, whose payload need not be
// JSON, by what tokens are taken apart by.
func TakeApart(jws string) (header map[string]any, signed, signature []byte, ok bool) {
	parts := strings.Split(jws, ".")
	if len(parts) != 3 {
		return nil, nil, nil, false
	}
	value, ok1 := decodePart([]byte(parts[0]))
	_, ok2 := decodeBase64URL([]byte(parts[1]))
	signature, ok3 := decodeBase64URL([]byte(parts[2]))
	header, ok4 := value.(map[string]any)
	return header, []byte(parts[0] + "." + parts[1]), signature, ok1 && ok2 && ok3 && ok4
}

// Looking is how many keys of credentials s is looking up.
func Looking(s *Store) int {
	s.credentials.results.Lock()
	defer s.credentials.results.Unlock()
	return len(s.credentials.looking)
}

// SizeOfAsserted is what a decision takes whose assertion is made from these.
func SizeOfAsserted(c *assertion.Caller, g *Grant) int {
	return sizeOf(&decision{asserted: &asserted{caller: c, grant: g}})
}

// Busy takes all turns of s, as if as many signatures were being made as may be at once.
func Busy(s *Store) (done func()) {
	for range cap(s.turns) {
		s.turns <- struct{}{}
	}
	return func() {
		for range cap(s.turns) {
			<-s.turns
		}
	}
}

// DecodeJSON is decodeJSON.
func DecodeJSON(text []byte) (v any, ok bool) { return decodeJSON(text) }
