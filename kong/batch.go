package kong

import (
	"bytes"
	"encoding/binary"
	"slices"

	pb "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"google.golang.org/protobuf/encoding/protowire"

	"kong-go-jwt/kong/wire"
	"kong-go-jwt/plugin"
)

// Batches of PDK calls: where the speed is.
//
// A PDK call is a round trip over the socket, and each wakes up both sides. But
// Kong works off in order whatever lies in its receive buffer, so an event needs
// only two exchanges, and of the second one nothing is awaited:
//
//	Kong                          plugin
//	 | cmd_handle_event ----------> |
//	 | <--- get_var (or two reads)  |  one write: all reads
//	 | answers -------------------> |
//	 |                              |  the decision
//	 | <------- authenticate        |  one write: all calls that answer
//	 |          set_headers         |  nothing, the empty frame that ends the
//	 |          ctx.shared.set      |  event, and the RpcReturn
//	 |          end, RpcReturn      |
//	 | three empty frames --------> |  skipped when the next event arrives, by
//	 | cmd_handle_event ----------> |  the read that brings it
//
// Kong ends the request with 500 when a call fails, without looking at what
// comes behind it. So a batch that fails in the middle lets no request through.
//
// A batch is bytes, ready to be sent: what does not depend on the request is
// made once, for an instance (the reads) or for an identity (plugin's
// Options.Encode), and kept.
type batch struct {
	bytes []byte
	calls int // how many answers will come
}

// call appends a PDK call: a frame with the method and one with its arguments.
func (b *batch) call(method string, arguments func([]byte) []byte) {
	b.bytes = wire.AppendFrame(wire.AppendStringFrame(b.bytes, method), arguments)
	b.calls++
}

func noArguments(b []byte) []byte { return b }

func stringArgument(s string) func([]byte) []byte {
	return func(b []byte) []byte { return wire.AppendText(b, 1, s) }
}

func (b *batch) getVar(name string) { b.call("kong.nginx.get_var", stringArgument(name)) }

// maxHeaders is the most headers that get_headers gives (kong/pdk/request.lua).
const maxHeaders = 1000

func (b *batch) getHeaders() {
	b.call("kong.request.get_headers", func(b []byte) []byte { return wire.AppendVarint(b, 1, maxHeaders) })
}

func (b *batch) loadConsumer(idOrUsername string) {
	b.call("kong.client.load_consumer", func(b []byte) []byte {
		return wire.AppendVarint(wire.AppendText(b, 1, idOrUsername), 2, 1) // by_username too
	})
}

// authenticate tells Kong who the caller is. Without a consumer, the credential is
// set a second time: that of authenticate arrives with the consumer_id "", which is
// true in Lua, so that ACL looks that consumer up and answers 500.
func (b *batch) authenticate(id *plugin.Identity) {
	b.call("kong.client.authenticate", func(b []byte) []byte {
		owner := ""
		if id.Consumer != nil {
			owner = id.Consumer.ID
			b = wire.AppendMessage(b, 1, func(b []byte) []byte { return wire.AppendConsumer(b, fromConsumer(id.Consumer)) })
		}
		if id.Anonymous() {
			return b
		}
		return wire.AppendMessage(b, 2, func(b []byte) []byte {
			if b = wire.AppendText(b, 1, id.CredentialID); owner != "" {
				b = wire.AppendText(b, 2, owner)
			}
			return b
		})
	})
	if id.Consumer == nil {
		b.set("kong.nginx.set_ctx", "authenticated_credential", func(b []byte) []byte {
			return wire.AppendStructValue(b, func(b []byte) []byte {
				return wire.AppendPair(b, "id", func(b []byte) []byte { return wire.AppendStringValue(b, id.CredentialID) })
			})
		})
	}
}

func fromConsumer(c *plugin.Consumer) *pb.Consumer {
	return &pb.Consumer{Id: c.ID, CreatedAt: c.CreatedAt, Username: c.Username, CustomId: c.CustomID, Tags: c.Tags}
}

func toConsumer(c *pb.Consumer) *plugin.Consumer {
	if c == nil {
		return nil
	}
	return &plugin.Consumer{ID: c.GetId(), CreatedAt: c.GetCreatedAt(), Username: c.GetUsername(), CustomID: c.GetCustomId(), Tags: c.GetTags()}
}

const setHeaders = "kong.service.request.set_headers"

// setHeaders sets the headers, and removes those without a value.
func (b *batch) setHeaders(headers []plugin.Header) {
	b.call(setHeaders, func(b []byte) []byte { return appendHeaders(b, headers) })
}

// appendHeaders appends what set_headers does to each header: Kong takes an empty
// list for removing it.
func appendHeaders(b []byte, headers []plugin.Header) []byte {
	for _, h := range headers {
		b = wire.AppendPair(b, h.Name, func(b []byte) []byte {
			if h.Value != "" {
				return wire.AppendStringValue(b, h.Value)
			}
			return wire.AppendListValue(b, h.Values)
		})
	}
	return b
}

func appendRemovals(b []byte, names []string) []byte {
	for _, name := range names {
		b = wire.AppendPair(b, name, func(b []byte) []byte { return wire.AppendListValue(b, nil) })
	}
	return b
}

const (
	sharedSet = "kong.ctx.shared.set"
	sharedKey = "authenticated_jwt_token"
)

// shareToken sets kong.ctx.shared.authenticated_jwt_token. It is written out
// because it is the one call that differs for each token.
func (b *batch) shareToken(token []byte) {
	value := protowire.SizeTag(3) + protowire.SizeBytes(len(token))
	arguments := protowire.SizeTag(1) + protowire.SizeBytes(len(sharedKey)) + protowire.SizeTag(2) + protowire.SizeBytes(value)
	out := wire.AppendStringFrame(b.bytes, sharedSet)
	out = binary.LittleEndian.AppendUint32(out, uint32(arguments))
	out = wire.AppendText(out, 1, sharedKey)
	out = protowire.AppendVarint(protowire.AppendTag(out, 2, protowire.BytesType), uint64(value))
	b.bytes = wire.AppendText(out, 3, token)
	b.calls++
}

