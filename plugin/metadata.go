package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"kong-go-jwt/plugin/dpop"
	"kong-go-jwt/schema"
)

// metadataPath is where clients look for the metadata of a protected resource
// (RFC 9728 section 3): with the path of the resource behind it.
const metadataPath = "/.well-known/oauth-protected-resource"

// MetadataURL returns where the metadata of m's resource is (RFC 9728 section
// 3.1).
func MetadataURL(m *schema.ResourceMetadata) string {
	u, err := url.Parse(m.Resource)
	if err != nil { // which the schema has refused
		return m.Resource
	}
	path := u.EscapedPath()
	if path == "/" {
		path = ""
	}
	found := u.Scheme + "://" + u.Host + metadataPath + path
	if u.RawQuery != "" {
		found += "?" + u.RawQuery
	}
	return found
}

// metadata returns the document (RFC 9728 section 2).
func metadata(c *schema.Config) ([]byte, error) {
	m := c.ResourceMetadata
	servers, scopes := m.AuthorizationServers, m.ScopesSupported
	if len(servers) == 0 {
		for _, named := range c.Issuers {
			for _, is := range named.PerTenant() {
				servers = append(servers, is.Issuer)
			}
		}
	}
	if len(scopes) == 0 {
		scopes = c.Scopes()
	}
	methods := []string{}
	if slices.ContainsFunc(c.HeaderNames, func(name string) bool { return strings.EqualFold(name, "authorization") }) {
		methods = append(methods, "header")
	}
	if slices.Contains(c.URIParamNames, "access_token") { // RFC 6750 section 2.3
		methods = append(methods, "query")
	}
	var algorithms []string
	if c.DPoP != schema.BindingOff {
		algorithms = dpop.Algorithms()
	}
	document, err := json.Marshal(struct {
		Resource       string   `json:"resource"`
		Servers        []string `json:"authorization_servers"`
		Scopes         []string `json:"scopes_supported,omitempty"`
		Methods        []string `json:"bearer_methods_supported"`
		CertBound      bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
		DPoPBound      bool     `json:"dpop_bound_access_tokens_required,omitempty"`
		DPoPAlgorithms []string `json:"dpop_signing_alg_values_supported,omitempty"`
		Name           string   `json:"resource_name,omitempty"`
		Documentation  string   `json:"resource_documentation,omitempty"`
		Policy         string   `json:"resource_policy_uri,omitempty"`
		TermsOfService string   `json:"resource_tos_uri,omitempty"`
	}{
		m.Resource, servers, scopes, methods,
		c.MTLSBinding == schema.BindingRequired, c.DPoP == schema.BindingRequired, algorithms, m.Name, m.Documentation, m.Policy, m.TermsOfService,
	})
	if err != nil {
		return nil, fmt.Errorf("resource metadata: %w", err)
	}
	return document, nil
}

// isMetadata tells whether a path is that of the metadata, of the resource itself
// or of what lies below or beside it on the same route.
func isMetadata(path []byte) bool {
	rest, below := bytes.CutPrefix(path, []byte(metadataPath))
	return below && (len(rest) == 0 || rest[0] == '/') || bytes.HasSuffix(path, []byte(metadataPath))
}

// forAnyOrigin lets pages of any origin read r: it says nothing that is not for
// everybody, and clients in browsers need it.
func forAnyOrigin(r *Reply) *Reply {
	r.Headers = append(r.Headers, Header{Name: "Access-Control-Allow-Origin", Value: "*"})
	return r
}

// preflight answers who asks whether a page may ask.
func preflight() *Reply {
	return forAnyOrigin(&Reply{Status: http.StatusNoContent, Headers: []Header{
		{Name: "Access-Control-Allow-Methods", Value: "GET, HEAD"},
		{Name: "Access-Control-Allow-Headers", Value: "*"},
		{Name: "Access-Control-Max-Age", Value: "86400"},
	}})
}
