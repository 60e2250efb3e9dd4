package source

import (
	"encoding/json"
	"errors"
	"slices"

	"kong-go-jwt/plugin"
	"kong-go-jwt/schema"
)

// jwtSecret is an entry of jwt_secrets as Kong shows it.
type jwtSecret struct {
	ID           string  `json:"id"`
	Key          *string `json:"key"`
	Secret       string  `json:"secret"`
	Algorithm    string  `json:"algorithm"`
	RSAPublicKey string  `json:"rsa_public_key"`
	Consumer     struct {
		ID string `json:"id"`
	} `json:"consumer"`
}

func (j *jwtSecret) credential() (*plugin.Credential, error) {
	if j.Algorithm == "" {
		j.Algorithm = "HS256" // as the bundled plugin takes it
	}
	if j.Key == nil || j.ID == "" || j.Consumer.ID == "" || !slices.Contains(schema.Algorithms(), j.Algorithm) {
		return nil, errors.New("answer is not a jwt_secrets entry")
	}
	return &plugin.Credential{
		ID: j.ID, Key: *j.Key, Algorithm: j.Algorithm,
		Secret: j.Secret, PublicKey: j.RSAPublicKey, ConsumerID: j.Consumer.ID,
	}, nil
}

// consumer is a consumer as Kong shows it.
type consumer struct {
	ID        string  `json:"id"`
	Username  string  `json:"username"`
	CustomID  string  `json:"custom_id"`
	Tags      tags    `json:"tags"`
	CreatedAt float64 `json:"created_at"`
}

func (c *consumer) plugin() *plugin.Consumer {
	return &plugin.Consumer{ID: c.ID, Username: c.Username, CustomID: c.CustomID, Tags: c.Tags, CreatedAt: int64(c.CreatedAt)}
}

// tags are a list, or {}, which is what Lua may make of an empty one.
type tags []string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *tags) UnmarshalJSON(text []byte) error {
	if string(text) == "{}" {
		return nil
	}
	return json.Unmarshal(text, (*[]string)(t))
}
