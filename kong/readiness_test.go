package kong_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kong-go-jwt/kong"
)

func TestReadiness(t *testing.T) {
	now, unknown := time.Unix(1_800_000_000, 0), map[string]error{}
	h, lookedUp, watching := kong.Readiness(func() time.Time { return now }, func() map[string]error { return unknown })
	is := func(status int, want string) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/readyz", nil))
		if got := strings.TrimSpace(w.Body.String()); w.Code != status || got != want {
			t.Errorf("got %d %s\nwant %d %s", w.Code, got, status, want)
		}
	}
	const ready = `{"ready":true,"store":"ready","watch":"ready","issuers":{}}`
	const storeFails = `{"ready":false,"store":"the last lookup failed; the log tells why","watch":"ready","issuers":{}}`
	is(200, ready)
	lookedUp(context.Canceled)
	is(200, ready)
	lookedUp(errors.New("secret"))
	is(503, storeFails)
	now = now.Add(29 * time.Second)
	is(503, storeFails)
	lookedUp(nil)
	is(200, ready)
	lookedUp(context.DeadlineExceeded)
	is(503, storeFails)
	now = now.Add(30 * time.Second) // nothing is known any more
	is(200, ready)
	watching(false)
	is(503, `{"ready":false,"store":"ready","watch":"changes are not told: credentials that are revoked go on for longer","issuers":{}}`)
	watching(true)
	unknown["https://idp"] = errors.New("jwks: status 500")
	is(503, `{"ready":false,"store":"ready","watch":"ready","issuers":{"https://idp":"its keys are not known: jwks: status 500"}}`)
	delete(unknown, "https://idp")
	is(200, ready)
}
