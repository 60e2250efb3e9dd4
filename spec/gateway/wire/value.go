package wire

import (
	"math"
	"sort"
)

// maxDepth bounds the nesting of values taken from a plugin.
const maxDepth = 64

// A value of google.protobuf.Value is nil, bool, float64, string, []any or
// map[string]any. Numbers of the field list, which is 1 null, 2 number,
// 3 string, 4 bool, 5 struct, 6 list, are those of struct.proto.

// AppendValue encodes v the way Kong does: nil as a null_value of 1, and a
// list without elements as a struct, since Lua knows one kind of table.
func AppendValue(b []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		n := uint64(0)
		if v {
			n = 1
		}
		return appendVarint(b, 4, n)
	case float64:
		return appendDouble(b, 2, v)
	case int:
		return appendDouble(b, 2, float64(v))
	case string:
		return appendBytes(b, 3, v)
	case []string:
		return AppendValue(b, anyList(v))
	case []any:
		if len(v) == 0 {
			return appendBytes(b, 5, "")
		}
		return appendBytes(b, 6, appendList(nil, v))
	case map[string]any:
		return appendBytes(b, 5, AppendStruct(nil, v))
	default:
		return appendVarint(b, 1, 1)
	}
}

func anyList(v []string) []any {
	list := make([]any, len(v))
	for i, s := range v {
		list[i] = s
	}
	return list
}

func appendList(b []byte, v []any) []byte {
	for _, e := range v {
		b = appendBytes(b, 1, AppendValue(nil, e))
	}
	return b
}

// AppendStruct encodes a google.protobuf.Struct, keys in order.
func AppendStruct(b []byte, m map[string]any) []byte {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		entry := appendBytes(nil, 1, k)
		entry = appendBytes(entry, 2, AppendValue(nil, m[k]))
		b = appendBytes(b, 1, entry)
	}
	return b
}

// DecodeValue decodes a google.protobuf.Value as Kong's Lua sees it: false
// becomes nil and null the text NULL_VALUE.
func DecodeValue(b []byte) (any, error) { return decodeValue(b, 0) }

// DecodeList decodes a google.protobuf.ListValue.
func DecodeList(b []byte) ([]any, error) { return decodeList(b, 0) }

// DecodeStruct decodes a google.protobuf.Struct.
func DecodeStruct(b []byte) (map[string]any, error) { return decodeStruct(b, 0) }

func decodeValue(b []byte, depth int) (any, error) {
	if depth > maxDepth {
		return nil, ErrMalformed
	}
	var v any
	err := eachField(b, func(f field) error {
		var err error
		switch f.number {
		case 1:
			v, err = "NULL_VALUE", f.want(varint)
		case 2:
			v, err = math.Float64frombits(f.num), f.want(fixed64)
		case 3:
			v, err = string(f.data), f.want(length)
		case 4:
			v, err = nil, f.want(varint)
			if f.num != 0 {
				v = true
			}
		case 5:
			if err = f.want(length); err == nil {
				v, err = decodeStruct(f.data, depth+1)
			}
		case 6:
			if err = f.want(length); err == nil {
				v, err = decodeList(f.data, depth+1)
			}
		}
		return err
	})
	return v, err
}

func decodeList(b []byte, depth int) ([]any, error) {
	list := []any{}
	err := eachField(b, func(f field) error {
		if f.number != 1 {
			return nil
		}
		if err := f.want(length); err != nil {
			return err
		}
		v, err := decodeValue(f.data, depth+1)
		list = append(list, v)
		return err
	})
	return list, err
}

func decodeStruct(b []byte, depth int) (map[string]any, error) {
	m := map[string]any{}
	err := eachField(b, func(f field) error {
		if f.number != 1 {
			return nil
		}
		if err := f.want(length); err != nil {
			return err
		}
		var key string
		var value any
		err := eachField(f.data, func(f field) error {
			if f.number != 1 && f.number != 2 {
				return nil
			}
			err := f.want(length)
			switch {
			case err != nil:
			case f.number == 1:
				key = string(f.data)
			default:
				value, err = decodeValue(f.data, depth+1)
			}
			return err
		})
		m[key] = value
		return err
	})
	return m, err
}
