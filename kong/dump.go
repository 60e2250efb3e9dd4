package kong

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"

	pb "github.com/Kong/go-pdk/server/kong_plugin_protocol"

	"kong-go-jwt/schema"
)

// SocketPath is where Kong looks for the socket of the plugin server with that
// executable name.
func SocketPath(prefix, executable string) string {
	return filepath.Join(prefix, filepath.Base(executable)+".socket")
}

// Dump writes what Kong asks for with -dump: one JSON object, and nothing else.
func Dump(w io.Writer, version, socketPath string) error {
	type info struct {
		Name     string
		Phases   []string
		Version  string
		Priority int
		Schema   map[string]any
	}
	err := json.NewEncoder(w).Encode(struct {
		Protocol   string
		SocketPath string
		Plugins    []info
	}{
		Protocol:   "ProtoBuf:1",
		SocketPath: socketPath,
		Plugins:    []info{{schema.Name, phases(), version, schema.Priority, schema.Kong()}},
	})
	if err != nil {
		return fmt.Errorf("writing the dump: %w", err)
	}
	return nil
}

func phases() []string { return []string{"access"} }

func pluginInfo(version string) func() (*pb.PluginInfo, error) {
	return func() (*pb.PluginInfo, error) {
		text, err := json.Marshal(schema.Kong())
		if err != nil {
			return nil, fmt.Errorf("encoding the schema: %w", err)
		}
		return &pb.PluginInfo{
			Name: schema.Name, Phases: phases(), Version: version,
			Priority: schema.Priority, Schema: string(text),
		}, nil
	}
}
