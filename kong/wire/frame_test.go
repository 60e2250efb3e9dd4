package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"kong-go-jwt/kong/wire"
)

// readAll reads all frames of r.
func readAll(r io.Reader) (frames [][]byte, err error) {
	in := wire.Reader{R: r}
	for {
		frame, err := in.Next()
		if err != nil {
			return frames, err
		}
		frames = append(frames, frame)
	}
}

func TestFrames(t *testing.T) {
	for name, tt := range map[string]struct {
		in   string
		want int // frames
		err  error
	}{
		"none":             {"", 0, io.EOF},
		"empty one":        {"\x00\x00\x00\x00", 1, io.EOF},
		"two":              {"\x01\x00\x00\x00a\x02\x00\x00\x00bc", 2, io.EOF},
		"half a length":    {"\x01\x00", 0, io.ErrUnexpectedEOF},
		"half a frame":     {"\x04\x00\x00\x00abc", 0, io.ErrUnexpectedEOF},
		"only a length":    {"\x04\x00\x00\x00", 0, io.ErrUnexpectedEOF},
		"4 GiB":            {"\xff\xff\xff\xffabc", 0, wire.ErrFrameTooLong},
		"just not":         {"\x00\x00\x00\x01abc", 0, io.ErrUnexpectedEOF},
		"just too long":    {"\x01\x00\x00\x01abc", 0, wire.ErrFrameTooLong},
		"one, then a half": {"\x01\x00\x00\x00a\x01", 1, io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			for way, r := range map[string]io.Reader{
				"at once": strings.NewReader(tt.in), "bytewise": iotest.OneByteReader(strings.NewReader(tt.in)),
			} {
				frames, err := readAll(r)
				if len(frames) != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("%s: got %d frames, %v; want %d, %v", way, len(frames), err, tt.want, tt.err)
				}
			}
		})
	}
}

// Frames handed out stay as they are while further ones are read.
func TestFramesAreNotOverwritten(t *testing.T) {
	var in []byte
	want := make([]string, 50)
	for i := range want {
		want[i] = strings.Repeat(string(rune('a'+i%26)), 997*(i%7))
		in = append(binary.LittleEndian.AppendUint32(in, uint32(len(want[i]))), want[i]...)
	}
	frames, err := readAll(iotest.HalfReader(bytes.NewReader(in)))
	if !errors.Is(err, io.EOF) || len(frames) != len(want) {
		t.Fatalf("%d frames, %v", len(frames), err)
	}
	for i := range want {
		if string(frames[i]) != want[i] {
			t.Fatalf("frame %d is not what was sent", i)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00a\x00\x00\x00\x00\x02\x00\x00\x00bc"), true)
	f.Add([]byte("\xff\xff\xff\xff"), false)
	f.Fuzz(func(t *testing.T, in []byte, bytewise bool) {
		var r io.Reader = bytes.NewReader(in)
		if bytewise {
			r = iotest.OneByteReader(r)
		}
		frames, err := readAll(r)
		var out []byte
		for _, frame := range frames {
			out = append(binary.LittleEndian.AppendUint32(out, uint32(len(frame))), frame...)
		}
		if err == nil || !bytes.HasPrefix(in, out) || errors.Is(err, io.EOF) && len(out) != len(in) {
			t.Fatalf("frames %x of %x, %v", frames, in, err)
		}
	})
}
