// Package wire is the gateway's own codec for the plugin-server socket. It
// writes Protocol Buffers by hand and treats a string as bytes, as Kong's
// lua-protobuf does: a header that is not UTF-8 goes through unharmed.
package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MaxFrame bounds what a frame may hold: far above any real one, far below
// what would hurt.
const MaxFrame = 16 << 20

// ErrFrameTooLarge tells of a length prefix above MaxFrame.
var ErrFrameTooLarge = errors.New("wire: frame too large")

// ReadFrame reads one frame: a little-endian uint32 length and the bytes.
func ReadFrame(r *bufio.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint32(head[:])
	if n > MaxFrame {
		return nil, fmt.Errorf("%w: %d bytes", ErrFrameTooLarge, n)
	}
	if n == 0 {
		return nil, nil
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, fmt.Errorf("reading a frame of %d bytes: %w", n, err)
	}
	return data, nil
}

// WriteFrame writes as Kong does: the length in one system call, the bytes in
// another, and nothing at all for no bytes.
func WriteFrame(w io.Writer, data []byte) error {
	var head [4]byte
	binary.LittleEndian.PutUint32(head[:], uint32(len(data)))
	if _, err := w.Write(head[:]); err != nil {
		return err
	}
	if len(data) == 0 {
		return nil
	}
	_, err := w.Write(data)
	return err
}
