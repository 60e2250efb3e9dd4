// Package fetch fetches documents that others publish: issuers' keys, lists of
// revoked tokens. Where from, how much and for how long is bounded.
package fetch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Options say how documents are fetched. Timeout and MaxBytes must be set.
type Options struct {
	// Client is what to fetch by in place of a client of the package's own. Only
	// its Transport is used: what redirects are followed is the package's to say.
	Client *http.Client
	// RootCAs are the certificates to trust, if Client is nil; nil: the system's.
	RootCAs *x509.CertPool
	// Proxy is what to fetch through, if Client is nil; nil: nothing.
	Proxy *url.URL
	// Logins are by origin ("https://host" or "https://host:port"), if Client is
	// nil. They must have passed [Login.Check].
	Logins map[string]Login
	// AllowHTTP lets documents be fetched without TLS from other hosts than
	// loopback.
	AllowHTTP bool
	// Timeout bounds a connection's beginning. What bounds the whole is the
	// context of Get.
	Timeout time.Duration
	// MaxBytes bounds each answer.
	MaxBytes int64
}

// Client fetches documents. It keeps no cookies, and is safe for concurrent use.
type Client struct {
	o      Options
	client *http.Client
}

// New returns a client.
func New(o Options) *Client {
	const maxHeader = 64 << 10
	client := &http.Client{CheckRedirect: o.checkRedirect}
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
	return &Client{o: o, client: client}
}

// CloseIdleConnections closes what is not in use.
func (c *Client) CloseIdleConnections() { c.client.CloseIdleConnections() }

// Check tells whether something may be fetched from address, and reads it.
func (c *Client) Check(address string) (*url.URL, error) { return c.o.Check(address) }

// Document is what to fetch.
type Document struct {
	Address string
	Accept  string // media types
	// ETag and LastModified are those of the answer that is known already, if
	// any (RFC 9110 section 13.1).
	ETag, LastModified string
}

// Get fetches a document and has read take it in. If it is the one that is known
// already, Get reports so and read is not called. Errors hold nothing of it, nor
// the query of its URL.
func (c *Client) Get(ctx context.Context, d Document, read func(io.Reader, http.Header) error) (unchanged bool, err error) {
	u, err := c.o.Check(d.Address)
	if err != nil {
		return false, err
	}
	failed := func(err error) error { return fmt.Errorf("%s: %w", Where(u), bare(err)) }
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.Address, http.NoBody)
	if err != nil {
		return false, failed(err)
	}
	for name, value := range map[string]string{
		"Accept": d.Accept, "User-Agent": "kong-go-jwt", "If-None-Match": d.ETag, "If-Modified-Since": d.LastModified,
	} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	answer, err := c.client.Do(r)
	if err != nil {
		return false, failed(err)
	}
	defer func() { _ = answer.Body.Close() }()
	switch {
	case answer.StatusCode == http.StatusNotModified && d.ETag+d.LastModified != "":
		return true, nil
	case answer.StatusCode != http.StatusOK:
		return false, failed(fmt.Errorf("status %d", answer.StatusCode))
	}
	if err := read(&bounded{answer.Body, c.o.MaxBytes, c.o.MaxBytes}, answer.Header); err != nil {
		return false, failed(err)
	}
	return false, nil
}

// bounded reads so many bytes, and fails if there are more.
type bounded struct {
	r          io.Reader
	left, most int64
}

// Read implements [io.Reader].
func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, fmt.Errorf("answer has more than %d bytes", b.most)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		n, err = n-1, fmt.Errorf("answer has more than %d bytes", b.most)
	}
	return n, err //nolint:wrapcheck // io.EOF must stay what it is
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
