// Command lambda is the plugin's decision as an AWS Lambda authorizer for API
// Gateway: the same configuration and the same rules, without Kong. It is built
// as bootstrap, for the runtime provided.al2023. See docs/lambda.md.
package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"runtime"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"kong-go-jwt/lambda/runtimeapi"
)

func main() {
	log := newLogger(os.Stdout, os.Getenv("AWS_LAMBDA_LOG_LEVEL"))
	address, ctx := os.Getenv("AWS_LAMBDA_RUNTIME_API"), context.Background()
	a, err := start(ctx, log)
	if err == nil && address == "" {
		err = errors.New("AWS_LAMBDA_RUNTIME_API is not set: it is AWS Lambda that starts this program")
	}
	if err != nil {
		log.Error("cannot start: every request of this authorizer is answered 500", "why", err.Error())
		_ = runtimeapi.FailInit(ctx, address, err) // the log has told
		os.Exit(1)
	}
	concurrency := lambdacontext.MaxConcurrency() // 1, but for managed instances
	if concurrency == 1 {
		// One event at a time needs one thread: handing it from one to another costs time.
		runtime.GOMAXPROCS(1)
	}
	ended := make(chan error)
	for range concurrency {
		loop := runtimeapi.Loop{Address: address, Handler: a, MaxEvent: maxEvent}
		go func() { ended <- loop.Run(ctx) }()
	}
	log.Error("the process ends", "why", (<-ended).Error())
	os.Exit(1)
}

// start makes the authorizer that the environment asks for. The error names the
// variable, or the field of the configuration, at fault.
func start(ctx context.Context, log *slog.Logger) (*authorizer, error) {
	s, err := readSettings(os.Getenv)
	if err != nil {
		return nil, err
	}
	config, err := parseConfig(s.config)
	if err != nil {
		return nil, err
	}
	secrets := newSecrets(os.LookupEnv)
	a := newAuthorizer(s, config, secrets, log)
	if secrets.remote(config) {
		// The extension that has them answers only from the first event on.
		return a, nil
	}
	_, err = a.current(ctx)
	return a, err
}
