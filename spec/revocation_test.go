package spec_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

// TestRevocation has tokens revoked by a published list and in the configuration.
func TestRevocation(t *testing.T) {
	needsGateway(t)
	t.Parallel()
	var list atomic.Value // "": it cannot be had
	list.Store(`{"revoked":[{"jti":"1"},{"iss":"hs256","sub":"mallory"},{"iss":"hs256","issued_before":1700000000}]}`)
	var version atomic.Int32
	lists := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := list.Load().(string)
		if etag := fmt.Sprintf(`"%d"`, version.Load()); text == "" {
			w.WriteHeader(http.StatusServiceUnavailable)
		} else if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
		} else {
			w.Header().Set("ETag", etag)
			io.WriteString(w, text)
		}
	}))
	t.Cleanup(lists.Close)
	from := func(more object) object {
		r := object{"url": lists.URL, "refresh": 1, "stale": 5}
		for k, v := range more {
			r[k] = v
		}
		return object{"revocations": []any{r}}
	}
	address, args := metered(t)
	for i, arg := range args {
		args[i] = arg[len("-plugin-arg="):]
	}
	g := withRoutes(t, map[string][]any{
		"/list":   jwt(from(object{"stale": 3600})),
		"/closed": jwt(from(nil)),
		"/open":   jwt(from(object{"on_failure": "open"})),
		"/never":  jwt(from(object{"url": "http://127.0.0.1:1"})),
		"/config": jwt(object{"revoked": []any{object{"jti": "c"}, object{"sub": "mallory"}}}),
	}, args)
	ask := func(path string, claims object) string {
		return identityOf(g.send(t, "GET", path, bearer(claimsToken(t, claims))))
	}
	const revoked, unknown = `401 {"message":"Token revoked"}`, `503 {"message":"Revoked tokens cannot be told at the moment"}`
	now := time.Now().Unix()
	for name, tt := range map[string]struct {
		path   string
		claims object
		want   string
	}{
		"by jti":                {"/list", object{"jti": "1", "iat": now}, revoked},
		"another jti":           {"/list", object{"jti": "2", "iat": now}, alice},
		"by iss and sub":        {"/list", object{"sub": "mallory", "iat": now}, revoked},
		"another sub":           {"/list", object{"sub": "bob", "iat": now}, alice},
		"issued before":         {"/list", object{"iat": 1600000000}, revoked},
		"without iat":           {"/list", object{"jti": "2"}, revoked},
		"in the configuration":  {"/config", object{"jti": "c"}, revoked},
		"by sub alone":          {"/config", object{"sub": "mallory"}, revoked},
		"not there":             {"/config", object{"jti": "1"}, alice},
		"a list that never was": {"/never", object{"jti": "2", "iat": now}, unknown},
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second time remembered, where it is accepted
				if got := ask(tt.path, tt.claims); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			}
		})
	}

	// A remembered token dies with the next fetch of a list that names it.
	claims := object{"jti": "3", "iat": now}
	for _, path := range []string{"/list", "/closed", "/open"} {
		for range 2 {
			if got := ask(path, claims); got != alice {
				t.Fatalf("%s before the change: %s", path, got)
			}
		}
	}
	list.Store(`{"revoked":[{"jti":"3"}]}`)
	version.Add(1)
	for _, path := range []string{"/list", "/closed", "/open"} {
		poll(t, patience, func() bool { return ask(path, claims) == revoked })
	}

	// A list that cannot be had: the last copy, then nobody, or everybody.
	list.Store("")
	poll(t, patience, func() bool { return ask("/closed", claims) == unknown })
	poll(t, patience, func() bool { return ask("/open", claims) == alice })
	if got := ask("/list", claims); got != revoked {
		t.Errorf("by a stale copy: %s", got)
	}
	if got := metrics(t, address)[fmt.Sprintf("go_jwt_revocation_list_usable{url=%q}", lists.URL)]; got != 0 {
		t.Errorf("go_jwt_revocation_list_usable is %v", got)
	}
	list.Store(`{"revoked":[]}`)
	version.Add(1)
	for _, path := range []string{"/list", "/closed", "/open"} {
		poll(t, patience, func() bool { return ask(path, claims) == alice })
	}
	poll(t, patience, func() bool {
		return metrics(t, address)[fmt.Sprintf("go_jwt_revocation_list_usable{url=%q}", lists.URL)] == 1
	})
}
