//go:build !linux

package runtimeapi

import "net"

func newConn(c net.Conn) (net.Conn, error) { return c, nil }
