package plugin

import (
	"context"
	"fmt"
)

// candidates returns the credentials of that key, none if there are none: the
// configuration's own, of which a key may have several while it is rotated, or
// else the one of the source.
func (e *Engine) candidates(ctx context.Context, key string, wait bool) ([]*entry[knownCredential], error) {
	if own := e.own[key]; own != nil {
		return own, nil
	}
	if e.s.o.Source == nil {
		return nil, nil
	}
	credential, known := e.s.credentials.peek(key)
	if !known {
		if !wait {
			return nil, errMustWait
		}
		ctx, cancel := context.WithTimeout(ctx, e.s.o.LookupTimeout)
		defer cancel()
		var err error
		if credential, err = e.s.credentials.find(ctx, key); err != nil {
			return nil, err
		}
	}
	if credential == nil {
		return nil, nil
	}
	return []*entry[knownCredential]{credential}, nil
}

// signer returns the first of the candidates whose key verifies the token's
// signature. Each is used with its own algorithm alone. With a refusal in the
// outcome, there is none.
func (e *Engine) signer(ctx context.Context, candidates []*entry[knownCredential], t *token, wait bool) (*entry[knownCredential], Outcome) {
	no, warning := e.no.noCredential, error(nil)
	if len(candidates) > 0 {
		no = e.no.invalidAlgorithm
	}
	for _, credential := range candidates {
		position := credential.value.position
		same := t.alg == credential.value.Algorithm
		t.trace.step(CheckAlgorithm, position, same)
		if !same {
			continue
		}
		verifier, err := credential.value.verifier(keyRulesOf(e.c))
		t.trace.step(CheckKey, position, err == nil)
		if err != nil {
			no, warning = e.no.invalidKey, fmt.Errorf("credential %s with key %q cannot be used: %w", credential.value.ID, credential.value.Key, err)
			continue
		}
		if !wait && !verifier.quick() {
			return nil, Outcome{Refusal: Failure(), Fault: errMustWait}
		}
		good, err := e.s.verifies(ctx, verifier, t)
		if err != nil {
			return nil, Outcome{Refusal: busy(), Fault: err}
		}
		t.trace.step(CheckSignature, position, good)
		if good {
			return credential, Outcome{}
		}
		no = e.no.invalidSignature
	}
	return nil, Outcome{Refusal: no, Warning: warning}
}
