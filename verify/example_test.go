package verify_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"

	"kong-go-jwt/verify"
)

// A service that answers nobody who did not come through the gateway.
func Example() {
	v, err := verify.New(verify.Options{
		Issuer:   "https://gateway.example.com",
		Audience: "orders",
		KeysURL:  "https://gateway.example.com/.well-known/jwks.json",
		Log:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	orders := v.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, _ := verify.FromContext(r.Context())
		fmt.Fprintln(w, "orders of", caller.Username)
	}))

	// Past the gateway, with a header that anyone can write.
	r := httptest.NewRequest(http.MethodGet, "/orders", nil)
	r.Header.Set("X-Consumer-Username", "mobile-app")
	w := httptest.NewRecorder()
	orders.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 401 {"message":"Unauthorized"}
}

// Wherever there is no http.Handler, for example in an interceptor of gRPC, which
// finds the token in the metadata "x-kong-jwt-assertion".
func ExampleVerifier_Verify() {
	v, err := verify.New(verify.Options{
		Issuer: "https://gateway.example.com", Audience: "orders",
		KeysURL: "https://gateway.example.com/.well-known/jwks.json",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	intercept := func(ctx context.Context, token string) (context.Context, string) {
		id, err := v.Verify(ctx, token)
		switch {
		case errors.Is(err, verify.ErrInvalid):
			return nil, "Unauthenticated" // and err to the log
		case err != nil:
			return nil, "Unavailable"
		}
		return verify.NewContext(ctx, id), "OK"
	}
	_, code := intercept(context.Background(), "a forged token")
	fmt.Println(code)
	// Output: Unauthenticated
}

// A test of a handler needs no gateway.
func ExampleNewContext() {
	hello := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, _ := verify.FromContext(r.Context())
		fmt.Fprint(w, "hello ", id.Username)
	})
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	w := httptest.NewRecorder()
	hello.ServeHTTP(w, r.WithContext(verify.NewContext(r.Context(), &verify.Identity{Username: "alice"})))
	fmt.Println(w.Body)
	// Output: hello alice
}
