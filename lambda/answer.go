package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"kong-go-jwt/plugin"
)

// usageIdentifierKey is the key of the context that is told as the API key of
// the caller's usage plan.
const usageIdentifierKey = "usageIdentifierKey"

// granted is a grant as it is remembered: the answers to API Gateway, encoded.
type granted struct {
	policy []byte // for placeholder
	simple []byte
	log    []byte // a logEntry, or null
}

// placeholder is what a remembered policy is for, instead of the stage. It is no
// ARN, so that it allows nothing.
const placeholder = "the stage"

// encodeGrant is [plugin.Options.Encode]. The answer is the fields of a granted,
// one on each line.
func encodeGrant(g *plugin.Grant) plugin.Answer {
	name, context := principal(g.Identity), map[string]any{}
	for _, h := range g.Headers {
		if h.Value != "" && !slices.Contains(plugin.IdentityHeaders(), h.Name) {
			context[h.Name] = h.Value
		}
	}
	allow := policy("Allow", name, placeholder, context)
	allow.UsageIdentifierKey = name
	if key, ok := context[usageIdentifierKey].(string); ok {
		allow.UsageIdentifierKey = key
	}
	lines := encode(allow)
	context["principalId"] = name
	lines = append(append(lines, '\n'), encode(events.APIGatewayV2CustomAuthorizerSimpleResponse{IsAuthorized: true, Context: context})...)
	lines = append(append(lines, '\n'), encode(entryOf(g.Log))...)
	return plugin.Answer{Bytes: lines}
}

// grantedOf takes an answer of encodeGrant apart.
func grantedOf(a *plugin.Answer) (g granted) {
	g.policy, g.simple, _ = bytes.Cut(a.Bytes, []byte("\n"))
	g.simple, g.log, _ = bytes.Cut(g.simple, []byte("\n"))
	return g
}

// policyFor returns the policy that allows a resource. Nothing of a token can be
// taken for the placeholder, whose quotes would be escaped in it.
func (g granted) policyFor(resource string) []byte {
	return bytes.Replace(g.policy, []byte(`["`+placeholder+`"]`), encode([]string{resource}), 1)
}

// encode is v as JSON, in which texts and numbers always can be put.
func encode(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}

// principal is the caller's name: the consumer that the configuration gives, or
// the subject.
func principal(id *plugin.Identity) string {
	switch {
	case id == nil:
		return "unidentified" // shadowed
	case id.Consumer != nil:
		return id.Consumer.Username
	}
	return id.CredentialKey
}

// deny returns the answer to a request whose token was refused. What it tells of
// that is for access logs and gateway responses.
func deny(no *plugin.Refusal, resource string, simple bool) []byte {
	context := map[string]any{"reason": string(no.Reason)}
	if no.WWWAuthenticate != "" {
		context["www_authenticate"] = no.WWWAuthenticate
	}
	if simple {
		return encode(events.APIGatewayV2CustomAuthorizerSimpleResponse{IsAuthorized: false, Context: context})
	}
	return encode(policy("Deny", "refused", resource, context))
}

func policy(effect, principal, resource string, context map[string]any) *events.APIGatewayCustomAuthorizerResponse {
	return &events.APIGatewayCustomAuthorizerResponse{
		PrincipalID: principal,
		PolicyDocument: events.APIGatewayCustomAuthorizerPolicy{
			Version: "2012-10-17",
			Statement: []events.IAMPolicyStatement{{
				Action: []string{"execute-api:Invoke"}, Effect: effect, Resource: []string{resource},
			}},
		},
		Context: context,
	}
}

// stage returns the resource that is all methods and paths of the stage of an
// execute-api ARN (arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/PATH).
// API Gateway remembers a policy by the token, whatever is asked for with it, so
// that one for a single method would refuse all others.
func stage(arn string) (string, error) {
	const parts = 6
	part := strings.SplitN(arn, ":", parts)
	if len(part) < parts || part[0] != "arn" || part[2] != "execute-api" {
		return "", errNoARN
	}
	path := strings.SplitN(part[parts-1], "/", 3)
	if len(path) < 3 {
		return "", errNoARN
	}
	for _, name := range append(part[1:parts-1], path[:2]...) {
		if name == "" || strings.ContainsAny(name, "*?") { // which would widen it
			return "", errNoARN
		}
	}
	return strings.TrimSuffix(arn, path[2]) + "*", nil
}

var errNoARN = errors.New("the event has no ARN of a method or route")
