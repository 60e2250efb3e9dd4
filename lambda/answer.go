package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-lambda-go/events"

	"kong-go-jwt/plugin"
)

// granted is a grant as it is told to API Gateway.
type granted struct {
	Principal string         `json:"principal"`
	Context   map[string]any `json:"context"`
	Log       *logEntry      `json:"log,omitempty"`
}

// usageIdentifierKey is the key of the context that is told as the API key of
// the caller's usage plan.
const usageIdentifierKey = "usageIdentifierKey"

// encodeGrant is [plugin.Options.Encode].
func encodeGrant(g *plugin.Grant) plugin.Answer {
	told := granted{Principal: principal(g.Identity), Context: map[string]any{}, Log: entryOf(g.Log)}
	for _, h := range g.Headers {
		if h.Value != "" && !slices.Contains(plugin.IdentityHeaders(), h.Name) {
			told.Context[h.Name] = h.Value
		}
	}
	text, err := json.Marshal(told)
	if err != nil { // texts and numbers always encode
		panic(err)
	}
	return plugin.Answer{Bytes: text}
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

// allow returns the answer to a request that may go on.
func allow(g *granted, resource string, simple bool) any {
	if simple {
		context := maps.Clone(g.Context)
		context["principalId"] = g.Principal
		return events.APIGatewayV2CustomAuthorizerSimpleResponse{IsAuthorized: true, Context: context}
	}
	answer := policy("Allow", g.Principal, resource, g.Context)
	answer.UsageIdentifierKey = g.Principal
	if key, ok := g.Context[usageIdentifierKey].(string); ok {
		answer.UsageIdentifierKey = key
	}
	return answer
}

// deny returns the answer to a request whose token was refused. What it tells of
// that is for access logs and gateway responses.
func deny(no *plugin.Refusal, resource string, simple bool) any {
	context := map[string]any{"reason": string(no.Reason)}
	if no.WWWAuthenticate != "" {
		context["www_authenticate"] = no.WWWAuthenticate
	}
	if simple {
		return events.APIGatewayV2CustomAuthorizerSimpleResponse{IsAuthorized: false, Context: context}
	}
	return policy("Deny", "refused", resource, context)
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
	return fmt.Sprintf("%s:%s/%s/*", strings.Join(part[:parts-1], ":"), path[0], path[1]), nil
}

var errNoARN = errors.New("event has no ARN of a method or route")
