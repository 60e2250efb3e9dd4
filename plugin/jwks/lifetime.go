package jwks

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Whatever an issuer says, its keys are good for that long.
const (
	minLifetime = time.Minute
	maxLifetime = time.Hour
)

// lifetime returns for how long an answer is good by its Cache-Control (RFC 9111
// sections 4.2 and 5.2.2), within bounds; Refresh if it does not say.
func (o *Options) lifetime(h http.Header) time.Duration {
	seconds, said := 0, false
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-cache", "no-store":
			return minLifetime
		case "max-age":
			n, err := strconv.Atoi(strings.Trim(value, `"`))
			if err == nil {
				seconds, said = n, true
			}
		}
	}
	if !said {
		return o.Refresh
	}
	if age, err := strconv.Atoi(strings.TrimSpace(h.Get("Age"))); err == nil && age > 0 {
		seconds -= age
	}
	bounded := min(max(seconds, int(minLifetime/time.Second)), int(maxLifetime/time.Second))
	return time.Duration(bounded) * time.Second
}
