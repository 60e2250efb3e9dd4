// Package source is where credentials and consumers come from, and where it is
// told that they have changed.
package source

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"kong-go-jwt/plugin"
)

// AdminOptions say where Kong's Admin API is.
type AdminOptions struct {
	URL       string         // e.g. http://127.0.0.1:8001
	TokenFile string         // holds the value of Kong-Admin-Token; "": none is sent
	RootCAs   *x509.CertPool // trusted for https; nil: the system's
	// Timeout bounds each request, with the wait for its turn.
	Timeout time.Duration
	// AtOnce is how many requests may be under way.
	AtOnce int
	// Rate is how many keys of which nothing is known may be looked up a second.
	Rate int

	Metrics Metrics // nil: none
}

// Admin looks credentials up at Kong's Admin API. It is safe for concurrent use.
type Admin struct {
	o      AdminOptions
	base   string
	client *http.Client
	turns  chan struct{}

	kong   atomic.Bool   // what answers was found to be Kong's
	doubt  chan struct{} // has Watch ask for the configuration at once
	listed configured    // without a database
	uuids  recent        // with one
}

var (
	_ plugin.CredentialSource = (*Admin)(nil)
	_ plugin.CustomIDSource   = (*Admin)(nil)
)

const (
	maxAnswer = 8 << 20 // bytes of an answer: 500 credentials (listAll) of 16 KiB
	// maxKey is the longest key that is asked for, in bytes as encoded: nginx
	// refuses a request line beyond 8 KiB.
	maxKey = 7 << 10
)

// NewAdmin returns a client. The error names the option at fault.
func NewAdmin(o AdminOptions) (*Admin, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("admin-url: %q is not an http or https URL", o.URL)
	}
	if o.Metrics == nil {
		o.Metrics = noMetrics{}
	}
	transport := &http.Transport{
		MaxConnsPerHost:     o.AtOnce + 1, // and one to watch by
		MaxIdleConnsPerHost: o.AtOnce,
		IdleConnTimeout:     time.Minute,
		TLSHandshakeTimeout: o.Timeout,
		TLSClientConfig:     &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
	}
	a := &Admin{
		o: o, base: strings.TrimRight(o.URL, "/"), turns: make(chan struct{}, o.AtOnce), doubt: make(chan struct{}, 1),
		listed: configured{turn: make(chan struct{}, 1)}, uuids: recent{turn: make(chan struct{}, 1)},
		client: &http.Client{
			Transport: transport,
			Timeout:   o.Timeout,
			// The Admin API does not redirect; following would send the token elsewhere.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if _, err := a.token(); err != nil {
		return nil, err
	}
	return a, nil
}

