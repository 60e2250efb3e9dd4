package wire

import "google.golang.org/protobuf/encoding/protowire"

// The protobuf wire format by hand, for two reasons: a header value that is not
// UTF-8 makes proto.Unmarshal lose the whole message, and the messages of every
// request should cost no allocation. message_test.go holds it against go-pdk's
// generated types and against what real Kong sent.

// fields calls each for every field of a message: the varint's value or the
// bytes. It reports whether the message was well-formed.
func fields(message []byte, each func(number protowire.Number, varint uint64, content []byte)) bool {
	for len(message) > 0 {
		number, kind, n := protowire.ConsumeTag(message)
		if n < 0 {
			return false
		}
		message = message[n:]
		switch kind {
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(message)
			if n < 0 {
				return false
			}
			each(number, v, nil)
			message = message[n:]
		case protowire.BytesType:
			content, n := protowire.ConsumeBytes(message)
			if n < 0 {
				return false
			}
			each(number, 0, content)
			message = message[n:]
		default:
			n := protowire.ConsumeFieldValue(number, kind, message)
			if n < 0 {
				return false
			}
			message = message[n:]
		}
	}
	return true
}

// AppendVarint appends a field of a varint type.
func AppendVarint(b []byte, number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), v)
}

// AppendText appends a field of text or bytes.
func AppendText[T string | []byte](b []byte, number protowire.Number, text T) []byte {
	b = protowire.AppendVarint(protowire.AppendTag(b, number, protowire.BytesType), uint64(len(text)))
	return append(b, text...)
}

// AppendMessage appends a field that is itself a message. Its length is not
// known before it is written, so it is written behind and moved.
func AppendMessage(b []byte, number protowire.Number, content func([]byte) []byte) []byte {
	return AppendText(b, number, content(nil))
}
