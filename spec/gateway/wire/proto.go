package wire

import (
	"encoding/binary"
	"errors"
	"math"
)

// The wire types of Protocol Buffers that occur here.
const (
	varint  = 0
	fixed64 = 1
	length  = 2
	fixed32 = 5
)

// ErrMalformed tells of bytes that are no Protocol Buffers message.
var ErrMalformed = errors.New("wire: malformed message")

func appendTag(b []byte, field, typ int) []byte {
	return binary.AppendUvarint(b, uint64(field)<<3|uint64(typ))
}

func appendVarint(b []byte, field int, v uint64) []byte {
	return binary.AppendUvarint(appendTag(b, field, varint), v)
}

func appendBytes[T ~string | ~[]byte](b []byte, field int, v T) []byte {
	b = binary.AppendUvarint(appendTag(b, field, length), uint64(len(v)))
	return append(b, v...)
}

func appendDouble(b []byte, field int, v float64) []byte {
	return binary.LittleEndian.AppendUint64(appendTag(b, field, fixed64), math.Float64bits(v))
}

// field is one decoded field: num holds numbers, data bytes.
type field struct {
	number int
	typ    int
	num    uint64
	data   []byte
}

// nextField takes one field off b.
func nextField(b []byte) (field, []byte, error) {
	tag, n := binary.Uvarint(b)
	if n <= 0 || tag>>3 == 0 || tag>>3 > math.MaxInt32 {
		return field{}, nil, ErrMalformed
	}
	f := field{number: int(tag >> 3), typ: int(tag & 7)}
	b = b[n:]
	switch f.typ {
	case varint:
		f.num, n = binary.Uvarint(b)
		if n <= 0 {
			return field{}, nil, ErrMalformed
		}
		b = b[n:]
	case fixed64:
		if len(b) < 8 {
			return field{}, nil, ErrMalformed
		}
		f.num, b = binary.LittleEndian.Uint64(b), b[8:]
	case fixed32:
		if len(b) < 4 {
			return field{}, nil, ErrMalformed
		}
		f.num, b = uint64(binary.LittleEndian.Uint32(b)), b[4:]
	case length:
		l, n := binary.Uvarint(b)
		if n <= 0 || l > uint64(len(b)-n) {
			return field{}, nil, ErrMalformed
		}
		f.data, b = b[n:n+int(l)], b[n+int(l):]
	default:
		return field{}, nil, ErrMalformed
	}
	return f, b, nil
}

// eachField calls do for every field of the message b; do returns whether the
// field's wire type was the one expected.
func eachField(b []byte, do func(field) error) error {
	for len(b) > 0 {
		f, rest, err := nextField(b)
		if err != nil {
			return err
		}
		if err := do(f); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// want fails when f is not of the wire type typ.
func (f field) want(typ int) error {
	if f.typ != typ {
		return ErrMalformed
	}
	return nil
}
