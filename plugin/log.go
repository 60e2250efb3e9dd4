package plugin

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// Log is what is told of a decision to Kong's logging plugins. It holds nothing
// that a token only claims.
type Log struct {
	Outcome string // accepted, anonymous, refused or shadowed
	// Of a refusal, also of one that let the request go on as the anonymous
	// consumer; see Refusal.
	Reason   Reason
	Claim    string
	MissedBy *float64

	Consumer   string // id
	Credential string // key of the credential that the token was held against; of an issuer's verified token, its credential_claim
	Issuer     string // one of Config.Issuers
	KeyID      string // of the issuer's key that the token was held against
	// Claims are those of Config.LogClaims that a verified token has.
	Claims []LogClaim
}

// LogClaim is a claim as text, several texts if it is a list.
type LogClaim struct {
	Name   string // its path, with dots
	Texts  []string
	IsList bool
}

// facts are what is certain of a token: configured, published or verified.
type facts struct {
	credential string
	issuer     string
	keyID      string
	claims     map[string]any // nil: the signature was not verified
}

// log returns what is to be logged of a decision, nil if nothing is.
func (e *Engine) log(outcome string, f *facts, no *Refusal, consumer *Consumer) *Log {
	if !e.c.LogSerialize {
		return nil
	}
	l := &Log{
		Outcome: outcome, Credential: f.credential, Issuer: f.issuer, KeyID: f.keyID,
		Claims: logClaims(e.c.LogClaims, f.claims),
	}
	if no != nil {
		l.Reason, l.Claim, l.MissedBy = no.Reason, no.Claim, no.MissedBy
	}
	if consumer != nil {
		l.Consumer = consumer.ID
	}
	return l
}

// Told returns what may be told of o's refusal in a line of a log, as attributes
// for [slog].
func (o *Outcome) Told() []any {
	told := []any{"reason", o.Refusal.Reason}
	for _, a := range [][2]string{{"claim", o.Refusal.Claim}, {"credential", o.facts.credential}, {"issuer", o.facts.issuer}, {"kid", o.facts.keyID}} {
		if a[1] != "" {
			told = append(told, a[0], a[1])
		}
	}
	if o.Refusal.MissedBy != nil {
		told = append(told, "missed_by_seconds", *o.Refusal.MissedBy)
	}
	if i := slices.IndexFunc(Reasons(), func(r ReasonMeaning) bool { return r.Reason == o.Refusal.Reason }); i >= 0 {
		told = append(told, "why", Reasons()[i].Meaning)
	}
	return told
}

// maxLogged bounds the claims in a log entry, in bytes.
const maxLogged = 2048

// logClaims returns the claims at paths, cut where they are too long together.
func logClaims(paths [][]string, claims map[string]any) []LogClaim {
	const ellipsis = "…"
	left := maxLogged
	var logged []LogClaim
	for _, path := range paths {
		v := claimAt(claims, path)
		if v == nil {
			continue
		}
		l := LogClaim{Name: strings.Join(path, ".")}
		_, l.IsList = v.([]any)
		for _, text := range claimTexts(v) {
			if cut := len(text) > left; cut {
				for left > 0 && !utf8.RuneStart(text[left]) {
					left--
				}
				text = text[:left] + ellipsis
			}
			l.Texts = append(l.Texts, text)
			if left -= len(text) + 1; left <= 0 {
				left = 0
				break
			}
		}
		logged = append(logged, l)
	}
	return logged
}
