package wire

// String encodes a message with one string field v; nil as no bytes at all.
func String(s *string) []byte {
	if s == nil || *s == "" {
		return nil
	}
	return appendBytes(nil, 1, *s)
}

// Int encodes kong_plugin_protocol.Int.
func Int(n int) []byte {
	if n == 0 {
		return nil
	}
	return appendVarint(nil, 1, uint64(int64(n)))
}

// Number encodes kong_plugin_protocol.Number.
func Number(n float64) []byte {
	if n == 0 {
		return nil
	}
	return appendDouble(nil, 1, n)
}

// Bool encodes kong_plugin_protocol.Bool.
func Bool(v bool) []byte {
	if !v {
		return nil
	}
	return appendVarint(nil, 1, 1)
}

// DecodeString decodes a message with one string or bytes field v.
func DecodeString(b []byte) (string, error) {
	var s string
	err := eachField(b, func(f field) error {
		if f.number != 1 {
			return nil
		}
		s = string(f.data)
		return f.want(length)
	})
	return s, err
}

// DecodeInt decodes kong_plugin_protocol.Int (and Bool, as 0 or 1).
func DecodeInt(b []byte) (int, error) {
	var n int
	err := eachField(b, func(f field) error {
		if f.number != 1 {
			return nil
		}
		n = int(int32(f.num))
		return f.want(varint)
	})
	return n, err
}

// DecodeKV decodes kong_plugin_protocol.KV.
func DecodeKV(b []byte) (string, any, error) {
	var k string
	var v any
	err := eachField(b, func(f field) error {
		switch f.number {
		case 1:
			k = string(f.data)
			return f.want(length)
		case 2:
			if err := f.want(length); err != nil {
				return err
			}
			var err error
			v, err = DecodeValue(f.data)
			return err
		}
		return nil
	})
	return k, v, err
}

// Exit is kong_plugin_protocol.ExitArgs. Headers is nil when absent.
type Exit struct {
	Status  int
	Body    []byte
	Headers map[string]any
}

// DecodeExit decodes ExitArgs.
func DecodeExit(b []byte) (Exit, error) {
	var e Exit
	err := eachField(b, func(f field) error {
		switch f.number {
		case 1:
			e.Status = int(int32(f.num))
			return f.want(varint)
		case 2:
			e.Body = f.data
			return f.want(length)
		case 3:
			if err := f.want(length); err != nil {
				return err
			}
			var err error
			e.Headers, err = DecodeStruct(f.data)
			return err
		}
		return nil
	})
	return e, err
}

// Consumer is kong_plugin_protocol.Consumer.
type Consumer struct {
	ID, Username, CustomID string
	CreatedAt              int64
	Tags                   []string
}

// Append encodes c.
func (c *Consumer) Append(b []byte) []byte {
	b = appendText(b, 1, c.ID)
	b = appendNum(b, 2, c.CreatedAt)
	b = appendText(b, 3, c.Username)
	b = appendText(b, 4, c.CustomID)
	return appendTexts(b, 5, c.Tags)
}

// DecodeConsumer decodes a Consumer.
func DecodeConsumer(b []byte) (*Consumer, error) {
	c := &Consumer{}
	err := eachField(b, func(f field) error {
		if f.number == 2 {
			c.CreatedAt = int64(f.num)
			return f.want(varint)
		}
		if f.number > 5 {
			return nil
		}
		if err := f.want(length); err != nil {
			return err
		}
		switch f.number {
		case 1:
			c.ID = string(f.data)
		case 3:
			c.Username = string(f.data)
		case 4:
			c.CustomID = string(f.data)
		case 5:
			c.Tags = append(c.Tags, string(f.data))
		}
		return nil
	})
	return c, err
}

// Credential is kong_plugin_protocol.AuthenticatedCredential.
type Credential struct {
	ID, ConsumerID string
	// Bare: Lua sees no consumer_id, where that of a decoded message is "" at least.
	Bare bool
}

// Append encodes c.
func (c *Credential) Append(b []byte) []byte {
	return appendText(appendText(b, 1, c.ID), 2, c.ConsumerID)
}

