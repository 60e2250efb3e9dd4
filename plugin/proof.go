package plugin

import (
	"bytes"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"kong-go-jwt/plugin/dpop"
)

// newProver makes ready what Config.DPoP asks for.
func (e *Engine) newProver() {
	if !e.c.DPoP.On() {
		return
	}
	seconds := func(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }
	e.prover = &dpop.Verifier{
		Lifetime: seconds(e.c.DPoPProofLifetime), Leeway: seconds(e.c.Leeway), Replays: e.s.replays, Now: e.s.o.Now,
	}
	if e.c.DPoPUseNonce {
		e.prover.Nonces = e.s.nonces
	}
}

// checkProof holds a request against the key that its token is bound to, if it is, and
// against how the token was sent (RFC 9449 section 7). fault tells, with a refusal, what
// went wrong on this side. The proof is used up by it. next is the nonce that the client
// has to use from now on; "": the one that it has, if any.
func (e *Engine) checkProof(ctx context.Context, b *binding, r *Request, sent *sentToken, wait bool) (next string, no *Refusal, fault error) {
	switch bound := b != nil && b.key != nil; {
	case !bound && sent.proven:
		return "", e.no.unboundProven, nil
	case !bound:
		return "", nil, nil
	case sent.otherwise:
		return "", e.no.boundBearer, nil
	case len(r.DPoP) == 0:
		return "", e.no.noProof, nil
	case !wait: // there is a signature to verify
		return "", Failure(), errMustWait
	}
	nonce := func() string { return e.s.nonces.New(e.s.o.Now()) }
	proof, bad := e.prover.Check(r.DPoP, &dpop.Request{Method: string(r.Method), URIs: targetURIs(r), Token: sent.token, Key: b.key})
	if bad != nil {
		return "", badProof(e.c, bad, nonce), nil
	}
	done, err := e.s.turns.take(ctx, e.s.o.LookupTimeout)
	if err != nil {
		return "", Unavailable(), err
	}
	defer done()
	if bad := proof.Use(); bad != nil {
		return "", badProof(e.c, bad, nonce), nil
	}
	return proof.NextNonce(), nil, nil
}

// targetURIs returns the URIs that a client may have called by r. Which port it has
// called is told by the proxies that Kong trusts or else by the Host header, but Kong may
// only know the one that it listens on. If a proxy tells another host than the Host header,
// that header is the proxy's own, and so is its port.
func targetURIs(r *Request) (uris []string) {
	scheme := strings.ToLower(string(r.Scheme))
	path, _, _ := bytes.Cut(r.Target, []byte("?"))
	host, called := dpop.HostPort(string(r.HostHeader))
	if called == "" || !strings.EqualFold(host, string(r.Host)) {
		called = dpop.DefaultPort(scheme)
	}
	for _, port := range []string{called, strconv.Itoa(r.Port)} {
		uri, ok := dpop.Normalize(scheme + "://" + string(r.Host) + ":" + port + string(path))
		if ok && !slices.Contains(uris, uri) {
			uris = append(uris, uri)
		}
	}
	return uris
}
