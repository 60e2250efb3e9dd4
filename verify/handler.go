package verify

import (
	"context"
	"errors"
	"io"
	"net/http"
)

// contextKey is the type of the key of an identity in a context.
type contextKey struct{}

// FromContext returns who made the request that ctx is of. It reports false if it
// did not come through [Verifier.Handler].
func FromContext(ctx context.Context) (*Identity, bool) {
	id, ok := ctx.Value(contextKey{}).(*Identity)
	return id, ok
}

// NewContext returns a ctx with an identity, for tests of handlers, and for what
// is no http.Handler.
func NewContext(ctx context.Context, id *Identity) context.Context {
	return context.WithValue(ctx, contextKey{}, id)
}

// Handler lets requests through to next whose token is good, with the identity in
// their context. All others are answered 401, or 503 if the keys cannot be had,
// and why goes into the log alone.
func (v *Verifier) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := v.request(r)
		if err != nil {
			v.o.Log.WarnContext(r.Context(), "request refused", "why", err, "remote", r.RemoteAddr)
			refuse(w, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(NewContext(r.Context(), id)))
	})
}

// request returns who made r.
func (v *Verifier) request(r *http.Request) (*Identity, error) {
	tokens := r.Header.Values(v.o.Header)
	switch len(tokens) {
	case 0:
		return nil, invalid("the request has none")
	case 1:
	default:
		return nil, invalid("the request has several")
	}
	id, err := v.Verify(r.Context(), tokens[0])
	if err != nil {
		return nil, err
	}
	if bound := id.Method != "" || id.Path != ""; bound && (id.Method != r.Method || id.Path != r.URL.EscapedPath()) {
		return nil, invalid("bound to another request")
	}
	return id, nil
}

func refuse(w http.ResponseWriter, err error) {
	status, body := http.StatusServiceUnavailable, `{"message":"Service unavailable"}`
	if errors.Is(err, ErrInvalid) {
		status, body = http.StatusUnauthorized, `{"message":"Unauthorized"}`
		w.Header().Set("WWW-Authenticate", "Bearer") // RFC 9110 section 15.5.2 asks for one
	} else {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body) // the client's loss
}
