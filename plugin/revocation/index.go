package revocation

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"kong-go-jwt/plugin"
	"kong-go-jwt/schema"
)

// index is a list of revoked tokens, in 24 bytes an entry. It does not change.
//
// An entry is kept as the hash of the claims that it names. A token is looked up
// by the hash of the same claims of its own, once for each combination of claims
// that some entry names: seven at the most.
type index struct {
	entries []entry // sorted by name, each name once
	kinds   [1 << 3]bool
}

type entry struct {
	name   [16]byte // of its claims' hash
	before float64  // only tokens issued before are revoked; +Inf: all
}

// nameOf names the claims of a kind, which is made of bits: 1 for jti, 2 for iss, 4
// for sub. It reports false if the token has not all of
// them.
func nameOf(kind int, t *plugin.TokenName) (name [16]byte, ok bool) {
	h := sha256.New()
	h.Write([]byte{byte(kind)})
	for i, claim := range []*string{t.ID, t.Issuer, t.Subject} {
		if kind&(1<<i) == 0 {
			continue
		}
		if claim == nil {
			return name, false
		}
		h.Write(binary.AppendUvarint(nil, uint64(len(*claim))))
		_, _ = io.WriteString(h, *claim) // a hash never fails
	}
	var sum [sha256.Size]byte
	copy(name[:], h.Sum(sum[:0]))
	return name, true
}

// revoked tells whether a token is. One that does not say when it was issued
// counts as issued before any time.
func (x *index) revoked(t *plugin.TokenName) bool {
	for kind, there := range x.kinds {
		if !there {
			continue
		}
		name, ok := nameOf(kind, t)
		if !ok {
			continue
		}
		i, found := slices.BinarySearchFunc(x.entries, name, func(e entry, n [16]byte) int { return bytes.Compare(e.name[:], n[:]) })
		if found && (t.IssuedAt == nil || *t.IssuedAt < x.entries[i].before) {
			return true
		}
	}
	return false
}

// row is an entry as it is written: what it names must all hold.
type row struct {
	ID           *string  `json:"jti"`
	Issuer       *string  `json:"iss"`
	Subject      *string  `json:"sub"`
	IssuedBefore *float64 `json:"issued_before"` // seconds since 1970
}

// builder makes an index.
type builder struct{ index }

func (b *builder) add(r *row) error {
	kind := 0
	for i, claim := range []*string{r.ID, r.Issuer, r.Subject} {
		if claim != nil {
			kind |= 1 << i
		}
	}
	before := math.Inf(1)
	if r.IssuedBefore != nil {
		before = *r.IssuedBefore
	}
	if kind == 0 && r.IssuedBefore == nil {
		return errors.New("without jti, iss, sub and issued_before")
	}
	name, _ := nameOf(kind, &plugin.TokenName{ID: r.ID, Issuer: r.Issuer, Subject: r.Subject})
	b.entries, b.kinds[kind] = append(b.entries, entry{name, before}), true
	return nil
}

func (b *builder) build() *index {
	slices.SortFunc(b.entries, func(a, c entry) int { // of one name, the strictest first
		return cmp.Or(bytes.Compare(a.name[:], c.name[:]), cmp.Compare(c.before, a.before))
	})
	b.entries = slices.Clip(slices.CompactFunc(b.entries, func(a, c entry) bool { return a.name == c.name }))
	return &b.index
}

// fixed makes an index of entries that the schema has checked.
func fixed(entries []schema.Revoked) (*index, error) {
	var b builder
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	for _, e := range entries {
		r := row{ID: text(e.ID), Issuer: text(e.Issuer), Subject: text(e.Subject)}
		if e.IssuedBefore != 0 {
			r.IssuedBefore = &e.IssuedBefore
		}
		if err := b.add(&r); err != nil {
			return nil, err
		}
	}
	return b.build(), nil
}

// read reads a published list: {"revoked": [{"jti": …}, …]}. A list with an entry
// that is not understood is refused as a whole, since it may name more than it
// seems to. Errors hold nothing of it.
func read(from io.Reader, most int) (*index, error) {
	d := json.NewDecoder(from)
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, unreadable(err, "is not a JSON object")
	}
	var b builder
	found := false
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, unreadable(err, "is not JSON")
		}
		if name != "revoked" {
			if err := d.Decode(new(json.RawMessage)); err != nil {
				return nil, unreadable(err, "is not JSON")
			}
			continue
		}
		if found {
			return nil, errors.New(`list has "revoked" twice`)
		}
		found = true
		if err := b.readRows(d, most); err != nil {
			return nil, err
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, unreadable(err, "is not JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, unreadable(err, "has text after its end")
	}
	if !found {
		return nil, errors.New(`list has no "revoked"`)
	}
	return b.build(), nil
}

func (b *builder) readRows(d *json.Decoder, most int) error {
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return unreadable(err, `has no array in "revoked"`)
	}
	d.DisallowUnknownFields()
	for i := 0; d.More(); i++ {
		if i == most {
			return fmt.Errorf("list has more than %d entries", most)
		}
		var r row
		if err := d.Decode(&r); err != nil {
			return unreadable(err, fmt.Sprintf("has an entry that is not understood: revoked[%d]", i))
		}
		if err := b.add(&r); err != nil {
			return fmt.Errorf("list has an entry %w: revoked[%d]", err, i)
		}
	}
	if _, err := d.Token(); err != nil {
		return unreadable(err, "is not JSON")
	}
	return nil
}

// unreadable keeps an error of the connection, and takes one of what was read
// for what: JSON's own errors can hold a part of it.
func unreadable(err error, what string) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if err == nil || errors.As(err, &syntax) || errors.As(err, &kind) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isUnknownField(err) {
		return errors.New("list " + what)
	}
	return fmt.Errorf("list cannot be read: %w", err)
}

// isUnknownField: encoding/json has no type for it.
func isUnknownField(err error) bool {
	return bytes.HasPrefix([]byte(err.Error()), []byte("json: "))
}
