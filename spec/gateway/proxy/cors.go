package proxy

import (
	"slices"
	"strconv"
	"strings"

	"kong-go-jwt/spec/gateway/httpd"
)

// cors is the bundled cors, without patterns for origins: it answers
// preflights, and adds its headers to every answer.
func (c *requestContext) cors(conf map[string]any) {
	c.corsOrigin(conf)
	_, origin := c.header.Get("Origin")
	_, method := c.header.Get("Access-Control-Request-Method")
	if c.method != "OPTIONS" || !origin || !method || flag(conf, "preflight_continue") {
		if exposed := textsOf(conf, "exposed_headers"); len(exposed) > 0 {
			c.late.Set("Access-Control-Expose-Headers", strings.Join(exposed, ","))
		}
		return
	}
	if allowed := textsOf(conf, "headers"); len(allowed) > 0 {
		c.late.Set("Access-Control-Allow-Headers", strings.Join(allowed, ","))
	} else if asked, ok := c.header.Get("Access-Control-Request-Headers"); ok {
		c.late.Set("Access-Control-Allow-Headers", asked)
	}
	c.late.Set("Access-Control-Allow-Methods", strings.Join(textsOf(conf, "methods"), ","))
	if age, ok := conf["max_age"].(float64); ok {
		c.late.Set("Access-Control-Max-Age", strconv.Itoa(int(age)))
	}
	c.exit = response(200, httpd.Header{}, nil)
}

func (c *requestContext) corsOrigin(conf map[string]any) {
	origins := textsOf(conf, "origins")
	asked, _ := c.header.Get("Origin")
	switch {
	case len(origins) == 0 || slices.Contains(origins, "*"):
		if !flag(conf, "credentials") {
			c.late.Set("Access-Control-Allow-Origin", "*")
			return
		}
		if asked == "" {
			return
		}
		c.late.Set("Access-Control-Allow-Origin", asked)
	case len(origins) == 1:
		c.late.Set("Access-Control-Allow-Origin", origins[0])
	case slices.Contains(origins, asked):
		c.late.Set("Access-Control-Allow-Origin", asked)
	default:
		return
	}
	c.late.Set("Vary", "Origin")
	if flag(conf, "credentials") {
		c.late.Set("Access-Control-Allow-Credentials", "true")
	}
}
