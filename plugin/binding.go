package plugin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/pem"
	"net/netip"
	"net/url"
	"slices"

	"kong-go-jwt/schema"
)

// binding is what a token is bound to by its cnf claim (RFC 7800 section 3.1), as
// far as the configuration looks at it: the token is good only in a request that
// has this too. It is kept with the decision and held against each request anew.
type binding struct {
	certificate []byte // SHA-256 of the DER: x5t#S256 (RFC 8705 section 3.1)
	key         []byte // SHA-256 of the JWK: jkt (RFC 9449 section 6.1)
	facts       facts  // of the token, without its claims
}

// bindingOf returns what a verified token is bound to, nil if that is nothing.
func (e *Engine) bindingOf(t *token, f *facts) (*binding, *Refusal) {
	if !e.c.MTLSBinding.On() && !e.c.DPoP.On() {
		return nil, nil
	}
	var cnf map[string]any
	if v, there := t.claims["cnf"]; there {
		var ok bool
		if cnf, ok = v.(map[string]any); !ok {
			return nil, e.no.invalidBinding
		}
	}
	b := &binding{facts: *f}
	b.facts.claims = nil
	for _, to := range []struct {
		hash   *[]byte
		member string
		mode   schema.Binding
		absent *Refusal
	}{
		{&b.certificate, "x5t#S256", e.c.MTLSBinding, e.no.unboundToken},
		{&b.key, "jkt", e.c.DPoP, e.no.unboundToKey},
	} {
		if !to.mode.On() {
			continue
		}
		var ok bool
		switch *to.hash, ok = hashIn(cnf, to.member); {
		case !ok:
			return nil, e.no.invalidBinding
		case *to.hash == nil && to.mode == schema.BindingRequired:
			return nil, to.absent
		}
	}
	if b.certificate == nil && b.key == nil {
		return nil, nil
	}
	return b, nil
}

// hashIn returns a member of cnf that is the base64url of a SHA-256, nil if there is
// no such member. It reports false for one of another form.
func hashIn(cnf map[string]any, member string) (hash []byte, ok bool) {
	v, there := cnf[member]
	if !there {
		return nil, true
	}
	text, _ := v.(string)
	hash, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return hash, err == nil && len(hash) == sha256.Size
}

// checkBinding holds a request against what its token is bound to; b is nil if that is
// nothing. fault tells, with a refusal, what went wrong on this side. nonce is that of
// [Outcome.DPoPNonce].
func (e *Engine) checkBinding(ctx context.Context, b *binding, r *Request, sent *sentToken, wait bool) (nonce string, no *Refusal, fault error) {
	if b != nil && b.certificate != nil {
		no = e.checkCertificate(b, r)
		r.Trace.step(CheckCertificate, 0, no == nil)
	}
	if no == nil && e.prover != nil { // last: it uses the proof up
		if nonce, no, fault = e.checkProof(ctx, b, r, sent, wait); b != nil && b.key != nil {
			r.Trace.step(CheckProof, 0, no == nil)
		}
	}
	return nonce, no, fault
}

// checkCertificate holds a request against the certificate that its token is bound to.
func (e *Engine) checkCertificate(b *binding, r *Request) *Refusal {
	text, format := r.Certificate, ""
	if e.fromProxy(r) { // whose own certificate, if it has one, is not the client's
		text, format = r.CertificateHeader, e.c.CertificateHeaderFormat
	}
	if len(text) == 0 {
		return e.no.noCertificate
	}
	der := certificateIn(text, format)
	if der == nil {
		return e.no.invalidCertificate
	}
	if hash := sha256.Sum256(der); subtle.ConstantTimeCompare(hash[:], b.certificate) == 0 {
		return e.no.wrongCertificate
	}
	return nil
}

// fromProxy tells whether r comes from a proxy that is trusted to tell the client's
// certificate.
func (e *Engine) fromProxy(r *Request) bool {
	if len(e.proxies) == 0 {
		return false
	}
	peer, err := netip.ParseAddr(string(r.Peer))
	return err == nil && slices.ContainsFunc(e.proxies, func(p netip.Prefix) bool { return p.Contains(peer.Unmap()) })
}

// certificateIn returns the first certificate in text, as DER, nil if there is none.
// Without a format, text is PEM.
func certificateIn(text []byte, format string) []byte {
	if bytes.IndexByte(text, ',') >= 0 { // between several headers: no format has one
		return nil
	}
	switch format {
	case "url_encoded":
		decoded, err := url.PathUnescape(string(text)) // which leaves the + of base64 alone
		if err != nil {
			return nil
		}
		text = []byte(decoded)
	case "base64_encoded":
		// Between colons, it is the Client-Cert header of RFC 9440.
		if len(text) > 1 && text[0] == ':' && text[len(text)-1] == ':' {
			text = text[1 : len(text)-1]
		}
		decoded, err := base64.StdEncoding.DecodeString(string(text))
		if err != nil {
			return nil
		}
		if !bytes.HasPrefix(decoded, []byte("-----BEGIN ")) {
			return decoded
		}
		text = decoded
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil
	}
	return block.Bytes
}
