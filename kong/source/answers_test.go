package source_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kong-go-jwt/kong/source"
)

// answering is an Admin API that is Kong's, and answers all but its status by answer.
func answering(t *testing.T, tokenFile string, answer http.HandlerFunc) *source.Admin {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if r.URL.Path == "/status" {
			_, _ = fmt.Fprint(w, `{"server":{},"memory":{}}`)
			return
		}
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	c, err := source.NewAdmin(source.AdminOptions{URL: s.URL, TokenFile: tokenFile, Timeout: patience, AtOnce: 4})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConsumerByCustomID(t *testing.T) {
	const alice = `{"id":"i","username":"alice","custom_id":"a-1"}`
	for name, tt := range map[string]struct {
		status     int
		body, want string
	}{
		"found":          {200, `{"data":[` + alice + `]}`, "alice"},
		"several":        {200, `{"data":[` + alice + `,{"id":"j","custom_id":"a-2"}]}`, "alice"},
		"none":           {200, `{"data":[]}`, "nobody"},
		"no such path":   {404, `{"message":"Not found"}`, "nobody"},
		"another":        {200, `{"data":[{"id":"j","custom_id":"a-2"}]}`, "admin api: answer is not a consumer with that custom_id"},
		"without an id":  {200, `{"data":[{"custom_id":"a-1"}]}`, "admin api: answer is not a consumer with that custom_id"},
		"cannot be told": {500, `{}`, "admin api: status 500"},
	} {
		t.Run(name, func(t *testing.T) {
			c := answering(t, "", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.String() != "/consumers?custom_id=a-1" {
					t.Errorf("asked for %s", r.URL)
				}
				w.WriteHeader(tt.status)
				_, _ = fmt.Fprint(w, tt.body)
			})
			got := "nobody"
			if consumer, err := c.ConsumerByCustomID(t.Context(), "a-1"); err != nil {
				got = err.Error()
			} else if consumer != nil {
				got = consumer.Username
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// The token is sent if there is one.
func TestAdminToken(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]string{"": nil, file: {"secret"}} {
		c := answering(t, name, func(w http.ResponseWriter, r *http.Request) {
			if got := r.Header["Kong-Admin-Token"]; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("sent %q, want %q", got, want)
			}
			w.WriteHeader(http.StatusNotFound)
			_, _ = fmt.Fprint(w, `{}`)
		})
		if _, err := c.Credential(t.Context(), "k"); err != nil {
			t.Error(err)
		}
	}
}

// An answer of as many bytes as are allowed is taken, one more is not, whoever answers.
func TestAnswersAreBounded(t *testing.T) {
	const most = 8 << 20
	const row = `{"id":"i","key":"k","secret":"s","consumer":{"id":"c"}}`
	for length, want := range map[int]string{most: "", most + 1: "answer is too long"} {
		body := row + strings.Repeat(" ", length-len(row))
		admin := answering(t, "", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, body) })
		s := newStore(t).start(t)
		s.set("/jwt_secrets?key=k", 200, body)
		_, byAdmin := admin.Credential(t.Context(), "k")
		_, byNode := s.client().Credential(t.Context(), "k")
		for who, err := range map[string]error{"the Admin API": byAdmin, "the node": byNode} {
			if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%d bytes of %s: %v, want %q", length, who, err, want)
			}
		}
	}
}

// The longest key that the node is asked for.
func TestLongestKeyOfTheNode(t *testing.T) {
	const most = 30<<10 - len("key=")
	s := newStore(t).start(t)
	for _, length := range []int{most, most + 1} {
		if c, err := s.client().Credential(t.Context(), strings.Repeat("k", length)); c != nil || err != nil {
			t.Errorf("%d bytes: %v, %v", length, c, err)
		}
	}
	if len(s.queries) != 1 || len(s.queries[0]) != len("/jwt_secrets?key=")+most {
		t.Errorf("asked %d times", len(s.queries))
	}
}

// What the node says of a failure is cut short.
func TestLongFaultOfTheNode(t *testing.T) {
	for length, want := range map[int]string{200: strings.Repeat("x", 200), 201: strings.Repeat("x", 200) + "…"} {
		s := newStore(t).start(t)
		s.set("/jwt_secrets?key=k", 503, `{"message":"`+strings.Repeat("x", length)+`"}`)
		if _, err := s.client().Credential(t.Context(), "k"); err == nil || err.Error() != "node's store: status 503: "+want {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
}

// All pages are listed, each asked for by what the one before it says.
func TestListingHasPages(t *testing.T) {
	pages := map[string]string{"": "b", "b": "c", "c": ""} // by offset, the next
	var asked []string
	c := answering(t, "", func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		asked = append(asked, fmt.Sprint(q["offset"]))
		page := map[string]any{"data": []any{map[string]any{
			"id": "i", "key": fmt.Sprintf(uuid, len(asked)), "secret": "s", "consumer": map[string]string{"id": "c"},
		}}}
		if next := pages[q.Get("offset")]; next != "" {
			page["offset"] = next
		}
		_ = json.NewEncoder(w).Encode(page)
	})
	for i := 1; i <= 4; i++ {
		if got, err := c.Credential(t.Context(), fmt.Sprintf(uuid, i)); err != nil || (got != nil) != (i <= 3) {
			t.Errorf("%d: %v, %v", i, got, err)
		}
	}
	if got, want := fmt.Sprint(asked), "[[] [b] [c]]"; got != want {
		t.Errorf("asked for offsets %s, want %s", got, want)
	}
}
