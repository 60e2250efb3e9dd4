package proxy

import (
	"encoding/json"
	"os"

	"kong-go-jwt/spec/gateway/httpd"
	"kong-go-jwt/spec/gateway/nginx"
)

// fileLog is the bundled file-log: one line of JSON for each request.
func (c *requestContext) fileLog(conf map[string]any, res *httpd.Response) {
	line, err := json.Marshal(c.serialized(res))
	if err == nil {
		err = appendTo(textOf(conf, "path"), append(line, '\n'))
	}
	if err != nil {
		c.gateway.Log.Printf(nginx.Err, "[file-log] %v", err)
	}
}

func appendTo(path string, line []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.Write(line)
	return err
}
