package plugin

import (
	"context"
	"time"

	"kong-go-jwt/schema"
)

// FindToken, ParseToken and ParsePublicKey open the parts to tests that hostile
// input reaches first.
func FindToken(c *schema.Config, r *Request) (string, *Refusal) {
	token, no := findToken(c, newRefusals(c), r)
	return string(token), no
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
