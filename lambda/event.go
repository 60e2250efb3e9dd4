package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"kong-go-jwt/plugin"
	"kong-go-jwt/schema"
)

// form is one of the forms in which API Gateway asks an authorizer.
type form string

// The forms.
const (
	restToken   form = "rest_token"   // REST API, TOKEN: one header alone
	restRequest form = "rest_request" // REST API, or WebSocket API, REQUEST
	httpV1      form = "http_1.0"     // HTTP API, payload 1.0
	httpV2      form = "http_2.0"     // HTTP API, payload 2.0
)

// event is what API Gateway asks with, of all forms.
type event struct {
	Version   string `json:"version"`
	Type      string `json:"type"`
	MethodARN string `json:"methodArn"`
	RouteARN  string `json:"routeArn"` // payload 2.0

	AuthorizationToken string `json:"authorizationToken"` // TOKEN
	// IdentitySource holds the values that API Gateway remembers the answer by,
	// joined by commas in payload 1.0, a list in 2.0. null: it remembers none.
	IdentitySource json.RawMessage `json:"identitySource"`

	Headers           map[string]string   `json:"headers"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
	Query             map[string]string   `json:"queryStringParameters"`
	MultiValueQuery   map[string][]string `json:"multiValueQueryStringParameters"`
	RawQuery          string              `json:"rawQueryString"` // payload 2.0
	Cookies           []string            `json:"cookies"`        // payload 2.0

	form form
}

// maxEvent bounds an event, in bytes. API Gateway takes 10,240 bytes of headers
// and request line, which an event has several times.
const maxEvent = 256 << 10

// parseEvent reads an event. The error holds nothing of it.
func parseEvent(text []byte) (*event, error) {
	if len(text) > maxEvent {
		return nil, fmt.Errorf("event has more than %d bytes", maxEvent)
	}
	e := new(event)
	if json.Unmarshal(text, e) != nil {
		return nil, errors.New("the event is not for an authorizer")
	}
	switch {
	case e.Version == "2.0" && e.Type == "REQUEST":
		e.form = httpV2
	case e.Version == "1.0" && e.Type == "REQUEST":
		e.form = httpV1
	case e.Type == "REQUEST":
		e.form = restRequest
	case e.Type == "TOKEN":
		e.form = restToken
	default:
		return nil, errors.New("the event is not for an authorizer")
	}
	return e, nil
}

// arn returns the ARN of what the request is for.
func (e *event) arn() string {
	if e.form == httpV2 {
		return e.RouteARN
	}
	return e.MethodARN
}

// header returns the distinct values of a header, whose name compares without
// case. REST APIs leave names as the client has spelt them.
func (e *event) header(name string) (values []string) {
	for n, list := range e.MultiValueHeaders {
		if strings.EqualFold(n, name) {
			values = append(values, list...)
		}
	}
	if values == nil {
		for n, value := range e.Headers {
			if strings.EqualFold(n, name) {
				values = append(values, value)
			}
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// query returns the raw query, of which the parameters in names are enough.
func (e *event) query(names []string) []byte {
	if e.form == httpV2 {
		return []byte(e.RawQuery)
	}
	query := url.Values{}
	for _, name := range names {
		if list := e.MultiValueQuery[name]; list != nil {
			query[name] = list
		} else if value, ok := e.Query[name]; ok {
			query.Set(name, value)
		}
	}
	return []byte(query.Encode())
}

// cookie returns the Cookie header.
func (e *event) cookie() []byte {
	if len(e.Cookies) > 0 {
		return []byte(strings.Join(e.Cookies, "; "))
	}
	return []byte(strings.Join(e.header("cookie"), "; "))
}

// request returns what the engine decides from. It reports false if a header
// that may hold the token has several values: which one API Gateway remembers
// the answer by is not known.
func (e *event) request(c *schema.Config) (r *plugin.Request, ok bool) {
	r = new(plugin.Request)
	if e.form == restToken {
		// By whatever header it is configured there.
		r.Headers = [][]byte{[]byte(e.AuthorizationToken)}
		return r, true
	}
	for _, name := range c.HeaderNames {
		values := e.header(name)
		if values == nil { // as Kong looks for it
			values = e.header(strings.ReplaceAll(name, "_", "-"))
		}
		switch len(values) {
		case 0:
			r.Headers = append(r.Headers, nil)
		case 1:
			r.Headers = append(r.Headers, []byte(values[0]))
		default:
			return nil, false
		}
	}
	if len(c.URIParamNames) > 0 {
		r.Query = e.query(c.URIParamNames)
	}
	if len(c.CookieNames) > 0 {
		r.Cookie = e.cookie()
	}
	return r, true
}

// remembered tells whether the values that API Gateway remembers the answer by
// hold the token. If they did not, a later request with the same values and no
// good token would be let in.
//
// A REST API does not tell which values those are, so each header that is
// configured and there must hold the token.
func (e *event) remembered(r *plugin.Request, token []byte) bool {
	switch e.form {
	case restToken:
		return true
	case restRequest:
		for _, value := range append(slices.Clone(r.Headers), r.Cookie) {
			if len(value) > 0 && !bytes.Contains(value, token) {
				return false
			}
		}
		return true
	case httpV1, httpV2:
	}
	if len(e.IdentitySource) == 0 || string(e.IdentitySource) == "null" {
		return true
	}
	var values []string
	if json.Unmarshal(e.IdentitySource, &values) != nil {
		var joined string
		if json.Unmarshal(e.IdentitySource, &joined) != nil {
			return false
		}
		values = []string{joined}
	}
	return slices.ContainsFunc(values, func(value string) bool { return strings.Contains(value, string(token)) })
}
