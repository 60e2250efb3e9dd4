package check

import (
	"context"
	"fmt"
	"slices"

	"kong-go-jwt/kong/declarative"
	"kong-go-jwt/plugin"
)

// source finds what is in declarative files, as Kong does once it has them.
type source struct {
	state *declarative.State
}

var (
	_ plugin.CredentialSource    = source{}
	_ plugin.ConsumerSource      = source{}
	_ plugin.NamedConsumerSource = source{}
	_ plugin.CustomIDSource      = source{}
)

// secret returns the entry of jwt_secrets with that key, nil if there is none.
func (s source) secret(key string) *declarative.JWTSecret {
	for _, j := range s.state.JWTSecrets {
		if j.Key == key {
			return j
		}
	}
	return nil
}

// Credential implements [plugin.CredentialSource].
func (s source) Credential(_ context.Context, key string) (*plugin.Credential, error) {
	j := s.secret(key)
	if j == nil {
		return nil, nil //nolint:nilnil // as the interface says
	}
	cr := &plugin.Credential{
		ID: j.Field("id").Text(), Key: key, Algorithm: j.Field("algorithm").Text(),
		Secret: j.Field("secret").Text(), PublicKey: j.Field("rsa_public_key").Text(),
		ConsumerID: declarative.Reference(j.Owner),
	}
	if cr.Algorithm == "" {
		cr.Algorithm = "HS256"
	}
	if j.Consumer != nil {
		cr.ConsumerID = id(j.Consumer)
	}
	return cr, nil
}

// id is the consumer's or, where Kong makes one, what tells this.
func id(c *declarative.Consumer) string {
	if c.ID != "" {
		return c.ID
	}
	return fmt.Sprintf("(made by Kong for the consumer in line %d)", c.Line)
}

func found(c *declarative.Consumer) (*plugin.Consumer, error) {
	if c == nil {
		return nil, nil //nolint:nilnil // as the interfaces say
	}
	return &plugin.Consumer{ID: id(c), Username: c.Username, CustomID: c.CustomID}, nil
}

// first returns the first consumer of which something holds, nil if there is none.
func (s source) first(holds func(*declarative.Consumer) bool) *declarative.Consumer {
	if i := slices.IndexFunc(s.state.Consumers, holds); i >= 0 {
		return s.state.Consumers[i]
	}
	return nil
}

// Consumer implements [plugin.ConsumerSource].
func (s source) Consumer(idOrUsername string) (*plugin.Consumer, error) {
	c := s.state.FindConsumer(idOrUsername)
	if c == nil {
		c = s.first(func(c *declarative.Consumer) bool { return id(c) == idOrUsername })
	}
	return found(c)
}

// HasConsumers implements [plugin.NamedConsumerSource].
func (source) HasConsumers() bool { return true }

// ConsumerByName implements [plugin.NamedConsumerSource].
func (s source) ConsumerByName(_ context.Context, idOrUsername string) (*plugin.Consumer, error) {
	return s.Consumer(idOrUsername)
}

// ConsumerByCustomID implements [plugin.CustomIDSource].
func (s source) ConsumerByCustomID(_ context.Context, customID string) (*plugin.Consumer, error) {
	return found(s.first(func(c *declarative.Consumer) bool { return c.CustomID == customID }))
}
