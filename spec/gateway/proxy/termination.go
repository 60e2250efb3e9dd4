package proxy

import "kong-go-jwt/spec/gateway/httpd"

// terminate is the bundled request-termination.
func (c *requestContext) terminate(conf map[string]any) {
	status := 503
	if f, ok := conf["status_code"].(float64); ok {
		status = int(f)
	}
	if body := textOf(conf, "body"); body != "" {
		kind := textOf(conf, "content_type")
		if kind == "" {
			kind = "application/json; charset=utf-8"
		}
		c.exit = c.send(status, httpd.Header{{Name: "Content-Type", Value: kind}}, []byte(body))
		return
	}
	message := textOf(conf, "message")
	if message == "" {
		message = map[int]string{
			401: "Unauthorized", 404: "Not found", 405: "Method not allowed",
			500: unexpected, 502: "Bad Gateway", 503: "Service unavailable",
		}[status]
	}
	if c.isGRPC() {
		c.exit = c.send(status, httpd.Header{}, []byte(message))
		return
	}
	c.exit = failure(status, message, "")
}
