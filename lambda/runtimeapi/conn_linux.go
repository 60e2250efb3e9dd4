package runtimeapi

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// conn is a connection whose system calls Go's scheduler is not told of. They do
// not block, for the socket does not. A scheduler that is told wakes its monitor
// thread (runtime.sysmon) for each event after a rest, which then looks every
// 20 µs whether somebody hogs a processor: a third of all that an event costs.
type conn struct {
	net.Conn
	raw syscall.RawConn
}

func newConn(c net.Conn) (net.Conn, error) {
	raw, err := c.(syscall.Conn).SyscallConn()
	return &conn{c, raw}, err
}

// Read implements [io.Reader].
func (c *conn) Read(p []byte) (n int, err error) {
	if len(p) == 0 {
		return 0, nil
	}
	var errno syscall.Errno
	if err = c.raw.Read(func(fd uintptr) bool {
		n, errno = rawCall(syscall.SYS_READ, fd, p)
		return errno != syscall.EAGAIN
	}); err != nil {
		return 0, err
	}
	switch {
	case errno != 0:
		return 0, os.NewSyscallError("read", errno)
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

// Write implements [io.Writer].
func (c *conn) Write(p []byte) (written int, err error) {
	for written < len(p) {
		var n int
		var errno syscall.Errno
		if err = c.raw.Write(func(fd uintptr) bool {
			n, errno = rawCall(syscall.SYS_WRITE, fd, p[written:])
			return errno != syscall.EAGAIN
		}); err != nil {
			return written, err
		}
		if errno != 0 {
			return written, os.NewSyscallError("write", errno)
		}
		written += n
	}
	return written, nil
}

// rawCall reads or writes p, which is not empty.
func rawCall(trap, fd uintptr, p []byte) (n int, errno syscall.Errno) {
	for {
		r, _, errno := syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p))) //nolint:gosec // as package syscall does it
		if errno != syscall.EINTR {
			return int(r), errno
		}
	}
}
