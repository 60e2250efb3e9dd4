# Kong with the go-jwt plugin: docker run -v "$PWD/kong.yml:/etc/kong/kong.yml:ro"
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY main.go ./
COPY schema ./schema
COPY plugin ./plugin
COPY kong ./kong
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /go-jwt .

FROM kong:3.9
USER root
COPY --from=build /go-jwt /usr/local/bin/go-jwt
COPY kong/go-jwt.nginx.conf /etc/kong/go-jwt.nginx.conf
# bundled stays: jwt_secrets belongs to the bundled jwt plugin.
ENV KONG_DATABASE=off \
    KONG_DECLARATIVE_CONFIG=/etc/kong/kong.yml \
    KONG_PLUGINS=bundled,go-jwt \
    KONG_PLUGINSERVER_NAMES=go-jwt \
    KONG_NGINX_HTTP_INCLUDE=/etc/kong/go-jwt.nginx.conf \
    KONG_ADMIN_LISTEN=127.0.0.1:8001
USER kong
