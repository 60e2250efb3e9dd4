package revocation_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/fetch"
	"kong-go-jwt/plugin/revocation"
	"kong-go-jwt/schema"
)

// patience is for what comes soon, also on a busy machine.
const patience = time.Minute

// publisher publishes a list, under the test's control, and the time.
type publisher struct {
	*httptest.Server
	mu          sync.Mutex
	list        string
	version     int
	failing     bool
	fetched     int
	unchanged   int
	now         time.Time
	log         strings.Builder
	conditional bool // it answers 304
}

func publish(t *testing.T, entries string) *publisher {
	t.Helper()
	p := &publisher{now: time.Unix(1_800_000_000, 0), conditional: true}
	p.publish(entries)
	p.Server = httptest.NewUnstartedServer(p)
	p.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	p.StartTLS()
	t.Cleanup(p.Close)
	return p
}

func (p *publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fetched++
	etag := fmt.Sprintf(`"%d"`, p.version)
	switch {
	case p.failing:
		w.WriteHeader(http.StatusBadGateway)
	case p.conditional && r.Header.Get("If-None-Match") == etag:
		p.unchanged++
		w.WriteHeader(http.StatusNotModified)
	default:
		w.Header().Set("ETag", etag)
		_, _ = io.WriteString(w, p.list)
	}
}

func (p *publisher) do(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

func (p *publisher) publish(entries string) {
	p.do(func() { p.list, p.version = `{"revoked":[`+entries+`]}`, p.version+1 })
}

func (p *publisher) time() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

// Write implements io.Writer for the log.
func (p *publisher) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

// open opens the list, refreshed each second.
func (p *publisher) open(t *testing.T, onFailure string) (*revocation.Lists, plugin.RevocationList) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(p.Certificate())
	lists := revocation.New(revocation.Options{
		Fetching: fetch.Options{RootCAs: pool, MaxBytes: 1 << 20},
		Now:      p.time, Log: slog.New(slog.NewTextHandler(p, nil)),
	})
	t.Cleanup(lists.Close)
	list, err := lists.Open(schema.Revocation{URL: p.URL + "/list?key=secret", Refresh: 1, Stale: 100, OnFailure: onFailure})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(list.Close)
	return lists, list
}

// told is what the list says of a token with that jti.
func told(t *testing.T, list plugin.RevocationList, id string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	revoked, err := list.Revoked(ctx, name(id, "", "", 0))
	if ctx.Err() != nil {
		t.Error("it waited for the list in vain")
	}
	switch {
	case err != nil:
		return err.Error()
	case revoked:
		return "revoked"
	}
	return "good"
}

