package main

import (
	"context"
	"io"
	"log/slog"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"kong-go-jwt/plugin"
)

// newLogger writes JSON lines, named as Lambda's own are. Each one that is about
// an event has its requestId.
func newLogger(w io.Writer, level string) *slog.Logger {
	var least slog.Level
	if least.UnmarshalText([]byte(level)) != nil {
		least = slog.LevelInfo
	}
	return slog.New(withRequestID{slog.NewJSONHandler(w, &slog.HandlerOptions{
		Level: least, ReplaceAttr: lambdacontext.ReplaceAttr,
	})})
}

type withRequestID struct{ slog.Handler }

// Handle implements [slog.Handler].
func (h withRequestID) Handle(ctx context.Context, r slog.Record) error {
	if c, ok := lambdacontext.FromContext(ctx); ok {
		r.AddAttrs(slog.String("requestId", c.AwsRequestID))
	}
	return h.Handler.Handle(ctx, r) //nolint:wrapcheck // nothing to add
}

// WithAttrs implements [slog.Handler].
func (h withRequestID) WithAttrs(attrs []slog.Attr) slog.Handler {
	return withRequestID{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (h withRequestID) WithGroup(name string) slog.Handler {
	return withRequestID{h.Handler.WithGroup(name)}
}

// logEntry is a [plugin.Log] with the names that Kong's logs have (docs/reasons.md).
type logEntry struct {
	Outcome    string         `json:"outcome"`
	Reason     plugin.Reason  `json:"reason,omitempty"`
	Claim      string         `json:"claim,omitempty"`
	Consumer   string         `json:"consumer,omitempty"`
	Credential string         `json:"credential,omitempty"`
	Issuer     string         `json:"issuer,omitempty"`
	KeyID      string         `json:"kid,omitempty"`
	MissedBy   *float64       `json:"missed_by_seconds,omitempty"`
	Claims     map[string]any `json:"claims,omitempty"`
}

func entryOf(l *plugin.Log) *logEntry {
	if l == nil {
		return nil
	}
	entry := &logEntry{
		Outcome: l.Outcome, Reason: l.Reason, Claim: l.Claim, MissedBy: l.MissedBy,
		Consumer: l.Consumer, Credential: l.Credential, Issuer: l.Issuer, KeyID: l.KeyID,
	}
	for _, c := range l.Claims {
		if entry.Claims == nil {
			entry.Claims = make(map[string]any, len(l.Claims))
		}
		entry.Claims[c.Name] = c.Texts
		if !c.IsList {
			entry.Claims[c.Name] = c.Texts[0]
		}
	}
	return entry
}

// refused is what is always told of a refusal.
func refused(no *plugin.Refusal) *logEntry {
	return &logEntry{Outcome: "refused", Reason: no.Reason, Claim: no.Claim, MissedBy: no.MissedBy}
}