func (a *Admin) token() (string, error) {
	if a.o.TokenFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(a.o.TokenFile)
	if err != nil {
		return "", fmt.Errorf("admin-token-file: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// Credential implements [plugin.CredentialSource] by GET /jwts/{key}. Where all
// keys are listed, it asks for none that is not among them.
func (a *Admin) Credential(ctx context.Context, key string) (*plugin.Credential, error) {
	list := a.list(ctx)
	switch {
	case list != nil && !list.has(key):
		return nil, nil //nolint:nilnil // no error, and nothing found
	case isUUID.MatchString(key) && list != nil:
		return list.uuids[key], nil
	case isUUID.MatchString(key):
		return a.uuidCredential(ctx, key)
	}
	segment := url.PathEscape(key)
	if len(segment) > maxKey || strings.ContainsRune(key, 0) || key == "." || key == ".." || climbs(key) {
		return nil, nil //nolint:nilnil // no key that the Admin API could be asked for
	}
	var j jwtSecret
	found, err := a.get(ctx, "/jwts/"+segment, &j)
	if err != nil || !found {
		return nil, err
	}
	c, err := j.credential()
	if err != nil {
		return nil, fmt.Errorf("admin api: %w", err)
	}
	if c.Key != key { // nginx or Kong took it for something else
		return nil, nil //nolint:nilnil // no error, and nothing found
	}
	a.raiseDoubt()
	return c, nil
}

// raiseDoubt has Watch look at once whether the configuration is another one.
// It follows each lookup that has found something: if that came from a
// configuration which Watch does not know, and the one before was brought back
// within the interval, nobody would see that what was found is outdated.
func (a *Admin) raiseDoubt() {
	select {
	case a.doubt <- struct{}{}:
	default: // it will
	}
}

// climbs tells whether nginx refuses the path /jwts/KEY before Kong sees it: it
// undoes the escapes first, and then no ".." may lead above the root.
func climbs(key string) bool {
	depth := 1 // in /jwts
	for segment := range strings.SplitSeq(key, "/") {
		switch segment {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return true
			}
		default:
			depth++
		}
	}
	return false
}

// ConsumerByCustomID implements [plugin.CustomIDSource].
func (a *Admin) ConsumerByCustomID(ctx context.Context, customID string) (*plugin.Consumer, error) {
	if len(url.QueryEscape(customID)) > maxKey || strings.ContainsRune(customID, 0) {
		return nil, nil //nolint:nilnil // nothing that the Admin API could be asked for
	}
	var page struct{ Data []consumer }
	found, err := a.get(ctx, "/consumers?custom_id="+url.QueryEscape(customID), &page)
	if err != nil || !found || len(page.Data) == 0 {
		return nil, err
	}
	c := page.Data[0]
	if c.ID == "" || c.CustomID != customID {
		return nil, errors.New("admin api: answer is not a consumer with that custom_id")
	}
	a.raiseDoubt()
	return c.plugin(), nil
}

// isUUID is what the Admin API takes for an id, and not for a key
// (kong/tools/uuid.lua).
var isUUID = regexp.MustCompile(`(?i)^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// ConfigurationHash returns what changes with each declarative configuration;
// empty with a database, where there is none.
func (a *Admin) ConfigurationHash(ctx context.Context) (string, error) {
	if err := a.isKong(ctx); err != nil {
		return "", err
	}
	var status struct {
		Hash string `json:"configuration_hash"`
	}
	found, err := a.ask(ctx, "/status", &status) // out of turn: credentials are revoked by it
	if err == nil && !found {
		err = errors.New("admin api: no /status")
	}
	return status.Hash, err
}

// isKong asks, until that was once found, whether it is Kong's Admin API that
// answers: any server's 404 would pass for a credential that does not exist.
func (a *Admin) isKong(ctx context.Context) error {
	if a.kong.Load() {
		return nil
	}
	var status, root map[string]json.RawMessage
	_, err := a.ask(ctx, "/status", &status)
	if status["server"] == nil || status["memory"] == nil { // one may be forbidden
		var rootErr error
		if _, rootErr = a.ask(ctx, "/", &root); root["version"] == nil || root["tagline"] == nil {
			return errors.Join(errors.New("admin api: the server at -admin-url is not Kong's Admin API"), err, rootErr)
		}
	}
	a.kong.Store(true)
	return nil
}

// get is ask, when it is its turn.
func (a *Admin) get(ctx context.Context, path string, to any) (found bool, err error) {
	began := time.Now()
	defer func() { a.o.Metrics.LookedUp(time.Since(began), found, err) }()
	if err := a.isKong(ctx); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.o.Timeout)
	defer cancel()
	select {
	case a.turns <- struct{}{}:
		defer func() { <-a.turns }()
	case <-ctx.Done():
		return false, fmt.Errorf("admin api: too many requests at once: %w", ctx.Err())
	}
	return a.ask(ctx, path, to)
}

// ask asks for a path and decodes the answer. It reports false where Kong has
// nothing under that path. Errors hold no answer and no token.
func (a *Admin) ask(ctx context.Context, path string, to any) (found bool, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, http.NoBody)
	if err != nil {
		return false, fmt.Errorf("admin api: %w", err)
	}
	r.Header.Set("Accept", "application/json")
	token, err := a.token()
	if err != nil {
		return false, err
	}
	if token != "" {
		r.Header.Set("Kong-Admin-Token", token)
	}
	answer, err := a.client.Do(r)
	if err != nil {
		var inner *url.Error
		if errors.As(err, &inner) {
			err = inner.Err // without the URL, which holds what a client sent
		}
		return false, fmt.Errorf("admin api: %w", err)
	}
	defer func() { err = errors.Join(err, answer.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return false, fmt.Errorf("admin api: %w", err)
	case len(body) > maxAnswer:
		return false, errors.New("admin api: answer is too long")
	}
	isJSON := strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json")
	switch status := answer.StatusCode; {
	case status == http.StatusOK:
		if err := json.NewDecoder(bytes.NewReader(body)).Decode(to); err != nil {
			return false, errors.New("admin api: answer cannot be read")
		}
		return true, nil
	case isJSON && (status == http.StatusNotFound || status == http.StatusBadRequest):
		return false, nil // Kong says so, not just anything that listens there
	}
	return false, fmt.Errorf("admin api: status %d", answer.StatusCode)
}

// Watch tells to of each declarative configuration that Kong has loaded, within
// about interval, until ctx is done. It makes one small request per interval, and
// after lookups, at most one per moment; with a database, where credentials change
// without notice, only one per thirty intervals. health is told what has come of
// each.
func (a *Admin) Watch(ctx context.Context, interval time.Duration, to Changes, health func(error)) {
	const (
		rarely = 30
		moment = 20 * time.Millisecond
	)
	last, wait, doubt := "", time.Duration(0), a.doubt
	for {
		select {
		case <-ctx.Done():
			return
		case <-doubt:
			wait, doubt = min(interval, moment), nil
			continue
		case <-time.After(wait):
		}
		wait, doubt = interval, a.doubt
		hash, err := a.ConfigurationHash(ctx)
		if ctx.Err() != nil {
			return
		}
		health(err)
		switch {
		case err != nil:
			doubt = nil
		case hash == "":
			wait, doubt = rarely*interval, nil
		case hash != last:
			last = hash
			a.o.Metrics.Configured()
			a.uuids.outdated.Add(1)
			to.Invalidate()
		}
		if err == nil && hash != "" {
			go a.relist(ctx, hash)
		}
	}
}
