package plugin

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"kong-go-jwt/schema"
)

// Credential is a JWT credential: an entry of Kong's jwt_secrets, or of the
// plugin's own configuration.
type Credential struct {
	ID         string
	Key        string
	Algorithm  string
	Secret     string
	PublicKey  string // PEM
	ConsumerID string // id or, from the plugin's configuration, username
}

// CheckKey tells what is wrong with the credential's key under c or, where it can be
// used, whether it is weak: a secret that is shorter than the hash (RFC 7518 section
// 3.2), or a small RSA key (section 3.3). The error holds nothing of the key.
func (cr *Credential) CheckKey(c *schema.Config) (weak bool, err error) {
	v, err := newVerifier(cr, keyRulesOf(c))
	if err != nil {
		return false, err
	}
	return v.weakness() != "", nil
}

// KeyField is the field of a configured credential that holds its key.
func KeyField(algorithm string) string {
	if strings.HasPrefix(algorithm, "HS") {
		return "secret"
	}
	return "public_key"
}

// CredentialSource looks credentials up.
type CredentialSource interface {
	// Credential returns the credential whose key is key, exactly, or nil if
	// there is none. An error means that it cannot be known whether there is
	// one. Credential returns soon after ctx is done and is safe for concurrent
	// use.
	Credential(ctx context.Context, key string) (*Credential, error)
}

// ConsumerSource looks consumers up.
type ConsumerSource interface {
	// Consumer returns the consumer with that id or, if there is none, with
	// that username, or nil if there is neither.
	Consumer(idOrUsername string) (*Consumer, error)
}

// NamedConsumerSource is a [CredentialSource] that may look consumers up too, so
// that this need not be done by the means of a request.
type NamedConsumerSource interface {
	// HasConsumers tells whether it can at the moment.
	HasConsumers() bool
	// ConsumerByName returns the consumer with that id or, if there is none, with
	// that username. Otherwise it is as Credential is.
	ConsumerByName(ctx context.Context, idOrUsername string) (*Consumer, error)
}

// CustomIDSource is a [CredentialSource] that can look consumers up by what
// load_consumer does not know.
type CustomIDSource interface {
	// ConsumerByCustomID returns the consumer with that custom_id, nil if there
	// is none. Otherwise it is as Credential is.
	ConsumerByCustomID(ctx context.Context, customID string) (*Consumer, error)
}

// knownCredential is a credential with its key made ready, once.
type knownCredential struct {
	Credential

	log       *slog.Logger
	own       bool                   // from the configuration: faults are told otherwise
	position  int                    // in the configuration, from 1
	answer    atomic.Pointer[Answer] // see verified.shared
	once      [4]sync.Once           // by keyRules.index
	verifiers [4]*verifier
	faults    [4]error
}

// verifier returns what checks signatures with k's key. That this cannot be
// used, or is weak, is told once.
func (k *knownCredential) verifier(rules keyRules) (*verifier, error) {
	i := rules.index()
	k.once[i].Do(func() {
		k.verifiers[i], k.faults[i] = newVerifier(&k.Credential, rules)
		if err := k.faults[i]; err == nil {
			if weakness := k.verifiers[i].weakness(); weakness != "" {
				k.log.Warn("credential has "+weakness, "credential", k.ID, "key", k.Key)
			}
		} else if !k.own {
			// Info: whoever uses it is told of in a warning, see Outcome.Warning.
			k.log.Info("credential cannot be used", "credential", k.ID, "key", k.Key, "why", err)
		}
	})
	return k.verifiers[i], k.faults[i]
}
