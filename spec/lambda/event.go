package lambda

import (
	"encoding/json"
	"net/url"
	"strings"
)

// Form is one of the forms of an authorizer's event.
type Form string

// The forms.
const (
	RESTToken   Form = "REST TOKEN"
	RESTRequest Form = "REST REQUEST"
	HTTPv1      Form = "HTTP 1.0"
	HTTPv2      Form = "HTTP 2.0"
)

// Forms are all of them.
func Forms() []Form { return []Form{RESTToken, RESTRequest, HTTPv1, HTTPv2} }

// Stage is what a policy must cover: all of the stage of [Request.Event].
const Stage = "arn:aws:execute-api:eu-central-1:123456789012:abcdef123/prod/*"

const arnPrefix = "arn:aws:execute-api:eu-central-1:123456789012:abcdef123/prod/"

// Request is what a client sends.
type Request struct {
	Method, Path, Query string
	Headers             [][2]string
	// Identity names the headers, in lower case, that API Gateway remembers
	// answers by. nil: it remembers none, and an HTTP API tells of none.
	Identity []string
}

type table = map[string]any

// Event is what API Gateway makes of r for an authorizer. A REST TOKEN event has
// only the Authorization header of it.
func (r *Request) Event(form Form) []byte {
	method := r.Method
	if method == "" {
		method = "GET"
	}
	arn := arnPrefix + method + r.Path
	query, _ := url.ParseQuery(r.Query)
	var event table
	switch form {
	case RESTToken:
		event = table{"type": "TOKEN", "methodArn": arn, "authorizationToken": r.first("authorization")}
	case RESTRequest:
		event = table{
			"type": "REQUEST", "methodArn": arn, "resource": r.Path, "path": r.Path, "httpMethod": method,
			"headers": r.headers(false), "multiValueHeaders": r.multiHeaders(),
			"queryStringParameters": last(query), "multiValueQueryStringParameters": query,
			"pathParameters": table{}, "stageVariables": table{},
			"requestContext": table{"path": r.Path, "stage": "prod", "httpMethod": method, "apiId": "abcdef123"},
		}
	case HTTPv1:
		event = table{
			"version": "1.0", "type": "REQUEST", "methodArn": arn, "resource": r.Path, "path": r.Path, "httpMethod": method,
			"headers": r.headers(true), "queryStringParameters": last(query),
			"pathParameters": table{}, "stageVariables": table{},
			"requestContext": table{"path": r.Path, "stage": "prod", "httpMethod": method, "apiId": "abcdef123"},
		}
		if values := r.identity(); values != nil {
			event["identitySource"] = strings.Join(values, ",")
			event["authorizationToken"] = event["identitySource"]
		}
	case HTTPv2:
		headers := r.headers(true)
		event = table{
			"version": "2.0", "type": "REQUEST", "routeArn": arn, "routeKey": "$default", "rawPath": r.Path,
			"rawQueryString": r.Query, "headers": headers, "queryStringParameters": last(query),
			"identitySource": r.identity(), "stageVariables": table{},
			"requestContext": table{"stage": "prod", "apiId": "abcdef123", "http": table{"method": method, "path": r.Path}},
		}
		if cookies, ok := headers["cookie"]; ok {
			delete(headers, "cookie")
			event["cookies"] = strings.Split(cookies, "; ")
		}
	}
	text, err := json.Marshal(event)
	if err != nil { // tables and texts always encode
		panic(err)
	}
	return text
}

func (r *Request) first(name string) string {
	for _, h := range r.Headers {
		if strings.EqualFold(h[0], name) {
			return h[1]
		}
	}
	return ""
}

// identity are the values that API Gateway remembers answers by.
func (r *Request) identity() (values []string) {
	for _, name := range r.Identity {
		values = append(values, r.first(name))
	}
	return values
}

// headers are those of an HTTP API, in lower case and joined by commas (cookies
// by semicolons), or of a REST API, as spelt, the last of several.
func (r *Request) headers(joined bool) map[string]string {
	headers := map[string]string{}
	for _, h := range r.Headers {
		name, separator := h[0], ","
		if joined {
			name = strings.ToLower(name)
		}
		if strings.EqualFold(name, "cookie") {
			separator = "; "
		}
		if before, ok := headers[name]; ok && joined {
			headers[name] = before + separator + h[1]
		} else {
			headers[name] = h[1]
		}
	}
	return headers
}

func (r *Request) multiHeaders() map[string][]string {
	headers := map[string][]string{}
	for _, h := range r.Headers {
		headers[h[0]] = append(headers[h[0]], h[1])
	}
	return headers
}

func last(query url.Values) map[string]string {
	out := map[string]string{}
	for name, values := range query {
		out[name] = values[len(values)-1]
	}
	return out
}
