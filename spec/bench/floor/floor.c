// Floor reads and writes the frames of an HS256 event and decides nothing: what is
// left of a plugin's CPU time is what the kernel takes. With the configuration
// {"refuse":true} it refuses every request. It waits as the plugin's loop
// does (kong/loop_linux.go), so that the two can be compared:
//
//	cc -O2 -o bin/floor spec/bench/floor/floor.c
//	go run ./spec/bench -plugin bin/go-jwt -floor bin/floor -only HS256
//
// It trusts its peer, and serves one worker.

#define _GNU_SOURCE // accept4, memmem
#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 1024, ROOM = 1 << 16, START_INSTANCE = 33, HANDLE_EVENT = 36 };

static struct conn {
	uint8_t in[ROOM];
	size_t have;
	int skip, waiting, owed, over;
	uint64_t sequence;
} *conns[MOST];
static uint8_t out[ROOM];
static size_t len;
static int refuse;

static void put(const void *p, size_t n) { memcpy(out + len, p, n), len += n; }
static void number(uint64_t v) {
	for (; v > 127; v >>= 7) out[len++] = v | 128;
	out[len++] = v;
}
static size_t begin(void) { return len += 4, len; }
static void end(size_t at) {
	uint32_t n = len - at;
	memcpy(out + at - 4, &n, 4);
}
static void text(int field, const char *s, size_t n) { number(field << 3 | 2), number(n), put(s, n); }
static void call(const char *method, const void *arguments, size_t n) {
	size_t at = begin();
	put(method, strlen(method)), end(at), at = begin(), put(arguments, n), end(at);
}
static void reply(uint64_t sequence, int started) {
	size_t at = begin();
	number(1 << 3), number(sequence);
	if (started) text(START_INSTANCE, "\x10\x01", 2); // instance_id: 1
	end(at);
}

// varint reads one, and moves on.
static uint64_t varint(const uint8_t **p) {
	uint64_t v = 0;
	for (int shift = 0;; shift += 7) {
		v |= (uint64_t)(**p & 127) << shift;
		if (!(*(*p)++ & 128)) return v;
	}
}

// What is told of the caller, encoded once.
static uint8_t identity[512], headers[512], token[ROOM];
static uint8_t refusal[512];
static size_t identity_len, headers_len, token_len, refusal_len;

static size_t taken(uint8_t *to) { size_t n = len; return memcpy(to, out, n), len = 0, n; }

static void prepare(void) {
	const char *id = "01234567-0123-0123-0123-0123456789ab";
	const char *names[] = {"X-Consumer-ID", "X-Consumer-Username", "X-Consumer-Custom-ID", "X-Credential-Identifier", "X-Anonymous-Consumer"};
	text(1, id, 36), text(4, "alice", 5);
	identity_len = taken(identity);
	for (int i = 0; i < 5; i++) {
		number(1 << 3 | 2), number(strlen(names[i]) + 2 + 2 + 2 + (i < 4 ? 36 : 0));
		text(1, names[i], strlen(names[i]));
		number(2 << 3 | 2), number(2 + (i < 4 ? 36 : 0));
		if (i < 4) text(3, id, 36); else text(6, "", 0); // an empty list removes it
	}
	headers_len = taken(headers);
	static char some[300];
	memset(some, 'x', sizeof some);
	text(1, "authenticated_jwt_token", 23), number(2 << 3 | 2), number(3 + sizeof some), text(3, some, sizeof some);
	token_len = taken(token);
	const char *body = "{\"message\":\"Invalid signature\"}";
	const char *sent[][2] = {{"Content-Type", "application/json; charset=utf-8"}, {"WWW-Authenticate", "Bearer error=\"invalid_token\""}};
	static uint8_t fields[256];
	for (int i = 0; i < 2; i++) {
		size_t name = strlen(sent[i][0]), value = strlen(sent[i][1]);
		number(1 << 3 | 2), number(2 + name + 2 + 2 + value);
		text(1, sent[i][0], name), number(2 << 3 | 2), number(2 + value), text(3, sent[i][1], value);
	}
	size_t n = taken(fields);
	number(1 << 3), number(401), text(2, body, strlen(body)), text(3, (char *)fields, n);
	refusal_len = taken(refusal);
}

// frame serves one, and reports whether it was an event that waits for its reads.
static void frame(struct conn *c, const uint8_t *p, uint32_t n) {
	const uint8_t *stop = p + n;
	if (c->skip > 0) {
		c->skip--;
	} else if (c->waiting && refuse) {
		call("kong.response.exit", refusal, refusal_len);
		c->over = 1;
	} else if (c->waiting) {
		call("kong.client.authenticate", identity, identity_len);
		call("kong.service.request.set_headers", headers, headers_len);
		call("kong.ctx.shared.set", token, token_len);
		end(begin()), reply(c->sequence, 0);
		c->waiting = 0, c->skip = 3;
	} else {
		int kind = 0;
		const uint8_t *from = p;
		while (p < stop) {
			uint64_t tag = varint(&p);
			if (tag == 1 << 3) c->sequence = varint(&p);
			else kind = tag >> 3, p += varint(&p);
		}
		if (kind == HANDLE_EVENT) call("kong.nginx.get_var", "\x0a\x0ego_jwt_request", 16), c->waiting = 1;
		else reply(c->sequence, kind == START_INSTANCE);
		if (kind == START_INSTANCE) refuse = memmem(from, n, "refuse", 6) != NULL;
	}
}

static int readable(struct conn *c, int fd) {
	ssize_t n = read(fd, c->in + c->have, ROOM - c->have);
	if (n <= 0) return 0;
	c->have += n;
	size_t at = 0;
	for (uint32_t size; c->have - at >= 4; at += 4 + size) {
		memcpy(&size, c->in + at, 4);
		if (c->have - at - 4 < size) break;
		frame(c, c->in + at + 4, size);
	}
	memmove(c->in, c->in + at, c->have -= at);
	if (len > 0 && write(fd, out, len) != (ssize_t)len) return 0;
	return len = 0, !c->over;
}

int main(int argc, char **argv) {
	const char *prefix = argc > 2 ? argv[2] : "."; // -kong-prefix DIRECTORY
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	snprintf(name.sun_path, sizeof name.sun_path, "%s/%s.socket", prefix, strrchr(argv[0], '/') + 1);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), poll = epoll_create1(0);
	if (bind(listener, (void *)&name, sizeof name) || listen(listener, MOST)) err(1, "%s", name.sun_path);
	struct epoll_event e = {EPOLLIN, {.fd = listener}}, some[128];
	epoll_ctl(poll, EPOLL_CTL_ADD, listener, &e);
	prepare();
	for (long owed = 0, each = 10000;;) { // see pause and learn
		int paused = owed >= 4;
		long ns = owed * each < 250000 ? owed * each : 250000;
		if (paused) nanosleep(&(struct timespec){0, ns}, NULL);
		int n = epoll_wait(poll, some, 128, -1);
		if (paused && n * 2 > owed) each -= each / 8;
		else if (paused && n * 4 < owed) each = each + each / 8 + 1 < 20000 ? each + each / 8 + 1 : 20000;
		for (int i = 0; i < n; i++) {
			int fd = some[i].data.fd;
			if (fd == listener) {
				while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0 && fd < MOST) {
					conns[fd] = calloc(1, sizeof *conns[fd]);
					e.data.fd = fd, epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e);
				}
				continue;
			}
			struct conn *c = conns[fd];
			int open = readable(c, fd), owes = open && (c->waiting || c->skip > 0);
			owed += owes - c->owed, c->owed = owes;
			if (!open) close(fd), free(c);
		}
	}
}
