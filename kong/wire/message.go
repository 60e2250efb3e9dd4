package wire

import (
	"bytes"
	"math"

	pb "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of go-pdk's server/kong_plugin_protocol that are read or written
// during a request, and the well-known types in them.

// EventCall is an RpcCall with a cmd_handle_event.
type EventCall struct {
	Sequence uint64
	Instance int32
	Name     []byte // of the phase, a part of the frame
}

// ParseEventCall reads an EventCall. It reports false for any other call.
func ParseEventCall(frame []byte) (c EventCall, ok bool) {
	const sequence, cmdHandleEvent, instanceID, eventName = 1, 36, 1, 2
	var event []byte
	isEvent := false
	for len(frame) > 0 { // not by fields: a closure here would cost an allocation
		number, kind, n := protowire.ConsumeTag(frame)
		if n < 0 {
			return c, false
		}
		frame = frame[n:]
		switch {
		case number == sequence && kind == protowire.VarintType:
			c.Sequence, n = protowire.ConsumeVarint(frame)
		case number == cmdHandleEvent && kind == protowire.BytesType && !isEvent:
			event, n = protowire.ConsumeBytes(frame)
			isEvent = true
		default:
			return c, false
		}
		if n < 0 {
			return c, false
		}
		frame = frame[n:]
	}
	for len(event) > 0 {
		number, kind, n := protowire.ConsumeTag(event)
		if n < 0 {
			return c, false
		}
		event = event[n:]
		switch {
		case number == instanceID && kind == protowire.VarintType:
			var v uint64
			v, n = protowire.ConsumeVarint(event)
			c.Instance = int32(v)
		case number == eventName && kind == protowire.BytesType:
			c.Name, n = protowire.ConsumeBytes(event)
		default:
			return c, false
		}
		if n < 0 {
			return c, false
		}
		event = event[n:]
	}
	return c, isEvent
}

// IsStartCall tells whether a frame is an RpcCall that starts an instance.
func IsStartCall(frame []byte) bool {
	const cmdStartInstance = 33
	found := false
	return fields(frame, func(number protowire.Number, _ uint64, _ []byte) {
		found = found || number == cmdStartInstance
	}) && found
}

// AppendReturn appends the RpcReturn frame that ends an event.
func AppendReturn(b []byte, sequence uint64) []byte {
	const field = 1
	n := protowire.SizeTag(field) + protowire.SizeVarint(sequence)
	b = append(b, byte(n), 0, 0, 0)
	return AppendVarint(b, field, sequence)
}

// ParseInt reads an Int message.
func ParseInt(message []byte) (n int, ok bool) {
	ok = fields(message, func(number protowire.Number, varint uint64, _ []byte) {
		if number == 1 {
			n = int(int32(varint))
		}
	})
	return n, ok
}

// ParseString reads a String or ByteString message. The text is a part of
// message, and may be any bytes.
func ParseString(message []byte) (text []byte, ok bool) {
	if len(message) == 0 {
		return nil, true
	}
	number, kind, n := protowire.ConsumeTag(message)
	if n < 0 || number != 1 || kind != protowire.BytesType {
		return nil, false
	}
	text, m := protowire.ConsumeBytes(message[n:])
	return text, m >= 0 && n+m == len(message)
}

// Header is a request header as get_headers gives it: its name in lower case,
// and a value for each time that it was sent.
type Header struct {
	Name   []byte
	Values [][]byte
}

// Join returns the values with separator between them.
func (h *Header) Join(separator string) []byte {
	if len(h.Values) == 1 {
		return h.Values[0]
	}
	return bytes.Join(h.Values, []byte(separator))
}

// ParseHeaders reads the Struct that get_headers answers with. Names and values
// are parts of message.
func ParseHeaders(message []byte) (headers []Header, ok bool) {
	const structFields, key, value = 1, 1, 2
	headers = make([]Header, 0, 16)
	wellFormed := true
	ok = fields(message, func(number protowire.Number, _ uint64, pair []byte) {
		if number != structFields {
			return
		}
		var h Header
		wellFormed = fields(pair, func(number protowire.Number, _ uint64, content []byte) {
			switch number {
			case key:
				h.Name = content
			case value:
				var good bool
				h.Values, good = appendValues(h.Values, content, false)
				wellFormed = wellFormed && good
			}
		}) && wellFormed
		headers = append(headers, h)
	})
	return headers, ok && wellFormed
}

// appendValues appends the string of a Value, or the strings of its list. A list in a
// list is refused: a header has none, and a million of them would be one stack frame each.
func appendValues(to [][]byte, value []byte, inList bool) (all [][]byte, ok bool) {
	const stringValue, listValue, listElement = 3, 6, 1
	wellFormed := true
	ok = fields(value, func(number protowire.Number, _ uint64, content []byte) {
		switch {
		case number == stringValue:
			to = append(to, content)
		case number == listValue && inList:
			wellFormed = false
		case number == listValue:
			wellFormed = fields(content, func(number protowire.Number, _ uint64, element []byte) {
				if number == listElement {
					var good bool
					to, good = appendValues(to, element, true)
					wellFormed = wellFormed && good
				}
			}) && wellFormed
		}
	})
	return to, ok && wellFormed
}

// ParseConsumer reads a Consumer; nil for an empty message, which is Kong's way
// to say that there is none.
func ParseConsumer(message []byte) (consumer *pb.Consumer, ok bool) {
	const id, createdAt, username, customID, tags = 1, 2, 3, 4, 5
	if len(message) == 0 {
		return nil, true
	}
	consumer = new(pb.Consumer)
	ok = fields(message, func(number protowire.Number, varint uint64, content []byte) {
		switch number {
		case id:
			consumer.Id = string(content)
		case createdAt:
			consumer.CreatedAt = int64(varint)
		case username:
			consumer.Username = string(content)
		case customID:
			consumer.CustomId = string(content)
		case tags:
			consumer.Tags = append(consumer.Tags, string(content))
		}
	})
	return consumer, ok && consumer.Id != ""
}

// AppendConsumer appends the fields of a Consumer.
func AppendConsumer(b []byte, c *pb.Consumer) []byte {
	b = AppendText(b, 1, c.Id)
	if c.CreatedAt != 0 {
		b = AppendVarint(b, 2, uint64(c.CreatedAt))
	}
	if c.Username != "" {
		b = AppendText(b, 3, c.Username)
	}
	if c.CustomId != "" {
		b = AppendText(b, 4, c.CustomId)
	}
	for _, tag := range c.Tags {
		b = AppendText(b, 5, tag)
	}
	return b
}

// AppendPair appends an entry of a Struct, with a Value that value appends.
func AppendPair(b []byte, key string, value func([]byte) []byte) []byte {
	return AppendMessage(b, 1, func(b []byte) []byte {
		return AppendMessage(AppendText(b, 1, key), 2, value)
	})
}

// AppendStringValue appends a string as a Value.
func AppendStringValue(b []byte, s string) []byte { return AppendText(b, 3, s) }

// AppendNumberValue appends a number as a Value.
func AppendNumberValue(b []byte, n float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, 2, protowire.Fixed64Type), math.Float64bits(n))
}

// AppendRemovedValue appends the Value false, which Kong takes for Lua's nil
// (structpb_value in kong/runloop/plugin_servers/rpc/pb_rpc.lua): a table's entry
// that is set to it is removed.
func AppendRemovedValue(b []byte) []byte { return AppendVarint(b, 4, 0) }

// AppendStructValue appends a Value's Struct, with entries that entries writes.
func AppendStructValue(b []byte, entries func([]byte) []byte) []byte {
	return AppendMessage(b, 5, entries)
}

// AppendListValue appends a Value's list of strings, which may be empty.
func AppendListValue(b []byte, texts []string) []byte {
	return AppendMessage(b, 6, func(b []byte) []byte {
		for _, s := range texts {
			b = AppendMessage(b, 1, func(b []byte) []byte { return AppendStringValue(b, s) })
		}
		return b
	})
}
