package kong_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	pb "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"

	"kong-go-jwt/kong"
	"kong-go-jwt/plugin"
)

// call takes the bytes of one PDK call apart.
func call(t *testing.T, b []byte, method string, arguments proto.Message) {
	t.Helper()
	frames, err := kong.Frames(bytes.NewReader(b))
	if !errors.Is(err, io.EOF) || len(frames) != 2 {
		t.Fatalf("%d frames, %v", len(frames), err)
	}
	if string(frames[0]) != method {
		t.Errorf("method %q, want %q", frames[0], method)
	}
	got := arguments.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(frames[1], got); err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(got, arguments) {
		t.Errorf("got  %v\nwant %v", got, arguments)
	}
}

// The calls are what go-pdk's types decode to the same meaning.
func TestCalls(t *testing.T) {
	consumer := &plugin.Consumer{ID: "id", Username: "ä", CustomID: "c", Tags: []string{"x", "y"}, CreatedAt: 1795442907}
	text := func(s string) *structpb.Value { return structpb.NewStringValue(s) }
	list := func() *structpb.Value { return structpb.NewListValue(&structpb.ListValue{}) }
	token := strings.Repeat("t", 300)
	t.Run("authenticate", func(t *testing.T) {
		call(t, kong.AuthenticateBytes(&plugin.Identity{Consumer: consumer, CredentialID: "cred", CredentialKey: "key"}),
			"kong.client.authenticate", &pb.AuthenticateArgs{
				Consumer:   &pb.Consumer{Id: "id", Username: "ä", CustomId: "c", Tags: []string{"x", "y"}, CreatedAt: 1795442907},
				Credential: &pb.AuthenticatedCredential{Id: "cred", ConsumerId: "id"},
			})
	})
	t.Run("authenticate anonymous", func(t *testing.T) {
		call(t, kong.AuthenticateBytes(&plugin.Identity{Consumer: &plugin.Consumer{ID: "id"}}),
			"kong.client.authenticate", &pb.AuthenticateArgs{Consumer: &pb.Consumer{Id: "id"}})
	})
	t.Run("authenticate without a consumer", func(t *testing.T) {
		b := kong.AuthenticateBytes(&plugin.Identity{CredentialID: "cred", CredentialKey: "key"})
		second := bytes.Index(b, []byte("kong.nginx.set_ctx")) - 4
		call(t, b[:second], "kong.client.authenticate", &pb.AuthenticateArgs{Credential: &pb.AuthenticatedCredential{Id: "cred"}})
		call(t, b[second:], "kong.nginx.set_ctx", &pb.KV{K: "authenticated_credential", V: structpb.NewStructValue(
			&structpb.Struct{Fields: map[string]*structpb.Value{"id": text("cred")}},
		)})
	})
	t.Run("set_headers", func(t *testing.T) {
		call(t, kong.SetHeadersBytes((&plugin.Identity{Consumer: consumer, CredentialKey: "key"}).Headers()),
			"kong.service.request.set_headers", &structpb.Struct{Fields: map[string]*structpb.Value{
				"X-Consumer-ID": text("id"), "X-Consumer-Custom-ID": text("c"), "X-Consumer-Username": text("ä"),
				"X-Credential-Identifier": text("key"), "X-Anonymous-Consumer": list(),
			}})
	})
	t.Run("set_headers anonymous", func(t *testing.T) {
		call(t, kong.SetHeadersBytes((&plugin.Identity{Consumer: &plugin.Consumer{ID: "id"}}).Headers()),
			"kong.service.request.set_headers", &structpb.Struct{Fields: map[string]*structpb.Value{
				"X-Consumer-ID": text("id"), "X-Consumer-Custom-ID": list(), "X-Consumer-Username": list(),
				"X-Credential-Identifier": list(), "X-Anonymous-Consumer": text("true"),
			}})
	})
	t.Run("set_header of the response", func(t *testing.T) {
		call(t, kong.SetResponseHeaderBytes("DPoP-Nonce", "n"), "kong.response.set_header", &pb.KV{K: "DPoP-Nonce", V: text("n")})
	})
	t.Run("share token", func(t *testing.T) {
		call(t, kong.ShareTokenBytes([]byte(token)), "kong.ctx.shared.set", &pb.KV{K: "authenticated_jwt_token", V: text(token)})
	})
	t.Run("load_consumer", func(t *testing.T) {
		call(t, kong.LoadConsumerBytes("x"), "kong.client.load_consumer", &pb.ConsumerSpec{Id: "x", ByUsername: true})
	})
	t.Run("exit", func(t *testing.T) {
		call(t, kong.ExitBytes(&plugin.Refusal{Status: 401, Body: []byte(`{}`), WWWAuthenticate: "Bearer"}, false),
			"kong.response.exit", &pb.ExitArgs{Status: 401, Body: []byte(`{}`), Headers: &structpb.Struct{Fields: map[string]*structpb.Value{
				"Content-Type": text("application/json; charset=utf-8"), "WWW-Authenticate": text("Bearer"),
			}}})
	})
	t.Run("exit of a gRPC call", func(t *testing.T) {
		call(t, kong.ExitBytes(&plugin.Refusal{Status: 401, Body: []byte(`{"message":"Ä"}`), WWWAuthenticate: "Bearer"}, true),
			"kong.response.exit", &pb.ExitArgs{Status: 401, Body: []byte("Ä"), Headers: &structpb.Struct{Fields: map[string]*structpb.Value{
				"WWW-Authenticate": text("Bearer"),
			}}})
	})
}

