package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"kong-go-jwt/plugin"
	"kong-go-jwt/plugin/jwks"
	"kong-go-jwt/plugin/revocation"
	"kong-go-jwt/schema"
)

// authorizer answers API Gateway's events. It is safe for concurrent use.
type authorizer struct {
	log     *slog.Logger
	now     func() time.Time
	simple  bool
	store   *plugin.Store
	config  map[string]any // with references
	secrets *secrets
	remote  bool // some references are the extension's to resolve

	mu     sync.Mutex
	engine *plugin.Engine // nil: the secrets could not be had yet
	text   string         // of the configuration that engine has
	until  time.Time      // when the secrets are to be asked for again
}

const (
	secretsTTL   = 5 * time.Minute // as long as the extension itself remembers them
	secretsRetry = 10 * time.Second
)

// newAuthorizer returns an authorizer whose engine is made when it is first
// needed. Its clock has no monotonic part, which would stand still while the
// process is frozen.
func newAuthorizer(s *settings, config map[string]any, from *secrets, log *slog.Logger) *authorizer {
	const entries = 10_000
	const ttl = time.Hour // without a Source nothing gets old, and each time-out would wake the process
	now := func() time.Time { return time.Now().Round(0) }
	s.keys.Now, s.keys.Log = now, log
	return &authorizer{
		log: log, now: now, simple: s.simple, config: config, secrets: from, remote: from.remote(config),
		store: plugin.NewStore(plugin.Options{
			Keys: jwks.New(s.keys), Revocations: revocation.New(revocation.Options{Fetching: s.keys.Fetching(), Idle: true}),
			Encode: encodeGrant, Now: now, Log: log,
			CredentialTTL: ttl, UnknownTTL: ttl, LookupTimeout: s.keys.Timeout + time.Second,
			CredentialEntries: entries, UnknownEntries: entries, DecisionEntries: entries, DecisionBytes: 16 << 20,
		}),
	}
}

// current returns the engine for the configuration with the secrets as they are
// now, or the last one while those cannot be had.
func (a *authorizer) current(ctx context.Context) (*plugin.Engine, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.engine != nil && (!a.remote || a.now().Before(a.until)) {
		return a.engine, nil
	}
	err := a.renew(ctx)
	a.until = a.now().Add(secretsTTL)
	if err != nil {
		if a.engine == nil {
			return nil, err
		}
		a.log.WarnContext(ctx, "secrets cannot be fetched: the last ones stay in use", "why", err.Error())
		a.until = a.now().Add(secretsRetry)
	}
	return a.engine, nil
}

// renew makes an engine if the configuration, with its secrets, has changed.
func (a *authorizer) renew(ctx context.Context) error {
	references, err := json.Marshal(a.config)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	var config map[string]any
	if err := json.Unmarshal(references, &config); err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if err := a.secrets.resolve(ctx, config); err != nil {
		return err
	}
	text, err := json.Marshal(config)
	if err != nil {
		return fmt.Errorf("config: %w", err)
	}
	if a.engine != nil && string(text) == a.text {
		return nil
	}
	c, err := schema.Parse(text)
	if err != nil {
		return err
	}
	engine, err := a.store.NewEngine(c)
	if err != nil {
		return err
	}
	for _, warning := range c.Warnings() {
		a.log.WarnContext(ctx, "configuration", "why", warning.Error())
	}
	if a.engine != nil {
		a.engine.Close()
	}
	a.engine, a.text = engine, string(text)
	return nil
}

var (
	// errUnauthorized, in this word, is what API Gateway answers 401 to.
	errUnauthorized = errors.New("Unauthorized")
	// errUndecided is what it answers 500 to, and does not remember.
	errUndecided = errors.New("the request could not be decided: see the log")
)

// Invoke implements [runtimeapi.Handler]. An error is an answer that API Gateway does
// not remember.
func (a *authorizer) Invoke(ctx context.Context, payload []byte) (answer []byte, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			a.log.ErrorContext(ctx, "panic", "why", fmt.Sprint(fault), "stack", string(debug.Stack()))
			answer, err = nil, errUndecided
		}
	}()
	return a.authorize(ctx, payload)
}

