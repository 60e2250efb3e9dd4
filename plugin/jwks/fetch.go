package jwks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"kong-go-jwt/plugin"
)

// fetcher fetches key sets, by discovery or not. It remembers nothing.
type fetcher struct {
	o      *Options
	client *http.Client
}

// document is a key set as it was fetched.
type document struct {
	keys     []*plugin.PublishedKey
	unfit    []unfit
	lifetime time.Duration
}

func newFetcher(o *Options) *fetcher {
	const maxHeader = 64 << 10
	client := &http.Client{CheckRedirect: o.checkRedirect} // no cookies
	if o.Client != nil {
		client.Transport = o.Client.Transport
	}
	if client.Transport == nil {
		client.Transport = newOrigins(o.Logins, &http.Transport{
			Proxy:                  http.ProxyURL(o.Proxy),
			TLSClientConfig:        &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12},
			DialContext:            (&net.Dialer{Timeout: o.Timeout}).DialContext,
			TLSHandshakeTimeout:    o.Timeout,
			ForceAttemptHTTP2:      true,
			IdleConnTimeout:        10 * time.Second, // long enough for discovery and what follows
			MaxResponseHeaderBytes: maxHeader,
		})
	}
	return &fetcher{o: o, client: client}
}

// fetch fetches a key set. It takes a panic for an error: on a goroutine of its
// own it would end the process.
func (f *fetcher) fetch(ctx context.Context, from source) (found *document, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			found, err = nil, errors.New("panic") // whose value may hold anything
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, f.o.Timeout)
	defer cancel()
	address := from.jwksURI
	if address == "" {
		if address, err = f.discover(ctx, from.issuer); err != nil {
			return nil, err
		}
	}
	body, header, err := f.get(ctx, address)
	if err != nil {
		return nil, err
	}
	found = &document{lifetime: f.o.lifetime(header)}
	found.keys, found.unfit, err = parseSet(body, f.o.MaxKeys)
	return found, err
}

// discover asks an issuer where its keys are (OpenID Connect Discovery 1.0
// section 4). What it says must be of itself (section 4.3, RFC 8414 section
// 3.3), and must not give up TLS.
func (f *fetcher) discover(ctx context.Context, issuer string) (string, error) {
	address, err := discoveryURL(issuer)
	if err != nil {
		return "", err
	}
	body, _, err := f.get(ctx, address)
	if err != nil {
		return "", err
	}
	m, err := parseMembers(body)
	if err != nil {
		return "", fmt.Errorf("discovery: %w", err)
	}
	says, err := m.text("issuer")
	if err != nil || says != issuer {
		return "", errors.New("discovery: answer is of another issuer")
	}
	keys, err := m.text("jwks_uri")
	if err != nil || keys == "" {
		return "", errors.New("discovery: answer has no jwks_uri")
	}
	from, err := f.o.parseURL(address)
	if err != nil {
		return "", err
	}
	to, err := f.o.parseURL(keys)
	if err != nil {
		return "", err
	}
	if from.Scheme == "https" && to.Scheme != "https" && !f.o.AllowHTTP {
		return "", errors.New("discovery: jwks_uri is not https, though the issuer is")
	}
	return keys, nil
}

// get fetches a document. Errors hold neither it nor the query of its URL.
func (f *fetcher) get(ctx context.Context, address string) (body []byte, header http.Header, err error) {
	u, err := f.o.parseURL(address)
	if err != nil {
		return nil, nil, err
	}
	failed := func(err error) error { return fmt.Errorf("%s: %w", where(u), bare(err)) }
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, nil, failed(err)
	}
	r.Header.Set("Accept", "application/jwk-set+json, application/json")
	r.Header.Set("User-Agent", "kong-go-jwt")
	answer, err := f.client.Do(r)
	if err != nil {
		return nil, nil, failed(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, nil, failed(fmt.Errorf("status %d", answer.StatusCode))
	}
	body, err = io.ReadAll(io.LimitReader(answer.Body, f.o.MaxBytes+1))
	switch {
	case err != nil:
		return nil, nil, failed(err)
	case int64(len(body)) > f.o.MaxBytes:
		return nil, nil, failed(fmt.Errorf("answer has more than %d bytes", f.o.MaxBytes))
	}
	return body, answer.Header, nil
}

// bare takes off an error what says nothing or differs each time: the URL, with
// its query, and ports.
func bare(err error) error {
	var outer *url.Error
	if errors.As(err, &outer) {
		err = outer.Err
	}
	var inner *net.OpError
	if errors.As(err, &inner) {
		err = fmt.Errorf("%s: %w", inner.Op, inner.Err)
	}
	return err
}
