// Package control is the gateway's own: what specs ask of it, and do to it, that
// no part of Kong would.
package control

import (
	"context"

	"kong-go-jwt/spec/gateway/faults"
	"kong-go-jwt/spec/gateway/httpd"
)

// API answers on the control address:
//
//	GET  /__stats   counts PDK calls, frames, system calls and look-ups
//	POST /__faults  makes something fail, see faults.Fault
//	POST /__config  brings a configuration in behind the Admin API: the control
//	                plane's to a data plane, other rows to a database
type API struct {
	Faults    *faults.Faults
	Stats     func() map[string]any
	Configure func(text []byte) error
}

// Handle answers one request.
func (a *API) Handle(_ context.Context, req *httpd.Request) *httpd.Response {
	switch req.Method + " " + req.Path {
	case "GET /__stats":
		return httpd.JSON(200, a.Stats())
	case "POST /__faults":
		f, err := a.Faults.Set(req.Body)
		if err != nil {
			return refuse(400, err)
		}
		return httpd.JSON(200, f)
	case "POST /__config":
		if err := a.Configure(req.Body); err != nil {
			return refuse(400, err)
		}
		return httpd.JSON(201, map[string]any{})
	}
	return Refuse(404)
}

func refuse(status int, err error) *httpd.Response {
	return httpd.JSON(status, map[string]any{"message": err.Error()})
}

// Refuse answers what is no request.
func Refuse(status int) *httpd.Response {
	return httpd.JSON(status, map[string]any{"message": "expected GET /__stats, POST /__faults or POST /__config"})
}
