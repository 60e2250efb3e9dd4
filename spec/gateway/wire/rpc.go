package wire

// StartInstance encodes RpcCall{sequence, cmd_start_instance{name, config}}.
func StartInstance(sequence int64, name string, config []byte) []byte {
	cmd := appendBytes(nil, 1, name)
	cmd = appendBytes(cmd, 2, config)
	return rpcCall(sequence, 33, cmd)
}

// CloseInstance encodes RpcCall{sequence, cmd_close_instance{instance_id}}.
func CloseInstance(sequence int64, instance int32) []byte {
	return rpcCall(sequence, 35, appendInt32(nil, 1, instance))
}

// HandleEvent encodes RpcCall{sequence, cmd_handle_event{instance_id, event_name}}.
func HandleEvent(sequence int64, instance int32, event string) []byte {
	return rpcCall(sequence, 36, appendBytes(appendInt32(nil, 1, instance), 2, event))
}

func rpcCall(sequence int64, field int, cmd []byte) []byte {
	b := appendVarint(make([]byte, 0, len(cmd)+16), 1, uint64(sequence))
	return appendBytes(b, field, cmd)
}

func appendInt32(b []byte, field int, v int32) []byte {
	return appendVarint(b, field, uint64(int64(v)))
}

// Call is a decoded RpcCall, which the gateway itself only writes: the tests
// read recorded ones.
type Call struct {
	Sequence                int64
	Start, Close, Event     bool
	Name, EventName, Config string
	Instance                int32
}

// DecodeCall decodes an RpcCall.
func DecodeCall(b []byte) (Call, error) {
	var c Call
	err := eachField(b, func(f field) error {
		switch f.number {
		case 1:
			c.Sequence = int64(f.num)
			return f.want(varint)
		case 33, 35, 36:
			if err := f.want(length); err != nil {
				return err
			}
			c.Start, c.Close, c.Event = f.number == 33, f.number == 35, f.number == 36
			number := f.number
			return eachField(f.data, func(f field) error {
				switch {
				case number == 33 && f.number == 1:
					c.Name = string(f.data)
					return f.want(length)
				case number == 33 && f.number == 2:
					c.Config = string(f.data)
					return f.want(length)
				case number != 33 && f.number == 1:
					c.Instance = int32(f.num)
					return f.want(varint)
				case number == 36 && f.number == 2:
					c.EventName = string(f.data)
					return f.want(length)
				}
				return nil
			})
		}
		return nil
	})
	return c, err
}

// Return is a decoded RpcReturn.
type Return struct {
	Sequence int64
	// Instance is set when HasStatus is.
	Instance  int32
	Name      string
	HasStatus bool
}

// DecodeReturn decodes an RpcReturn.
func DecodeReturn(b []byte) (Return, error) {
	var r Return
	err := eachField(b, func(f field) error {
		switch f.number {
		case 1:
			r.Sequence = int64(f.num)
			return f.want(varint)
		case 33:
			r.HasStatus = true
			if err := f.want(length); err != nil {
				return err
			}
			return eachField(f.data, func(f field) error {
				switch f.number {
				case 1:
					r.Name = string(f.data)
					return f.want(length)
				case 2:
					r.Instance = int32(f.num)
					return f.want(varint)
				}
				return nil
			})
		}
		return nil
	})
	return r, err
}
