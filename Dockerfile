# syntax=docker/dockerfile:1
# Kong with the go-jwt plugin: docker run -v "$PWD/kong.yml:/etc/kong/kong.yml:ro" …
ARG KONG_VERSION=3.9
ARG GO_VERSION=1.26

# The compiler runs on the machine that builds, whatever the image is for.
FROM --platform=$BUILDPLATFORM golang:${GO_VERSION} AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY main.go ./
COPY schema ./schema
COPY plugin ./plugin
COPY kong ./kong
ARG TARGETOS TARGETARCH VERSION=0.0.0-dev
RUN CGO_ENABLED=0 GOOS=${TARGETOS} GOARCH=${TARGETARCH} \
    go build -trimpath -ldflags="-s -w -X main.version=${VERSION}" -o /go-jwt .
# The include belongs to a prefix: the one that Kong has in the container. Kong before 3.8
# does not make the folder of its socket, and would not start: there it is empty.
ARG KONG_VERSION KONG_PREFIX=/usr/local/kong
RUN case "${KONG_VERSION}" in \
    3.[0-7] | 3.[0-7][!0-9]*) ;; \
    *) go run . -nginx-conf -kong-prefix ${KONG_PREFIX} ;; \
    esac >/go-jwt.nginx.conf

FROM kong:${KONG_VERSION}
USER root
COPY --from=build /go-jwt /usr/local/bin/go-jwt
COPY --from=build /go-jwt.nginx.conf /etc/kong/go-jwt.nginx.conf
# bundled stays: jwt_secrets belongs to the bundled jwt plugin. The Admin API is
# not needed, and stays as Kong has it. Kong before 3.9 does not know how to ask for the
# plugin's schema.
ENV KONG_DATABASE=off \
    KONG_DECLARATIVE_CONFIG=/etc/kong/kong.yml \
    KONG_PLUGINS=bundled,go-jwt \
    KONG_PLUGINSERVER_NAMES=go-jwt \
    KONG_PLUGINSERVER_GO_JWT_QUERY_CMD="/usr/local/bin/go-jwt -dump" \
    KONG_NGINX_HTTP_INCLUDE=/etc/kong/go-jwt.nginx.conf
USER kong
