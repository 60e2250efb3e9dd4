package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
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
				"with the end": iotest.DataErrReader(strings.NewReader(tt.in)),
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

// A long frame that comes in small pieces, none of which is waited for longer than it
// takes to come.
func TestLongFrameInPieces(t *testing.T) {
	for _, piece := range []int{100, 1 << 20} {
		t.Run(fmt.Sprint(piece), func(t *testing.T) { testLongFrame(t, piece) })
	}
}

func testLongFrame(t *testing.T, piece int) {
	t.Helper()
	const length = 100_000
	frame := append(binary.LittleEndian.AppendUint32(nil, length), strings.Repeat("x", length)...)
	in := wire.Reader{R: pieces{bytes.NewReader(append(frame, frame...)), piece}}
	for range 2 {
		for fills := 0; ; fills++ {
			if has, err := in.Has(1); err != nil {
				t.Fatal(err)
			} else if has {
				break
			}
			if fills > 2*length/100 {
				t.Fatalf("%d pieces were read", fills)
			}
			if err := in.Fill(1); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := in.Next(); err != nil || string(got) != string(frame[4:]) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
	}
}

// pieces reads so many bytes at once.
type pieces struct {
	io.Reader
	n int
}

func (p pieces) Read(b []byte) (int, error) { return p.Reader.Read(b[:min(p.n, len(b))]) }

// The length of a frame may be the last that the buffer has room for, but for a byte.
func TestLengthAtTheEndOfTheBuffer(t *testing.T) {
	for most := 8<<10 - 8; most <= 8<<10; most++ {
		first := make([]byte, most)
		binary.LittleEndian.PutUint32(first, uint32(most-4))
		in := wire.Reader{R: bytes.NewReader(append(first, "\x01\x00\x00\x00a"...))}
		if err := in.Fill(1); err != nil {
			t.Fatal(err)
		}
		want := most+5 <= 8<<10
		if has, err := in.Has(2); has != want || err != nil {
			t.Errorf("after a frame of %d bytes: has two %t, %v; want %t", most, has, err, want)
		}
		for range 2 {
			if _, err := in.Next(); err != nil {
				t.Errorf("after a frame of %d bytes: %v", most, err)
			}
		}
	}
}

// What a Reader knows of frames before it hands them out.
func TestReaderKnowsWhatHasArrived(t *testing.T) {
	const one = "\x01\x00\x00\x00a"
	for name, tt := range map[string]struct {
		in       string
		has      int // frames
		tooLong  bool
		partial  bool
		withNext bool // after one was handed out
	}{
		"nothing":           {"", 0, false, false, false},
		"half a length":     {one[:3], 0, false, true, false},
		"a length":          {one[:4], 0, false, true, false},
		"an empty frame":    {"\x00\x00\x00\x00", 1, false, false, false},
		"a frame":           {one, 1, false, false, false},
		"a frame and more":  {one + one[:1], 1, false, true, false},
		"two frames":        {one + one, 2, false, false, false},
		"one of two":        {one + one, 1, false, false, true},
		"none of one":       {one, 0, false, false, true},
		"the longest, half": {"\x00\x00\x00\x01a", 0, false, true, false},
		"one too long":      {"\x01\x00\x00\x01a", 0, true, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			in := wire.Reader{R: strings.NewReader(tt.in)}
			if err := in.Fill(1); err != nil && tt.in != "" {
				t.Fatal(err)
			}
			if tt.withNext {
				if _, err := in.Next(); err != nil {
					t.Fatal(err)
				}
			}
			if has, err := in.Has(tt.has); !has || err != nil {
				t.Errorf("has %d frames: %v, %v", tt.has, has, err)
			}
			if has, err := in.Has(tt.has + 1); has || errors.Is(err, wire.ErrFrameTooLong) != tt.tooLong {
				t.Errorf("has %d frames: %v, %v", tt.has+1, has, err)
			}
			if got := in.Partial(); got != tt.partial {
				t.Errorf("a part of one: %v", got)
			}
			if got, want := in.Empty(), tt.has == 0 && !tt.partial; got != want {
				t.Errorf("empty: %v, want %v", got, want)
			}
		})
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
