package plugin

import (
	"bytes"
	"fmt"
	"net/http"

	"kong-go-jwt/plugin/assertion"
	"kong-go-jwt/schema"
)

// Reply is an answer to a client: a refusal as it is sent, or the answer to a
// request that asked the plugin itself for something.
type Reply struct {
	Status  int
	Body    []byte
	Headers []Header // with one value each
}

// jsonContent tells what a body is: Kong does not.
func jsonContent() Header {
	return Header{Name: "Content-Type", Value: "application/json; charset=utf-8"}
}

// replies are the answers to who asks the plugin itself, and not the upstream.
type replies struct {
	keySet, discovery, metadata *Reply // nil: there is none
	preflight                   *Reply // for metadata
}

// newReplies returns what c has published; nil: nothing.
func newReplies(c *schema.Config, s *assertion.Signer) (*replies, error) {
	r := new(replies)
	if c.PublishKeys {
		keySet, err := assertion.KeySet(s.Keys())
		if err != nil {
			return nil, err //nolint:wrapcheck // says it all
		}
		discovery, err := s.Discovery()
		if err != nil {
			return nil, err //nolint:wrapcheck // says it all
		}
		r.keySet = publication(keySet)
		if discovery != nil { // else the issuer is no URL
			r.discovery = publication(discovery)
		}
	}
	if c.ResourceMetadata != nil {
		document, err := metadata(c)
		if err != nil {
			return nil, err
		}
		r.metadata, r.preflight = forAnyOrigin(publication(document)), preflight()
	}
	if *r == (replies{}) {
		return nil, nil //nolint:nilnil // nothing is published
	}
	return r, nil
}

func publication(body []byte) *Reply {
	return &Reply{Status: http.StatusOK, Body: body, Headers: []Header{
		jsonContent(),
		{Name: "Cache-Control", Value: fmt.Sprintf("public, max-age=%.0f", assertion.KeySetLife.Seconds())},
	}}
}

// to returns the answer to r, nil if it asks for nothing that is published.
func (p *replies) to(r *Request) *Reply {
	if p == nil {
		return nil
	}
	path, _, _ := bytes.Cut(r.Target, []byte("?"))
	var found, options *Reply
	switch {
	case bytes.HasSuffix(path, []byte(assertion.KeySetPath)):
		found = p.keySet
	case bytes.HasSuffix(path, []byte(assertion.DiscoveryPath)):
		found = p.discovery
	case isMetadata(path):
		found, options = p.metadata, p.preflight
	}
	switch string(r.Method) {
	case http.MethodGet, http.MethodHead:
		return found
	case http.MethodOptions:
		if options != nil {
			return options
		}
	}
	if found != nil {
		return &Reply{Status: http.StatusMethodNotAllowed, Body: messageBody("Method not allowed"), Headers: []Header{
			jsonContent(), {Name: "Allow", Value: "GET, HEAD"},
		}}
	}
	return nil
}
