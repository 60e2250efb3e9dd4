package kong

import (
	"kong-go-jwt/kong/wire"
	"kong-go-jwt/plugin"
)

// serialize adds to what Kong's logging plugins write.
func (b *batch) serialize(l *plugin.Log) {
	b.call("kong.log.set_serialize_value", func(b []byte) []byte {
		return wire.AppendMessage(wire.AppendText(b, 1, "go_jwt"), 2, func(b []byte) []byte {
			return wire.AppendStructValue(b, func(b []byte) []byte { return appendLog(b, l) })
		})
	})
}

// appendLog appends the entries of a Struct that tells l.
func appendLog(b []byte, l *plugin.Log) []byte {
	for _, f := range []plugin.Header{
		{Name: "outcome", Value: l.Outcome},
		{Name: "reason", Value: string(l.Reason)},
		{Name: "claim", Value: l.Claim},
		{Name: "consumer", Value: l.Consumer},
		{Name: "credential", Value: l.Credential},
		{Name: "issuer", Value: l.Issuer},
		{Name: "kid", Value: l.KeyID},
	} {
		if f.Value != "" {
			b = wire.AppendPair(b, f.Name, func(b []byte) []byte { return wire.AppendStringValue(b, f.Value) })
		}
	}
	if l.MissedBy != nil {
		b = wire.AppendPair(b, "missed_by_seconds", func(b []byte) []byte { return wire.AppendNumberValue(b, *l.MissedBy) })
	}
	if len(l.Claims) == 0 {
		return b
	}
	return wire.AppendPair(b, "claims", func(b []byte) []byte {
		return wire.AppendStructValue(b, func(b []byte) []byte { return appendClaims(b, l.Claims) })
	})
}

func appendClaims(b []byte, claims []plugin.LogClaim) []byte {
	for _, c := range claims {
		b = wire.AppendPair(b, c.Name, func(b []byte) []byte {
			if c.IsList {
				return wire.AppendListValue(b, c.Texts)
			}
			return wire.AppendStringValue(b, c.Texts[0])
		})
	}
	return b
}
