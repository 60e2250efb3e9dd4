// Package wire reads and writes what goes over a plugin server's socket: frames,
// and the protobuf messages of an event in them. It decides nothing.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// maxFrame is the longest frame that is read, in bytes. A configuration with
// thousands of credentials fits; a request's headers are far below.
const maxFrame = 16 << 20

// ErrFrameTooLong is the error for a frame of more than 16 MiB, of which only
// the length is read.
var ErrFrameTooLong = errors.New("frame is too long")

// Reader reads frames from R: a little-endian uint32 length and that many bytes.
// One call of R.Read brings as many frames as have arrived. R may be replaced
// between calls. A Reader is not safe for concurrent use.
type Reader struct {
	R          io.Reader
	buf        []byte
	start, end int // buf[start:end] has arrived and was not handed out yet
}

const readerSize = 8 << 10

// Next returns the next frame, valid until Release. It reads as often as it must.
// The error is io.EOF if the stream ended between frames, and
// io.ErrUnexpectedEOF if it ended within one.
func (f *Reader) Next() ([]byte, error) {
	if err := f.need(4); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(f.buf[f.start:])
	if length > maxFrame {
		return nil, fmt.Errorf("%w: %d bytes", ErrFrameTooLong, length)
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
func (f *Reader) need(n int) error {
	for f.end-f.start < n {
		if err := f.Fill(n); err != nil && f.end-f.start < n {
			if f.end > f.start {
				err = unexpected(err)
			}
			return err
		}
	}
	return nil
}

// Fill reads once, with room for at least n bytes that are not handed out yet.
func (f *Reader) Fill(n int) error {
	if f.start+n > len(f.buf) || f.end == len(f.buf) {
		larger := make([]byte, max(readerSize, 2*(n+f.end-f.start)))
		f.end = copy(larger, f.buf[f.start:f.end])
		f.start, f.buf = 0, larger
	}
	m, err := f.R.Read(f.buf[f.end:])
	f.end += m
	return err
}

// Has tells whether n frames have arrived, so that Next will not read for them.
func (f *Reader) Has(n int) (bool, error) {
	at := f.start
	for range n {
		if f.end-at < 4 {
			return false, nil
		}
		length := binary.LittleEndian.Uint32(f.buf[at:])
		if length > maxFrame {
			return false, fmt.Errorf("%w: %d bytes", ErrFrameTooLong, length)
		}
		if at += 4 + int(length); at > f.end {
			return false, nil
		}
	}
	return true, nil
}

// Partial tells whether a part of a frame has arrived.
func (f *Reader) Partial() bool {
	at := f.start
	for at+4 <= f.end {
		at += 4 + int(binary.LittleEndian.Uint32(f.buf[at:]))
	}
	return at != f.end
}

// Release gives up all frames handed out.
func (f *Reader) Release() {
	if f.start == f.end {
		f.Reset()
	}
}

// Reset gives up all that was read. The Reader can then be used for another stream.
func (f *Reader) Reset() {
	f.start, f.end = 0, 0
	const tooLarge = 8 * readerSize
	if len(f.buf) > tooLarge {
		f.buf = nil // after one odd frame, do not keep its room
	}
}

// Waiting is how many bytes have arrived that were not handed out yet.
func (f *Reader) Waiting() int { return f.end - f.start }

// Empty tells that all that has arrived was handed out.
func (f *Reader) Empty() bool { return f.start == f.end }

// Mark returns where the Reader stands, for Rewind.
func (f *Reader) Mark() int { return f.start }

// Rewind has Next hand out again what it did since Mark returned mark. Between
// the two nothing may have been read or released.
func (f *Reader) Rewind(mark int) { f.start = mark }

// Discard gives up all that has arrived.
func (f *Reader) Discard() { f.start, f.end = 0, 0 }

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// AppendFrame appends a frame whose content is what content appends.
func AppendFrame(b []byte, content func([]byte) []byte) []byte {
	at := len(b)
	b = content(append(b, 0, 0, 0, 0))
	binary.LittleEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

// AppendStringFrame appends a frame that holds s.
func AppendStringFrame(b []byte, s string) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}
