package spec_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"kong-go-jwt/spec/lambda"
)

// TestLambdaEmulator runs bootstrap by AWS's own runtime interface emulator, where
// there is one (https://github.com/aws/aws-lambda-runtime-interface-emulator).
func TestLambdaEmulator(t *testing.T) {
	needsBootstrap(t)
	emulator, err := exec.LookPath("aws-lambda-rie")
	if err != nil {
		t.Skip(err)
	}
	t.Parallel()
	config, err := json.Marshal(object{"credentials": ownCredentials(t), "audience_required": []any{"api"}})
	if err != nil {
		t.Fatal(err)
	}
	path, _ := bootstrap()
	address := freeAddress(t)
	log := new(lambda.Log)
	process := exec.Command(emulator, "--runtime-interface-emulator-address", address, "--runtime-api-address", freeAddress(t), path)
	process.Env = []string{"GO_JWT_CONFIG=" + string(config), "GO_JWT_RESPONSE=policy"}
	process.Dir = t.TempDir()
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		process.Process.Kill()
		process.Wait()
		if t.Failed() {
			t.Logf("what was written:\n%s", tail(log.String(), 60))
		}
	})
	invoke := func(event []byte) (a lambda.Answer, err error) {
		r, err := http.Post("http://"+address+"/2015-03-31/functions/function/invocations", "application/json", strings.NewReader(string(event)))
		if err != nil {
			return a, err
		}
		defer r.Body.Close()
		if a.Body, err = io.ReadAll(r.Body); err != nil {
			return a, err
		}
		var failed struct{ ErrorMessage string }
		if json.Unmarshal(a.Body, &failed) == nil && failed.ErrorMessage != "" {
			a = lambda.Answer{Message: failed.ErrorMessage}
		}
		return a, nil
	}
	poll(t, patience, func() bool { _, err := invoke([]byte("{}")); return err == nil })
	token := func(aud string) [][2]string {
		return [][2]string{bearer(madeToken(t, "RS256", "rsa-a", object{"iss": "rs256", "aud": aud, "iat": time.Now().Unix()}))}
	}
	for want, headers := range map[string][][2]string{"200": token("api"), "403": token("other"), "401": nil} {
		for _, form := range lambda.Forms() {
			a, err := invoke((&lambda.Request{Headers: headers}).Event(form))
			if err != nil {
				t.Fatal(err)
			}
			if verdict, _ := verdictOf(t, a); verdict != want {
				t.Errorf("%s: %s, want %s", form, verdict, want)
			}
		}
	}
	a, err := invoke([]byte(`{"type":"TOKEN","authorizationToken":"` + strings.Repeat("x", 5<<20) + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	if verdict, _ := verdictOf(t, a); verdict != "500" {
		t.Errorf("a huge event: %s", verdict)
	}
}
