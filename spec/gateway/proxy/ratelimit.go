package proxy

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

// rateLimits counts requests in the windows of rate-limiting's policy local.
type rateLimits struct {
	mu      sync.Mutex
	windows map[string]window // by plugin, identifier and period
}

type window struct{ start, count int64 }

// add counts a request, unless it is one too many, and returns what was counted
// before it.
func (l *rateLimits) add(key string, start, limit int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.windows == nil {
		l.windows = map[string]window{}
	}
	w := l.windows[key]
	if w.start != start {
		w = window{start: start}
	}
	before := w.count
	if before < limit {
		w.count++
	}
	l.windows[key] = w
	return before
}

// rateLimit is the bundled rate-limiting with the policy local.
func (c *requestContext) rateLimit(plugin string, conf map[string]any) {
	who := c.limitedBy(conf)
	now := time.Now().Unix()
	for _, period := range []struct {
		field, title string
		seconds      int64
	}{{"second", "Second", 1}, {"minute", "Minute", 60}, {"hour", "Hour", 3600}, {"day", "Day", 86400}} {
		f, ok := conf[period.field].(float64)
		if !ok {
			continue
		}
		limit, start := int64(f), now-now%period.seconds
		before := c.gateway.limits.add(plugin+"\x00"+who+"\x00"+period.field, start, limit)
		reset := strconv.FormatInt(start+period.seconds-now, 10)
		if !flag(conf, "hide_client_headers") {
			c.late.Set("X-RateLimit-Limit-"+period.title, strconv.FormatInt(limit, 10))
			c.late.Set("X-RateLimit-Remaining-"+period.title, strconv.FormatInt(max(0, limit-before-1), 10))
		}
		if before >= limit {
			c.late.Set("Retry-After", reset)
			status, _ := conf["error_code"].(float64)
			c.exit = c.failure(int(status), textOf(conf, "error_message"))
			return
		}
	}
}

// limitedBy is what requests are counted by; where there is no such thing, the
// client's address, as on Kong.
func (c *requestContext) limitedBy(conf map[string]any) string {
	by := textOf(conf, "limit_by")
	switch {
	case by == "consumer" && c.consumer != nil:
		return c.consumer.ID
	case (by == "consumer" || by == "credential") && c.credential != nil:
		return c.credential.ID
	case by == "service" && c.match.Route.Service != nil:
		return c.match.Route.Service.ID
	case by == "header":
		if v, ok := c.headerValue(textOf(conf, "header_name")); ok {
			return v
		}
	}
	address, _, _ := net.SplitHostPort(c.req.RemoteAddr)
	return fmt.Sprint("ip ", address)
}