// DecodeCredential decodes an AuthenticatedCredential.
func DecodeCredential(b []byte) (*Credential, error) {
	c := &Credential{}
	err := eachField(b, func(f field) error {
		switch f.number {
		case 1:
			c.ID = string(f.data)
			return f.want(length)
		case 2:
			c.ConsumerID = string(f.data)
			return f.want(length)
		}
		return nil
	})
	return c, err
}

// DecodeAuthenticate decodes AuthenticateArgs; an absent part is nil.
func DecodeAuthenticate(b []byte) (*Consumer, *Credential, error) {
	var consumer *Consumer
	var credential *Credential
	err := eachField(b, func(f field) error {
		if f.number != 1 && f.number != 2 {
			return nil
		}
		err := f.want(length)
		switch {
		case err != nil:
		case f.number == 1:
			consumer, err = DecodeConsumer(f.data)
		default:
			credential, err = DecodeCredential(f.data)
		}
		return err
	})
	return consumer, credential, err
}

// DecodeConsumerSpec decodes ConsumerSpec: the arguments of load_consumer.
func DecodeConsumerSpec(b []byte) (id string, byUsername bool, err error) {
	err = eachField(b, func(f field) error {
		switch f.number {
		case 1:
			id = string(f.data)
			return f.want(length)
		case 2:
			byUsername = f.num != 0
			return f.want(varint)
		}
		return nil
	})
	return id, byUsername, err
}

// Route is kong_plugin_protocol.Route, as far as the gateway has routes.
type Route struct {
	ID, Name, ServiceID           string
	CreatedAt, UpdatedAt          int64
	Protocols, Methods, Hosts     []string
	Paths, Tags                   []string
	RedirectStatus, RegexPriority int64
	StripPath, PreserveHost       bool
}

// Append encodes r.
func (r *Route) Append(b []byte) []byte {
	b = appendText(b, 1, r.ID)
	b = appendNum(b, 2, r.CreatedAt)
	b = appendNum(b, 3, r.UpdatedAt)
	b = appendText(b, 4, r.Name)
	b = appendTexts(b, 5, r.Protocols)
	b = appendTexts(b, 6, r.Methods)
	b = appendTexts(b, 7, r.Hosts)
	b = appendTexts(b, 8, r.Paths)
	b = appendNum(b, 10, r.RedirectStatus)
	b = appendNum(b, 11, r.RegexPriority)
	if r.StripPath {
		b = appendVarint(b, 12, 1)
	}
	if r.PreserveHost {
		b = appendVarint(b, 13, 1)
	}
	b = appendTexts(b, 17, r.Tags)
	if r.ServiceID != "" {
		b = appendBytes(b, 18, appendText(nil, 1, r.ServiceID))
	}
	return b
}

// Service is kong_plugin_protocol.Service, as far as the gateway has services.
type Service struct {
	ID, Name, Protocol, Host, Path string
	Port                           int64
}

// Append encodes s.
func (s *Service) Append(b []byte) []byte {
	b = appendText(b, 1, s.ID)
	b = appendText(b, 4, s.Name)
	b = appendText(b, 6, s.Protocol)
	b = appendText(b, 7, s.Host)
	b = appendNum(b, 8, s.Port)
	return appendText(b, 9, s.Path)
}

// RawBody encodes RawBodyResult{content}.
func RawBody(body []byte) []byte { return appendBytes(nil, 1, body) }

func appendText(b []byte, field int, s string) []byte {
	if s == "" {
		return b
	}
	return appendBytes(b, field, s)
}

func appendTexts(b []byte, field int, list []string) []byte {
	for _, s := range list {
		b = appendBytes(b, field, s)
	}
	return b
}

func appendNum(b []byte, field int, n int64) []byte {
	if n == 0 {
		return b
	}
	return appendVarint(b, field, uint64(n))
}

// DecodeTarget decodes Target: the arguments of kong.service.set_target.
func DecodeTarget(b []byte) (host string, port int, err error) {
	err = eachField(b, func(f field) error {
		switch f.number {
		case 1:
			host = string(f.data)
			return f.want(length)
		case 2:
			port = int(int32(f.num))
			return f.want(varint)
		}
		return nil
	})
	return host, port, err
}