// becomes waits until so holds.
func becomes(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

// fetchedAgain waits for so many fetches.
func (p *publisher) fetchedAgain(t *testing.T, times int) {
	t.Helper()
	var until int
	p.do(func() { until = p.fetched + times })
	becomes(t, "further fetches", func() bool {
		var so bool
		p.do(func() { so = p.fetched >= until })
		return so
	})
}

// logs waits until the log has text.
func (p *publisher) logs(t *testing.T, text string) {
	t.Helper()
	becomes(t, "log: "+text, func() bool {
		var so bool
		p.do(func() { so = strings.Contains(p.log.String(), text) })
		return so
	})
}

func TestListIsKeptFresh(t *testing.T) {
	t.Parallel()
	p := publish(t, `{"jti":"1"}`)
	_, list := p.open(t, "closed")
	if got := told(t, list, "1"); got != "revoked" {
		t.Errorf("at first: %s", got)
	}
	first := list.Generation()
	p.publish(`{"jti":"2"}`)
	becomes(t, "the new list counts", func() bool { return told(t, list, "2") == "revoked" })
	if got := told(t, list, "1"); got != "good" || list.Generation() <= first {
		t.Errorf("after a change: %s, generation %d after %d", got, list.Generation(), first)
	}
}

// What has not changed disturbs no decision, whether the server says so or sends
// the same again.
func TestUnchangedListKeepsItsGeneration(t *testing.T) {
	t.Parallel()
	for _, conditional := range []bool{true, false} {
		p := publish(t, `{"jti":"1"}`)
		p.conditional = conditional
		_, list := p.open(t, "closed")
		told(t, list, "1")
		first := list.Generation()
		p.fetchedAgain(t, 2)
		p.do(func() {
			if (p.unchanged > 0) != conditional {
				t.Errorf("conditional %t: %d answers of 304", conditional, p.unchanged)
			}
		})
		if g := list.Generation(); g != first || told(t, list, "1") != "revoked" {
			t.Errorf("conditional %t: generation %d, was %d; jti 1 is %s", conditional, g, first, told(t, list, "1"))
		}
		p.do(func() {
			if p.log.Len() > 0 {
				t.Errorf("conditional %t: there is nothing to tell, and it tells: %s", conditional, p.log.String())
			}
		})
	}
}

func TestListFails(t *testing.T) {
	t.Parallel()
	for onFailure, want := range map[string]string{"closed": "was never fetched, or its last copy is too old", "open": "good"} {
		t.Run(onFailure, func(t *testing.T) {
			p := publish(t, `{"jti":"1"}`)
			lists, list := p.open(t, onFailure)
			becomes(t, "the first fetch", func() bool { return lists.Status()[0].Usable })
			known := list.Generation()
			p.do(func() { p.failing = true })
			p.fetchedAgain(t, 1) // by when none before it is under way
			p.do(func() { p.now = p.now.Add(100 * time.Second) })
			if got := told(t, list, "1"); got != "revoked" || list.Generation() != known {
				t.Errorf("while it is stale: %s", got)
			}
			p.do(func() { p.now = p.now.Add(time.Second) })
			if got := told(t, list, "1"); !strings.HasSuffix(got, want) || strings.Contains(got, "secret") {
				t.Errorf("when it is too old: %s", got)
			}
			if g := list.Generation(); (g == 0) != (onFailure == "closed") || g != 0 && g <= known {
				t.Errorf("generation %d, was %d", g, known)
			}
			if s := lists.Status()[0]; s.Usable || s.Age != 101*time.Second || s.Entries != 1 || strings.Contains(s.URL, "secret") {
				t.Errorf("%+v", s)
			}
			expired := list.Generation()
			p.logs(t, "cannot fetch")
			p.fetchedAgain(t, 2)
			p.do(func() { p.failing = false })
			becomes(t, "it is fetched again", func() bool { return told(t, list, "1") == "revoked" })
			if g := list.Generation(); g <= known || g <= expired {
				t.Errorf("generation %d, was %d and %d", g, known, expired)
			}
			p.logs(t, "can be fetched again")
			p.do(func() {
				if log := p.log.String(); strings.Contains(log, "secret") || strings.Count(log, "cannot fetch") > 1 {
					t.Errorf("log:\n%s", log)
				}
			})
		})
	}
}

// A list that never could be fetched decides nothing, and what is no list does
// not take the place of one.
func TestListThatNeverCame(t *testing.T) {
	t.Parallel()
	p := publish(t, ``)
	p.failing = true
	_, closed := p.open(t, "closed")
	_, open := p.open(t, "open")
	if got := told(t, closed, "1"); !strings.HasSuffix(got, "was never fetched, or its last copy is too old") || closed.Generation() != 0 {
		t.Errorf("closed: %s", got)
	}
	if got := told(t, open, "1"); got != "good" || open.Generation() == 0 {
		t.Errorf("open: %s", got)
	}
	before := open.Generation()
	p.do(func() { p.failing = false })
	p.publish(`{"jti":"1"}`)
	becomes(t, "it has come", func() bool { return told(t, open, "1") == "revoked" && told(t, closed, "1") == "revoked" })
	if open.Generation() <= before {
		t.Errorf("generation %d, was %d", open.Generation(), before)
	}
	p.publish(`{}`)
	p.logs(t, "an entry without jti")
	if got := told(t, closed, "1"); got != "revoked" {
		t.Errorf("after a bad list: %s", got)
	}
}

// Without bounds for fetching, those that are documented hold.
func TestBoundsOfFetchingByDefault(t *testing.T) {
	t.Parallel()
	p := publish(t, `{"jti":"1"}`)
	pool := x509.NewCertPool()
	pool.AddCert(p.Certificate())
	lists := revocation.New(revocation.Options{Fetching: fetch.Options{RootCAs: pool}, Now: p.time, Log: slog.New(slog.NewTextHandler(p, nil))})
	t.Cleanup(lists.Close)
	list, err := lists.Open(schema.Revocation{URL: p.URL + "/list", Refresh: 1, Stale: 100, OnFailure: "closed"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(list.Close)
	if got := told(t, list, "1"); got != "revoked" {
		t.Error(got)
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	for failed, want := range map[int]time.Duration{
		0: time.Minute, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 6: 32 * time.Second, 7: time.Minute, 1000: time.Minute,
	} {
		if got := revocation.Pause(60, failed); got != want {
			t.Errorf("after %d failures: got %v, want %v", failed, got, want)
		}
	}
	if got, want := revocation.Pause(3600, 1000), 64*time.Second; got != want {
		t.Errorf("after many failures of a list that is fetched each hour: got %v, want %v", got, want)
	}
}

func TestListsAreShared(t *testing.T) {
	t.Parallel()
	p := publish(t, `{"jti":"1"}`)
	lists, first := p.open(t, "closed")
	second, err := lists.Open(schema.Revocation{URL: p.URL + "/list?key=secret", Refresh: 1, Stale: 100, OnFailure: "closed"})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(lists.Status()); n != 1 {
		t.Errorf("%d lists, want one", n)
	}
	first.Close()
	first.Close()
	if n := len(lists.Status()); n != 1 {
		t.Errorf("%d lists, want one", n)
	}
	second.Close()
	if n := len(lists.Status()); n != 0 {
		t.Errorf("%d lists, want none", n)
	}
}

func TestListsURLIsChecked(t *testing.T) {
	t.Parallel()
	lists := revocation.New(revocation.Options{})
	t.Cleanup(lists.Close)
	if _, err := lists.Open(schema.Revocation{URL: "http://lists.example.com/?key=secret"}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestIdleListsAreNotFetched(t *testing.T) {
	t.Parallel()
	p := publish(t, `{"jti":"1"}`)
	lists := revocation.New(revocation.Options{Idle: true})
	t.Cleanup(lists.Close)
	list, err := lists.Open(schema.Revocation{URL: p.URL, Refresh: 1, OnFailure: "closed"})
	if err != nil {
		t.Fatal(err)
	}
	if got := told(t, list, "1"); !strings.HasSuffix(got, "was never fetched, or its last copy is too old") {
		t.Errorf("got %s", got)
	}
	if unknown := lists.Unknown(); len(unknown) != 1 || unknown[p.URL] == nil {
		t.Errorf("unknown: %v", unknown)
	}
	list.Close()
	if unknown := lists.Unknown(); len(unknown) != 0 {
		t.Errorf("unknown of a list that is closed: %v", unknown)
	}
	p.do(func() {
		if p.fetched > 0 {
			t.Errorf("fetched %d times", p.fetched)
		}
	})
}

func TestFixedList(t *testing.T) {
	t.Parallel()
	lists := revocation.New(revocation.Options{})
	t.Cleanup(lists.Close)
	list := lists.Fixed([]schema.Revoked{{ID: "1"}, {Issuer: "i", IssuedBefore: 5}})
	for want, token := range map[string]*plugin.TokenName{
		"true by jti":  name("1", "j", "", 9),
		"true by time": name("2", "i", "", 4),
		"false":        name("2", "i", "", 5),
	} {
		if got, err := list.Revoked(t.Context(), token); err != nil || !strings.HasPrefix(want, fmt.Sprint(got)) {
			t.Errorf("got %t, %v, want %s", got, err, want)
		}
	}
	if list.Generation() == 0 {
		t.Error("a list that stays as it is has no generation")
	}
}
