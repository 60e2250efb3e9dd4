package dpop

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"
)

// Nonces makes nonces for proofs, and knows them again without remembering them: one
// is the time at which it was made, with a MAC (RFC 9449 section 8). Only who made one
// knows it again. It is safe for concurrent use.
type Nonces struct {
	key [sha256.Size]byte
}

// NewNonces returns nonces with a key of their own.
func NewNonces() *Nonces {
	n := new(Nonces)
	_, _ = rand.Read(n.key[:]) // never fails
	return n
}

const (
	nonceTime = 8  // bytes
	nonceMAC  = 16 // bytes
)

// New returns a nonce.
func (n *Nonces) New(now time.Time) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, nonceTime+nonceMAC), uint64(now.Unix()))
	return base64.RawURLEncoding.EncodeToString(append(b, n.mac(b)...))
}

func (n *Nonces) mac(b []byte) []byte {
	h := hmac.New(sha256.New, n.key[:])
	_, _ = h.Write(b) // never fails
	return h.Sum(nil)[:nonceMAC]
}

// made tells when a nonce was made; it reports false for one that was not made by n.
func (n *Nonces) made(nonce string) (time.Time, bool) {
	b, ok := decode(nonce)
	if !ok || len(b) != nonceTime+nonceMAC || !hmac.Equal(n.mac(b[:nonceTime]), b[nonceTime:]) {
		return time.Time{}, false
	}
	return time.Unix(int64(binary.BigEndian.Uint64(b)), 0), true
}
