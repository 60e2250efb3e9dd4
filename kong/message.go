package kong

import (
	"bytes"

	"google.golang.org/protobuf/encoding/protowire"

	"kong-go-jwt/plugin"
)

// The messages of go-pdk's server/kong_plugin_protocol that are read or written
// during a request, and the well-known types in them.

// eventCall is an RpcCall with a cmd_handle_event.
type eventCall struct {
	sequence uint64
	instance int32
	name     []byte // of the phase
}

// parseEventCall reports false for any other call.
func parseEventCall(frame []byte) (c eventCall, ok bool) {
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
			c.sequence, n = protowire.ConsumeVarint(frame)
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
			c.instance = int32(v)
		case number == eventName && kind == protowire.BytesType:
			c.name, n = protowire.ConsumeBytes(event)
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

// appendReturn appends the RpcReturn frame that ends an event.
func appendReturn(b []byte, sequence uint64) []byte {
	const field = 1
	n := protowire.SizeTag(field) + protowire.SizeVarint(sequence)
	b = append(b, byte(n), 0, 0, 0)
	return appendVarint(b, field, sequence)
}

// parseString reads a String or ByteString message. The text may be any bytes.
func parseString(message []byte) (text []byte, ok bool) {
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

// header is a request header as get_headers gives it: its name in lower case,
// and a value for each time that it was sent.
type header struct {
	name   []byte
	values [][]byte
}

func (h *header) join(separator string) []byte {
	if len(h.values) == 1 {
		return h.values[0]
	}
	return bytes.Join(h.values, []byte(separator))
}

// parseHeaders reads the Struct that get_headers answers with.
func parseHeaders(message []byte) (headers []header, ok bool) {
	const structFields, key, value = 1, 1, 2
	headers = make([]header, 0, 16)
	wellFormed := true
	ok = fields(message, func(number protowire.Number, _ uint64, pair []byte) {
		if number != structFields {
			return
		}
		var h header
		wellFormed = fields(pair, func(number protowire.Number, _ uint64, content []byte) {
			switch number {
			case key:
				h.name = content
			case value:
				h.values, wellFormed = appendValues(h.values, content, wellFormed)
			}
		}) && wellFormed
		headers = append(headers, h)
	})
	return headers, ok && wellFormed
}

// appendValues appends the string or strings of a Value.
func appendValues(to [][]byte, value []byte, ok bool) ([][]byte, bool) {
	const stringValue, listValue, listElement = 3, 6, 1
	ok = fields(value, func(number protowire.Number, _ uint64, content []byte) {
		switch number {
		case stringValue:
			to = append(to, content)
		case listValue:
			ok = fields(content, func(number protowire.Number, _ uint64, element []byte) {
				if number == listElement {
					to, ok = appendValues(to, element, ok)
				}
			}) && ok
		}
	}) && ok
	return to, ok
}

// parseConsumer reads a Consumer; nil for an empty message, which is Kong's way
// to say that there is none.
func parseConsumer(message []byte) (consumer *plugin.Consumer, ok bool) {
	const id, createdAt, username, customID, tags = 1, 2, 3, 4, 5
	if len(message) == 0 {
		return nil, true
	}
	consumer = new(plugin.Consumer)
	ok = fields(message, func(number protowire.Number, varint uint64, content []byte) {
		switch number {
		case id:
			consumer.ID = string(content)
		case createdAt:
			consumer.CreatedAt = int64(varint)
		case username:
			consumer.Username = string(content)
		case customID:
			consumer.CustomID = string(content)
		case tags:
			consumer.Tags = append(consumer.Tags, string(content))
		}
	})
	return consumer, ok && consumer.ID != ""
}

func appendConsumer(b []byte, c *plugin.Consumer) []byte {
	b = appendText(b, 1, c.ID)
	if c.CreatedAt != 0 {
		b = appendVarint(b, 2, uint64(c.CreatedAt))
	}
	if c.Username != "" {
		b = appendText(b, 3, c.Username)
	}
	if c.CustomID != "" {
		b = appendText(b, 4, c.CustomID)
	}
	for _, tag := range c.Tags {
		b = appendText(b, 5, tag)
	}
	return b
}

// appendPair appends an entry of a Struct, with a Value that append writes.
func appendPair(b []byte, key string, value func([]byte) []byte) []byte {
	return appendMessage(b, 1, func(b []byte) []byte {
		return appendMessage(appendText(b, 1, key), 2, value)
	})
}

func appendStringValue(b []byte, s string) []byte { return appendText(b, 3, s) }

// appendListValue appends a list of strings, which may be empty.
func appendListValue(b []byte, texts []string) []byte {
	return appendMessage(b, 6, func(b []byte) []byte {
		for _, s := range texts {
			b = appendMessage(b, 1, func(b []byte) []byte { return appendStringValue(b, s) })
		}
		return b
	})
}
