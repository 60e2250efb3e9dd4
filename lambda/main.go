// Command lambda is the plugin's decision as an AWS Lambda authorizer for API
// Gateway: the same configuration and the same rules, without Kong. It is built
// as bootstrap, for the runtime provided.al2023. See docs/lambda.md.
package main

import (
	"context"
	"log/slog"
	"os"
	"runtime"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

func main() {
	log := newLogger(os.Stdout, os.Getenv("AWS_LAMBDA_LOG_LEVEL"))
	a, err := start(log)
	if err != nil {
		log.Error("cannot start: every request of this authorizer is answered 500", "why", err.Error())
		os.Exit(1)
	}
	if lambdacontext.MaxConcurrency() == 1 {
		// One event at a time needs one thread: handing it from one to another costs time.
		runtime.GOMAXPROCS(1)
	}
	slog.SetDefault(log) // what the library tells of errors that are answers here
	slog.SetLogLoggerLevel(slog.LevelDebug)
	lambda.Start(lambda.Handler(a))
}

// start makes the authorizer that the environment asks for. The error names the
// variable, or the field of the configuration, at fault.
func start(log *slog.Logger) (*authorizer, error) {
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
	_, err = a.current(context.Background())
	return a, err
}
