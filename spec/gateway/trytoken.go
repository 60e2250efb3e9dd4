package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"kong-go-jwt/spec/gateway/config"
)

// withToken makes commands that send a token which the plugin of a route accepts, as
// far as the configuration tells: with a secret in it a token is made, else it is
// told how to make one.
func (n *node) withToken(ctx context.Context, store *config.Store, p *config.Plugin, r *config.Route) (string, error) {
	c, found := tryCredential(store, p)
	issuers, _ := p.Config["issuers"].([]any)
	switch {
	case !found && len(issuers) == 0:
		return "# no token is accepted: there is no credential\n\n", nil
	case !found:
		issuer, _ := issuers[0].(map[string]any)
		return fmt.Sprintf("# a token of %v: 200\n%s\n\n", issuer["issuer"], n.curl(r, `-H "Authorization: Bearer $TOKEN" `)), nil
	}
	args := append([]string{"token", "-alg", c.Algorithm}, tokenFlags(c.Key, p.Config)...)
	if !strings.HasPrefix(c.Algorithm, "HS") {
		return fmt.Sprintf("# a token signed with the private key of %s: 200\nTOKEN=$(%s %s -key PRIVATE.pem)\n%s\n\n",
			c.Key, n.options.plugin, shell(args), n.curl(r, `-H "Authorization: Bearer $TOKEN" `)), nil
	}
	secret := c.Secret
	if p.Config["secret_is_base64"] == true {
		plain, err := base64.StdEncoding.DecodeString(secret)
		if err != nil {
			return "# the secret of " + c.Key + " is not base64: no token is accepted\n\n", nil //nolint:nilerr // the plugin says more
		}
		secret = string(plain)
	}
	command := exec.CommandContext(ctx, n.command.Binary, append(args, "-secret-file", "-")...)
	command.Stdin = strings.NewReader(secret)
	text, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("-demo: making a token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	out := "# a valid token: 200, and the upstream learns who called\n" + n.curl(r, "-H 'Authorization: Bearer "+token+"' ") + "\n\n"
	if names, _ := p.Config["uri_param_names"].([]any); len(names) > 0 {
		out += "# the same in the query: 200\n" + strings.Replace(n.curl(r, ""), "http://", "'http://", 1) + fmt.Sprintf("?%v=%s'\n\n", names[0], token)
	}
	return out, nil
}

// tryCredential picks a credential of the plugin, one with a secret if there is one.
func tryCredential(store *config.Store, p *config.Plugin) (best config.JWTSecret, found bool) {
	var all []config.JWTSecret
	own, _ := p.Config["credentials"].([]any)
	for _, o := range own {
		m, _ := o.(map[string]any)
		var c config.JWTSecret
		c.Key, _ = m["key"].(string)
		c.Algorithm, _ = m["algorithm"].(string)
		c.Secret, _ = m["secret"].(string)
		all = append(all, c)
	}
	for _, j := range store.JWTs {
		all = append(all, *j)
	}
	for _, c := range all {
		if strings.HasPrefix(c.Algorithm, "HS") {
			return c, true
		}
	}
	if len(all) == 0 {
		return best, false
	}
	return all[0], true
}

// tokenFlags are those of "go-jwt token" for a token that meets a configuration.
func tokenFlags(key string, c map[string]any) []string {
	var flags []string
	switch name, _ := c["key_claim_name"].(string); name {
	case "iss", "":
		flags = []string{"-iss", key}
	case "kid":
		flags = []string{"-kid", key}
	default:
		flags = []string{"-claim", name + "=" + key}
	}
	if audience, _ := c["audience_required"].([]any); len(audience) > 0 {
		flags = append(flags, "-aud", fmt.Sprint(audience[0]))
	}
	if most, _ := c["maximum_expiration"].(float64); most > 0 && most < 3600 {
		flags = append(flags, "-ttl", (time.Duration(most) * time.Second).String())
	}
	return flags
}

// shell quotes arguments for a POSIX shell where they need it.
func shell(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		if strings.Trim(a, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:=@") != "" || a == "" {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		quoted[i] = a
	}
	return strings.Join(quoted, " ")
}