// Whoever goes on where groups come from tokens has those of the token, or none.
func TestGroupsCall(t *testing.T) {
	caller := &plugin.Identity{Consumer: &plugin.Consumer{ID: "id"}, CredentialID: "cred", CredentialKey: "key"}
	guest := &plugin.Identity{Consumer: &plugin.Consumer{ID: "id"}}
	list := func(texts ...any) *structpb.Value {
		l, err := structpb.NewList(texts)
		if err != nil {
			t.Fatal(err)
		}
		return structpb.NewListValue(l)
	}
	removed := structpb.NewBoolValue(false)
	for name, tt := range map[string]struct {
		grant plugin.Grant
		want  *structpb.Value // nil: no call
	}{
		"some":                  {plugin.Grant{Identity: caller, Groups: []string{"a", "b"}}, list("a", "b")},
		"none":                  {plugin.Grant{Identity: caller, Groups: []string{}}, list()},
		"not from tokens":       {plugin.Grant{Identity: caller}, nil},
		"guest":                 {plugin.Grant{Identity: guest, Groups: []string{}}, removed},
		"guest, not from token": {plugin.Grant{Identity: guest}, nil},
		"nobody":                {plugin.Grant{Groups: []string{}}, removed},
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := kong.AnswerBytes(&tt.grant, "")
			at := bytes.Index(b, []byte("kong.ctx.shared.set")) - 4
			if tt.want == nil {
				if at >= 0 {
					t.Errorf("groups are set: %q", b)
				}
				return
			}
			if at < 0 {
				t.Fatalf("groups are not set: %q", b)
			}
			call(t, b[at:], "kong.ctx.shared.set", &pb.KV{K: "authenticated_groups", V: tt.want})
		})
	}
}

func TestEnd(t *testing.T) {
	for _, sequence := range []uint64{1, 127, 128, 1 << 40} {
		frames, err := kong.Frames(bytes.NewReader(kong.EndBytes(sequence)))
		var got pb.RpcReturn
		if !errors.Is(err, io.EOF) || len(frames) != 2 || len(frames[0]) != 0 {
			t.Fatalf("frames %x, %v", frames, err)
		}
		if err := proto.Unmarshal(frames[1], &got); err != nil || got.GetSequence() != int64(sequence) {
			t.Errorf("got %v, %v; want %d", &got, err, sequence)
		}
	}
}

// An answer removes what may have come with the request, and makes no call in vain.
func TestAnswer(t *testing.T) {
	text := structpb.NewStringValue
	gone := structpb.NewListValue(&structpb.ListValue{})
	const both = "identity, others"
	setAndGone := &plugin.Grant{Headers: []plugin.Header{{Name: "X-Consumer-ID"}, {Name: "Gone"}, {Name: "Set", Value: "x"}, {Name: "Lists", Values: []string{"y"}}}}
	list := structpb.NewListValue(&structpb.ListValue{Values: []*structpb.Value{text("y")}})
	for name, tt := range map[string]struct {
		grant  *plugin.Grant
		remove string
		more   []string
		want   map[string]*structpb.Value // nil: no call
	}{
		"all":                     {setAndGone, both, []string{"More"}, map[string]*structpb.Value{"Set": text("x"), "Lists": list, "Gone": gone, "X-Consumer-ID": gone, "More": gone}},
		"without more":            {setAndGone, both, nil, map[string]*structpb.Value{"Set": text("x"), "Lists": list, "Gone": gone, "X-Consumer-ID": gone}},
		"identity alone":          {setAndGone, "identity", nil, map[string]*structpb.Value{"Set": text("x"), "Lists": list, "X-Consumer-ID": gone}},
		"others alone":            {setAndGone, "others", nil, map[string]*structpb.Value{"Set": text("x"), "Lists": list, "Gone": gone}},
		"without removals":        {setAndGone, "", nil, map[string]*structpb.Value{"Set": text("x"), "Lists": list}},
		"more alone":              {setAndGone, "", []string{"More"}, map[string]*structpb.Value{"Set": text("x"), "Lists": list, "More": gone}},
		"removals alone":          {&plugin.Grant{Headers: []plugin.Header{{Name: "Gone"}}}, both, nil, map[string]*structpb.Value{"Gone": gone}},
		"nothing to remove":       {&plugin.Grant{Headers: []plugin.Header{{Name: "Gone"}}}, "", nil, nil},
		"no headers":              {&plugin.Grant{}, both, nil, nil},
		"more, where none is set": {&plugin.Grant{}, both, []string{"More"}, map[string]*structpb.Value{"More": gone}},
	} {
		t.Run(name, func(t *testing.T) {
			b, calls := kong.AnswerBytes(tt.grant, tt.remove, tt.more...)
			if tt.want == nil {
				if len(b) > 0 || calls != 0 {
					t.Errorf("%d calls: %q", calls, b)
				}
				return
			}
			call(t, b, "kong.service.request.set_headers", &structpb.Struct{Fields: tt.want})
			if calls != 1 {
				t.Errorf("%d calls, want 1", calls)
			}
		})
	}
}