// set calls a method that sets a value of a table.
func (b *batch) set(method, key string, value func([]byte) []byte) {
	b.call(method, func(b []byte) []byte {
		return wire.AppendMessage(wire.AppendText(b, 1, key), 2, value)
	})
}

// setGroups sets the groups that ACL goes by. Where no token is accepted there are
// none, and they are removed: ACL would prefer an empty list to the groups that the
// anonymous consumer has.
func (b *batch) setGroups(g *plugin.Grant) {
	b.set(sharedSet, "authenticated_groups", func(b []byte) []byte {
		if g.Identity == nil || g.Identity.Anonymous() {
			return wire.AppendRemovedValue(b)
		}
		return wire.AppendListValue(b, g.Groups)
	})
}

// encodeGrant is plugin's Options.Encode. The answer ends with the call of
// set_headers, if there is one, with those that are set first: see batch.answer.
func encodeGrant(g *plugin.Grant) plugin.Answer {
	var b batch
	if g.Identity != nil {
		b.authenticate(g.Identity)
	}
	if g.Groups != nil {
		b.setGroups(g)
	}
	if g.Log != nil {
		b.serialize(g.Log)
	}
	var a plugin.Answer
	if len(g.Headers) > 0 {
		b.call(setHeaders, func(b []byte) []byte {
			isSet := func(h plugin.Header) bool { return h.Value != "" || len(h.Values) > 0 }
			a.Marks[markLength] = len(b) - frameHead
			b = appendHeaders(b, slices.DeleteFunc(slices.Clone(g.Headers), func(h plugin.Header) bool { return !isSet(h) }))
			a.Marks[markIdentity] = len(b)
			b = appendHeaders(b, slices.DeleteFunc(slices.Clone(g.Headers), func(h plugin.Header) bool { return isSet(h) || !h.IsIdentity() }))
			a.Marks[markOthers] = len(b)
			return appendHeaders(b, slices.DeleteFunc(slices.Clone(g.Headers), func(h plugin.Header) bool { return isSet(h) || h.IsIdentity() }))
		})
	}
	a.Bytes, a.Calls = bytes.Clone(b.bytes), b.calls // without the room that is left behind it
	return a
}

const frameHead = 4 // bytes of a frame's length

// The places in an answer of encodeGrant. All are 0 where it calls no set_headers.
const (
	markLength   = iota // of set_headers' arguments
	markIdentity        // where the removals of identity headers begin in them
	markOthers          // where those of other headers do
)

// absent tells which of the headers that a grant may set the request does not have, so
// that none needs to be removed.
type absent struct {
	identity bool // the identity headers
	others   bool
}

// answer begins the batch with what encodeGrant has made. The headers that the
// grant has no value for are removed unless they are absent, and in any case those of
// more, which appendRemovals has made.
func (b *batch) answer(a *plugin.Answer, none absent, more []byte) {
	at := a.Marks[markLength]
	b.bytes, b.calls = b.bytes[:0], a.Calls
	if at > 0 {
		b.bytes = append(b.bytes, a.Bytes[:a.Marks[markIdentity]]...)
		if !none.identity {
			b.bytes = append(b.bytes, a.Bytes[a.Marks[markIdentity]:a.Marks[markOthers]]...)
		}
		if !none.others {
			b.bytes = append(b.bytes, a.Bytes[a.Marks[markOthers]:]...)
		}
	} else {
		b.bytes = append(b.bytes, a.Bytes...)
		if len(more) > 0 {
			b.call(setHeaders, func(b []byte) []byte { return append(b, more...) })
		}
		return
	}
	b.bytes = append(b.bytes, more...)
	length := len(b.bytes) - at - frameHead
	if length == 0 { // nothing to be done
		b.bytes, b.calls = b.bytes[:at-len(setHeaders)-frameHead], b.calls-1
		return
	}
	binary.LittleEndian.PutUint32(b.bytes[at:], uint32(length))
}

// hide takes a token out of the request.
func (b *batch) hide(h *plugin.Hidden) {
	if h.Query != nil {
		b.call("kong.service.request.set_raw_query", stringArgument(*h.Query))
	}
	if len(h.Headers) > 0 {
		b.setHeaders(h.Headers)
	}
}

// setResponseHeader sets a header of the answer that the client will get.
func (b *batch) setResponseHeader(name, value string) {
	b.set("kong.response.set_header", name, func(b []byte) []byte { return wire.AppendStringValue(b, value) })
}

// end appends what ends the event.
func (b *batch) end(sequence uint64) {
	b.bytes = wire.AppendReturn(append(b.bytes, 0, 0, 0, 0), sequence)
}

// encodeExit encodes the call that ends the request with an answer to the client. Kong answers nothing to it
// and closes the connection.
func encodeExit(r *plugin.Reply) []byte {
	exit := wire.AppendStringFrame(nil, "kong.response.exit")
	return wire.AppendFrame(exit, func(b []byte) []byte {
		b = wire.AppendVarint(b, 1, uint64(r.Status))
		b = wire.AppendText(b, 2, r.Body)
		return wire.AppendMessage(b, 3, func(b []byte) []byte {
			for _, h := range r.Headers {
				if h.Value != "" {
					b = wire.AppendPair(b, h.Name, func(b []byte) []byte { return wire.AppendStringValue(b, h.Value) })
				}
			}
			return b
		})
	})
}
