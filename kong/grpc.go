package kong

import (
	"bytes"

	"kong-go-jwt/kong/wire"
)

// Which requests Kong takes for gRPC calls, whose answers have a form of their own:
// is_grpc_request in kong/pdk/response.lua, which compares with case.
const (
	grpcProtocol = "HTTP/2.0"         // $server_protocol
	grpcType     = "application/grpc" // what $content_type begins with
)

// isGRPC tells whether a request is a gRPC call by the part of the nginx variable that
// has both, where it carries that.
func (c *carried) isGRPC(value []byte) bool {
	if !c.protocol {
		return false
	}
	return bytes.HasPrefix(value[bytes.LastIndexByte(value, '\n')+1:], []byte(grpcProtocol+" "+grpcType))
}

// mayBeGRPC tells whether a request is a gRPC call if it came by HTTP/2.
func mayBeGRPC(headers []wire.Header) bool {
	return bytes.HasPrefix(named(headers, "content-type").Values[0], []byte(grpcType))
}

// askProtocol finds out whether what may be a gRPC call is one.
func (s *session) askProtocol() error {
	var b batch
	b.getVar("server_protocol")
	if err := s.ask(&b); err != nil {
		return err
	}
	return s.readProtocol()
}

func (s *session) readProtocol() error {
	protocol, err := s.text()
	s.grpc = err == nil && string(protocol) == grpcProtocol
	return err
}

// undecided is what is read of a request that is refused in any case.
func undecided() *reads {
	r := new(reads)
	r.plain.getVar("content_type")
	r.plain.getVar("server_protocol")
	return r
}

// readUndecided reads the answers to undecided.
func (s *session) readUndecided() error {
	contentType, err := s.text()
	if err != nil {
		return err
	}
	if err := s.readProtocol(); err != nil {
		return err
	}
	s.grpc = s.grpc && bytes.HasPrefix(contentType, []byte(grpcType))
	return nil
}
