package conformance

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
)

// EchoHeader marks what the echo upstream answered; for a HEAD, which has no
// body, it holds the body in base64.
const EchoHeader = "X-Echo"

// Echo is an upstream that answers with what it received, as JSON.
func Echo(w http.ResponseWriter, r *http.Request) {
	text, err := json.MarshalIndent(Received{r.Method, r.RequestURI, r.Header}, "", "  ")
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.Method == http.MethodHead {
		w.Header().Set(EchoHeader, base64.StdEncoding.EncodeToString(text))
		return
	}
	w.Header().Set(EchoHeader, "1")
	w.Write(append(text, '\n')) // the client went away
}
