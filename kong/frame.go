package kong

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protowire"
)

// maxFrame is the longest frame that is read, in bytes. A configuration with
// thousands of credentials fits; a request's headers are far below.
const maxFrame = 16 << 20

var errFrameTooLong = errors.New("frame is too long")

// frameReader reads frames: a little-endian uint32 length and that many bytes.
// One read system call brings as many frames as have arrived.
type frameReader struct {
	r          io.Reader
	buf        []byte
	start, end int // buf[start:end] has arrived and was not handed out yet
}

const readerSize = 8 << 10

// next returns the next frame. It is valid until release. The error is io.EOF
// if the stream ended between frames.
func (f *frameReader) next() ([]byte, error) {
	if err := f.need(4); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(f.buf[f.start:])
	if length > maxFrame {
		return nil, fmt.Errorf("%w: %d bytes", errFrameTooLong, length)
	}
	whole := 4 + int(length)
	if err := f.need(whole); err != nil {
		return nil, unexpected(err)
	}
	frame := f.buf[f.start+4 : f.start+whole : f.start+whole]
	f.start += whole
	return frame, nil
}

// need makes sure that n bytes are there. Frames handed out before stay as they
// are: bytes are never moved, only copied to a larger buffer.
func (f *frameReader) need(n int) error {
	for f.end-f.start < n {
		if err := f.fill(n); err != nil && f.end-f.start < n {
			if f.end > f.start {
				err = unexpected(err)
			}
			return err
		}
	}
	return nil
}

// fill reads once, with room for at least n bytes that are not handed out yet.
func (f *frameReader) fill(n int) error {
	if f.start+n > len(f.buf) || f.end == len(f.buf) {
		larger := make([]byte, max(readerSize, 2*(n+f.end-f.start)))
		f.end = copy(larger, f.buf[f.start:f.end])
		f.start, f.buf = 0, larger
	}
	m, err := f.r.Read(f.buf[f.end:])
	f.end += m
	return err
}

// has tells whether n frames have arrived, so that next will not wait for them.
func (f *frameReader) has(n int) (bool, error) {
	at := f.start
	for range n {
		if f.end-at < 4 {
			return false, nil
		}
		length := binary.LittleEndian.Uint32(f.buf[at:])
		if length > maxFrame {
			return false, fmt.Errorf("%w: %d bytes", errFrameTooLong, length)
		}
		if at += 4 + int(length); at > f.end {
			return false, nil
		}
	}
	return true, nil
}

// partial tells whether a part of a frame has arrived.
func (f *frameReader) partial() bool {
	at := f.start
	for at+4 <= f.end {
		at += 4 + int(binary.LittleEndian.Uint32(f.buf[at:]))
	}
	return at != f.end
}

// release gives up all frames handed out.
func (f *frameReader) release() {
	if f.start == f.end {
		f.start, f.end = 0, 0
	}
	const tooLarge = 8 * readerSize
	if len(f.buf) > tooLarge && f.start == f.end {
		f.buf = nil // after one odd frame, do not keep its room
	}
}

// discard gives up all that has arrived.
func (f *frameReader) discard() { f.start, f.end = 0, 0 }

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendFrame appends a frame whose content append writes.
func appendFrame(b []byte, content func([]byte) []byte) []byte {
	at := len(b)
	b = content(append(b, 0, 0, 0, 0))
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

func appendStringFrame(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}

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

func appendVarint(b []byte, number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), v)
}

func appendText[T string | []byte](b []byte, number protowire.Number, text T) []byte {
	b = protowire.AppendVarint(protowire.AppendTag(b, number, protowire.BytesType), uint64(len(text)))
	return append(b, text...)
}

// appendMessage appends a field that is itself a message. Its length is not
// known before it is written, so it is written behind and moved.
func appendMessage(b []byte, number protowire.Number, content func([]byte) []byte) []byte {
	return appendText(b, number, content(nil))
}
