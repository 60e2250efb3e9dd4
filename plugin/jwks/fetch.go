package jwks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/fetch"
	"kong-go-jwt/plugin/jwk"
)

// fetcher fetches key sets, by discovery or not. It remembers nothing.
type fetcher struct {
	o      *Options
	client *fetch.Client
}

// document is a key set as it was fetched.
type document struct {
	keys     []*plugin.PublishedKey
	unfit    []unfit
	lifetime time.Duration
}

func newFetcher(o *Options) *fetcher {
	how := o.Fetching()
	how.Timeout, how.MaxBytes = o.Timeout, o.MaxBytes
	return &fetcher{o: o, client: fetch.New(how)}
}

// Fetching returns how o has keys fetched, but for the bounds, which are those of
// keys.
func (o *Options) Fetching() fetch.Options {
	return fetch.Options{Client: o.Client, RootCAs: o.RootCAs, Proxy: o.Proxy, Logins: o.Logins, AllowHTTP: o.AllowHTTP}
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
	m, err := jwk.ParseMembers(body)
	if err != nil {
		return "", fmt.Errorf("discovery: %w", err)
	}
	says, err := m.Text("issuer")
	if err != nil || says != issuer {
		return "", errors.New("discovery: the answer names another issuer")
	}
	keys, err := m.Text("jwks_uri")
	if err != nil || keys == "" {
		return "", errors.New("discovery: answer has no jwks_uri")
	}
	from, err := f.client.Check(address)
	if err != nil {
		return "", err
	}
	to, err := f.client.Check(keys)
	if err != nil {
		return "", err
	}
	if from.Scheme == "https" && to.Scheme != "https" && !f.o.AllowHTTP {
		return "", errors.New("discovery: jwks_uri is not https, though the issuer is")
	}
	return keys, nil
}

func (f *fetcher) get(ctx context.Context, address string) (body []byte, header http.Header, err error) {
	_, err = f.client.Get(ctx, fetch.Document{Address: address, Accept: "application/jwk-set+json, application/json"},
		func(r io.Reader, h http.Header) (err error) {
			header = h
			body, err = io.ReadAll(r)
			return err
		})
	return body, header, err
}
