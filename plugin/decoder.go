package plugin

import (
	"bytes"
	"encoding/json"
	"sync"
)

// decoder decodes one JSON text after the other, as one stream. It takes a
// json.Decoder to keep numbers as they are written, and that has a buffer: a new
// one for each part of a token would be two thirds of what a refusal allocates.
type decoder struct {
	json *json.Decoder
	text bytes.Reader
	read int64 // bytes, of the texts before
}

var decoders = sync.Pool{New: func() any {
	d := new(decoder)
	d.json = json.NewDecoder(&d.text)
	d.json.UseNumber()
	return d
}}

// decodeJSON returns the value that a JSON text (RFC 8259) is, with numbers as
// json.Number. It may be called concurrently.
func decodeJSON(text []byte) (v any, ok bool) {
	d, _ := decoders.Get().(*decoder)
	d.text.Reset(text)
	if d.json.Decode(&v) != nil {
		return nil, false // and d, which remembers the failure, is dropped
	}
	rest := text[d.json.InputOffset()-d.read:]
	if len(rest) == 0 { // else d may hold a part of it, and is dropped too
		d.read += int64(len(text))
		decoders.Put(d)
	}
	return v, len(bytes.TrimLeft(rest, " \t\r\n")) == 0
}
