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
	now, unknown, lists := time.Unix(1_800_000_000, 0), map[string]error{}, map[string]error{}
	h, lookedUp, watching := kong.Readiness(func() time.Time { return now }, func() map[string]error { return unknown }, func() map[string]error { return lists })
	is := func(status int, want string) {
		t.Helper()
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/readyz", nil))
		if got := strings.TrimSpace(w.Body.String()); w.Code != status || got != want {
			t.Errorf("got %d %s\nwant %d %s", w.Code, got, status, want)
		}
	}
	const ready = `{"ready":true,"store":"ready","watch":"ready","issuers":{},"revocations":{}}`
	const storeFails = `{"ready":false,"store":"the last lookup failed; see Kong's log","watch":"ready","issuers":{},"revocations":{}}`
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
	is(503, `{"ready":false,"store":"ready","watch":"changes are not reported: revoking a credential takes longer","issuers":{},"revocations":{}}`)
	watching(true)
	unknown["https://idp"] = errors.New("jwks: status 500")
	is(503, `{"ready":false,"store":"ready","watch":"ready","issuers":{"https://idp":"its keys are not known: jwks: status 500"},"revocations":{}}`)
	delete(unknown, "https://idp")
	lists["https://list"] = errors.New("it is too old")
	is(503, `{"ready":false,"store":"ready","watch":"ready","issuers":{},"revocations":{"https://list":"it is too old"}}`)
	delete(lists, "https://list")
	is(200, ready)
}
