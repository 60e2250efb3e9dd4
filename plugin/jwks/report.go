package jwks

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"kong-go-jwt/plugin/jwk"
)

// report tells the log what goes on with an issuer's keys: what has changed,
// and no more often than every [sayEvery] that something is wrong. It never
// tells anything of a key but its id.
type report struct {
	log     *slog.Logger
	now     func() time.Time
	failing notice
	unfit   notice
}

const sayEvery = 5 * time.Minute

// notice is a fault as the log has it.
type notice struct {
	text string // "": none
	next time.Time
}

// changed tells whether text is to be logged. No fault always is, after one.
func (n *notice) changed(text string, now time.Time) bool {
	if text == n.text || text != "" && now.Before(n.next) {
		return false
	}
	if n.text = text; text != "" {
		n.next = now.Add(sayEvery)
	}
	return true
}

func newReport(o *Options, from source) report {
	return report{log: o.Log.With("issuer", shown(from.issuer)), now: o.Now}
}

// fetched tells what has come of a fetch. Only one goroutine may call it.
func (r *report) fetched(found *document, err error) {
	now := r.now()
	if err != nil {
		if r.failing.changed(err.Error(), now) {
			r.log.Warn("cannot fetch the issuer's keys", "error", err)
		}
		return
	}
	if r.failing.changed("", now) {
		r.log.Info("the issuer's keys can be fetched again", "keys", len(found.keys))
	}
	text, level := describe(found.unfit)
	if r.unfit.changed(text, now) && text != "" {
		r.log.Log(context.Background(), level, "the issuer publishes keys that are not used", "used", len(found.keys), "unused", text)
	}
}

// expired tells that nothing is accepted any more.
func (r *report) expired() {
	r.log.Error("the issuer's keys are too old and no longer trusted")
}

// describe lists unfit keys. They are nothing special, as keys for encryption
// are among them, but for those that should be nobody else's to see.
func describe(keys []unfit) (string, slog.Level) {
	const most = 10
	level, texts := slog.LevelInfo, make([]string, 0, most)
	for _, k := range keys {
		if errors.Is(k.err, jwk.ErrPrivate) || errors.Is(k.err, jwk.ErrSymmetric) {
			level = slog.LevelWarn
		}
		if len(texts) < most {
			texts = append(texts, k.String())
		}
	}
	if len(keys) > most {
		texts = append(texts, "…")
	}
	return strings.Join(texts, "; "), level
}