// authorize decides an event and returns what API Gateway is told.
func (a *authorizer) authorize(ctx context.Context, payload []byte) ([]byte, error) {
	e, err := parseEvent(payload)
	if err != nil {
		return a.undecided(ctx, plugin.ReasonFailure, err)
	}
	simple, resource := a.simple && e.form == httpV2, ""
	if !simple {
		if resource, err = stage(e.arn()); err != nil {
			return a.undecided(ctx, plugin.ReasonFailure, err)
		}
	}
	engine, err := a.current(ctx)
	if err != nil {
		return a.undecided(ctx, plugin.ReasonLookupFailed, err)
	}
	r, ok := e.request(engine.Config())
	if !ok {
		return a.unauthorized(ctx, e, refused(&plugin.Refusal{Reason: plugin.ReasonMultipleTokens}))
	}
	out := engine.Decide(ctx, r, names{})
	entry := entryOf(out.Log)
	if entry == nil && out.Refusal != nil {
		entry = refused(out.Refusal)
	}
	switch no := out.Refusal; {
	case no == nil && out.Token != nil && !e.remembered(r, out.Token):
		a.log.WarnContext(ctx, "the token is not in identitySource, by which API Gateway caches answers")
		return a.unauthorized(ctx, e, refused(&plugin.Refusal{Reason: plugin.ReasonNoToken}))
	case no == nil:
		return a.allowed(ctx, e, &out, resource, simple)
	case out.Fault != nil:
		return a.undecided(ctx, no.Reason, out.Fault)
	case no.Reason == plugin.ReasonNoToken, no.Reason == plugin.ReasonMultipleTokens, no.Reason == plugin.ReasonUnrecognizableToken:
		// This may be because of what API Gateway does not remember the answer by.
		return a.unauthorized(ctx, e, entry)
	default:
		a.tell(ctx, e, entry)
		return deny(no, resource, simple), nil
	}
}

// allowed is the answer to a request that may go on.
func (a *authorizer) allowed(ctx context.Context, e *event, out *plugin.Outcome, resource string, simple bool) ([]byte, error) {
	g := grantedOf(&out.Answer)
	var entry *logEntry
	if err := json.Unmarshal(g.log, &entry); err != nil {
		return a.undecided(ctx, plugin.ReasonFailure, err)
	}
	if out.Shadowed != nil && entry == nil {
		entry = refused(out.Shadowed)
		entry.Outcome = "shadowed"
	}
	if out.Fault != nil { // shadowed too
		a.log.ErrorContext(ctx, "undecided", "why", out.Fault.Error())
	}
	a.tell(ctx, e, entry)
	if simple {
		return g.simple, nil
	}
	return g.policyFor(resource), nil
}

// unauthorized is the answer to a request that has not one token.
func (a *authorizer) unauthorized(ctx context.Context, e *event, entry *logEntry) ([]byte, error) {
	a.tell(ctx, e, entry)
	return nil, errUnauthorized
}

// undecided is the answer where something has failed on this side.
func (a *authorizer) undecided(ctx context.Context, reason plugin.Reason, err error) ([]byte, error) {
	a.log.ErrorContext(ctx, "undecided", "go_jwt", refused(&plugin.Refusal{Reason: reason}), "why", err.Error())
	return nil, errUndecided
}

// tell logs a decision; a nil entry is of one that is not to be logged.
func (a *authorizer) tell(ctx context.Context, e *event, entry *logEntry) {
	if entry != nil {
		a.log.InfoContext(ctx, entry.Outcome, "form", e.form, "go_jwt", entry)
	}
}

// names takes each name for that of a consumer: here, there are no others.
type names struct{}

// Consumer implements [plugin.ConsumerSource].
func (names) Consumer(name string) (*plugin.Consumer, error) {
	return &plugin.Consumer{ID: name, Username: name}, nil
}
