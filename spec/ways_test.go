package spec_test

import "testing"

// ways are the ways in which the plugin can read a request, by the flags that the
// gateway is given for each.
var ways = map[string][]string{
	"all headers": {"-nginx-include=" + withoutMaps()},
	"variable":    {"-nginx-include=auto"},
	"edge":        {"-nginx-include=auto", "-nginx-conf-arg=-edge"},
	"edge, carried": {
		"-nginx-include=auto", "-nginx-conf-arg=-edge",
		"-nginx-conf-arg=-header=X-User", "-nginx-conf-arg=-header=X-Roles", "-nginx-conf-arg=-header=X-Each", "-nginx-conf-arg=-header=X-Sub",
		carriesCertificate,
	},
	// As under Kong 3.4, which shows less of repeated headers.
	"old nginx": {"-nginx-include=auto", "-nginx-version=1.21.4"},
}

// carriesCertificate has nginx remove other spellings of the header that TestCertificateHeader sends.
const carriesCertificate = "-nginx-conf-arg=-header=X-Client-Cert"

// withoutMaps is the gateway's -nginx-include without the variable, but with the
// server if credentials come from there.
func withoutMaps() string {
	if byNode() {
		return "server"
	}
	return ""
}

// eachWay runs a spec for each of them. A real Kong has one.
func eachWay(t *testing.T, spec func(t *testing.T, way ...string)) {
	t.Helper()
	t.Parallel()
	if onRealKong() {
		spec(t)
		return
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			spec(t, way...)
		})
	}
}
