package kong_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	pb "github.com/Kong/go-pdk/server/kong_plugin_protocol"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
)

// refused answers the calls of an event by what they ask for, and returns those and the
// exit that it ends with.
func (w *worker) refused(answers map[string]proto.Message) (asked []string, exit *pb.ExitArgs) {
	w.t.Helper()
	for {
		method, arguments := string(w.read()), w.read()
		switch method {
		case "kong.response.exit":
			exit = new(pb.ExitArgs)
			if err := proto.Unmarshal(arguments, exit); err != nil {
				w.t.Fatal(err)
			}
			return asked, exit
		case "kong.nginx.get_var":
			var name pb.String
			if err := proto.Unmarshal(arguments, &name); err != nil {
				w.t.Fatal(err)
			}
			method = "$" + name.GetV()
		}
		if !strings.HasPrefix(method, "kong.log.") {
			asked = append(asked, method)
		}
		if answer := answers[method]; answer != nil {
			w.write(answer)
		} else {
			w.write(&pb.String{})
		}
	}
}

// A gRPC call is refused so that Kong answers it in gRPC's form. Nothing more is asked
// for than of any other request, but where it may be one and nothing tells.
func TestRefusedGRPCCall(t *testing.T) {
	const (
		variable  = "$go_jwt_request"
		headers   = "kong.request.get_headers"
		protocol  = "$server_protocol"
		mediaType = "$content_type"
		unusable  = `{"header_names":[1]}`
	)
	value := func(s string) proto.Message { return &pb.String{V: s} }
	ofType := func(mediaTypes ...any) proto.Message {
		list, err := structpb.NewStruct(map[string]any{"content-type": mediaTypes, "content_type": "application/grpc"})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	plain := []string{variable, headers, "$args"}
	for name, tt := range map[string]struct {
		config  string
		answers map[string]proto.Message
		asked   []string
		grpc    bool
	}{
		"variable":                   {`{}`, map[string]proto.Message{variable: value("go-jwt/2 :protocol\nPOST\n\n\n\n\n\nHTTP/2.0 application/grpc+proto")}, []string{variable}, true},
		"variable, HTTP/1.1":         {`{}`, map[string]proto.Message{variable: value("go-jwt/2 :protocol\nPOST\n\n\n\n\n\nHTTP/1.1 application/grpc")}, []string{variable}, false},
		"variable, another type":     {`{}`, map[string]proto.Message{variable: value("go-jwt/2 :protocol\nPOST\n\n\n\n\n\nHTTP/2.0 application/json")}, []string{variable}, false},
		"variable, no type":          {`{}`, map[string]proto.Message{variable: value("go-jwt/2 :protocol\nPOST\n\n\n\n\n\nHTTP/2.0 ")}, []string{variable}, false},
		"variable, in capitals":      {`{}`, map[string]proto.Message{variable: value("go-jwt/2 :protocol\nPOST\n\n\n\n\n\nHTTP/2.0 Application/grpc")}, []string{variable}, false},
		"variable, not told":         {`{}`, map[string]proto.Message{variable: value("go-jwt/2\nPOST\n\n\n\n\nHTTP/2.0 application/grpc")}, []string{variable}, false},
		"variable, and headers":      {`{}`, map[string]proto.Message{variable: value("go-jwt/2 :protocol\nPOST\n\n\n\nx\n\nHTTP/2.0 application/grpc")}, []string{variable, headers}, true},
		"variable, not enough":       {`{"header_names":["x-token"]}`, map[string]proto.Message{variable: value("go-jwt/2 x-token :protocol\nPOST\n\n\n\n\n\n,\nHTTP/2.0 application/grpc"), headers: ofType("application/grpc")}, plain, true},
		"headers":                    {`{}`, map[string]proto.Message{headers: ofType("application/grpc"), protocol: value("HTTP/2.0")}, append(plain, protocol), true},
		"headers, HTTP/1.1":          {`{}`, map[string]proto.Message{headers: ofType("application/grpc"), protocol: value("HTTP/1.1")}, append(plain, protocol), false},
		"headers, another type":      {`{}`, map[string]proto.Message{headers: ofType("application/json", "application/grpc"), protocol: value("HTTP/2.0")}, plain, false},
		"unusable":                   {unusable, map[string]proto.Message{mediaType: value("application/grpc"), protocol: value("HTTP/2.0")}, []string{mediaType, protocol}, true},
		"unusable, another protocol": {unusable, map[string]proto.Message{mediaType: value("application/grpc"), protocol: value("HTTP/3.0")}, []string{mediaType, protocol}, false},
		"unusable, another type":     {unusable, map[string]proto.Message{mediaType: value("text/plain"), protocol: value("HTTP/2.0")}, []string{mediaType, protocol}, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, socket := serve(t, io.Discard)
			w := dial(t, socket)
			w.begin(w.start(tt.config))
			asked, exit := w.refused(tt.answers)
			if !slices.Equal(asked, tt.asked) {
				t.Errorf("asked for %q, want %q", asked, tt.asked)
			}
			message, status := "Unauthorized", int32(401)
			if tt.config == unusable {
				message, status = "An unexpected error occurred", 500
			}
			want := `{"message":"` + message + `"}`
			if tt.grpc {
				want = message
			}
			if got := string(exit.GetBody()); exit.GetStatus() != status || got != want {
				t.Errorf("%d %s, want %d %s", exit.GetStatus(), got, status, want)
			}
			if _, told := exit.GetHeaders().GetFields()["Content-Type"]; told == tt.grpc {
				t.Errorf("Content-Type: %v", exit.GetHeaders())
			}
		})
	}
}
