package plugin

import (
	"context"
	"fmt"
	"math"

	"kong-go-jwt/schema"
)

// RevocationLists gives access to lists of revoked tokens. It is safe for
// concurrent use.
type RevocationLists interface {
	// Open returns a list that is published. Fetching starts in the background.
	// All that open the same one share it. The error says what is wrong with its
	// URL.
	Open(r schema.Revocation) (RevocationList, error)
	// Fixed returns the list of these entries.
	Fixed(entries []schema.Revoked) RevocationList
}

// RevocationList tells which tokens are revoked. It is safe for concurrent use.
type RevocationList interface {
	// Revoked tells whether a token is. An error means that this cannot be known
	// now, so that the token must be refused. Revoked waits only for a list that
	// was never fetched, and not beyond ctx.
	Revoked(ctx context.Context, t *TokenName) (bool, error)
	// Generation is another one whenever what Revoked says may be: only ever a
	// greater one, and 0 while nothing can be known.
	Generation() uint64
	// Close tells that the list is not needed any more by who opened it.
	Close()
}

// TokenName is what a token can be named by in a list of revoked ones, each the
// claim as it is (RFC 7519 section 4.1); nil: there is none, or it has another
// type.
type TokenName struct {
	ID       *string  // jti
	Issuer   *string  // iss
	Subject  *string  // sub
	IssuedAt *float64 // iat, in seconds since 1970
}

// openRevocations opens the lists of a configuration. The errors name the fields
// at fault.
func (s *Store) openRevocations(c *schema.Config) (lists []RevocationList, faults []error) {
	fault := func(path, problem string) { faults = append(faults, &schema.FieldError{Path: path, Problem: problem}) }
	if s.o.Revocations == nil {
		const problem = "revoked tokens cannot be recognized here"
		if len(c.Revoked) > 0 {
			fault("config.revoked", problem)
		}
		if len(c.Revocations) > 0 {
			fault("config.revocations", problem)
		}
		return nil, faults
	}
	if len(c.Revoked) > 0 {
		lists = append(lists, s.o.Revocations.Fixed(c.Revoked))
	}
	for i, r := range c.Revocations {
		if list, err := s.o.Revocations.Open(r); err != nil {
			fault(fmt.Sprintf("config.revocations[%d].url", i+1), err.Error())
		} else {
			lists = append(lists, list)
		}
	}
	return lists, faults
}

func closeAll(lists []RevocationList) {
	for _, l := range lists {
		l.Close()
	}
}

// unknownGeneration is that of lists of which one cannot be known.
const unknownGeneration = math.MaxUint64

// generation is another one whenever a token may be revoked that was not.
func (e *Engine) generation() (sum uint64) {
	for _, l := range e.revocations {
		g := l.Generation()
		if g == 0 {
			return unknownGeneration
		}
		sum += g
	}
	return sum
}

// checkRevoked holds a verified token against the lists. fault tells, with a
// refusal, what went wrong on this side.
func (e *Engine) checkRevoked(ctx context.Context, t *token, wait bool) (no *Refusal, fault error) {
	if len(e.revocations) == 0 {
		return nil, nil
	}
	if !wait && e.generation() == unknownGeneration {
		return Failure(), errMustWait
	}
	ctx, cancel := context.WithTimeout(ctx, e.s.o.LookupTimeout)
	defer cancel()
	name := t.name()
	for i, l := range e.revocations {
		revoked, err := l.Revoked(ctx, &name)
		if err != nil {
			return revocationUnknown(), err
		}
		t.trace.step(CheckRevocation, i+1, !revoked)
		if revoked {
			return tokenRevoked(e.c), nil
		}
	}
	return nil, nil
}

func (t *token) name() TokenName {
	text := func(claim string) *string {
		if s, ok := t.claims[claim].(string); ok {
			return &s
		}
		return nil
	}
	n := TokenName{ID: text("jti"), Issuer: text("iss"), Subject: text("sub")}
	if at, ok := t.number("iat"); ok {
		n.IssuedAt = &at
	}
	return n
}
