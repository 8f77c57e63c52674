package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/tests/siege/pack"
)

// families opens sockets of every family, and connects none: a connection by vsock would go to the machine that runs
// this one.
func families(r *rand.Rand) {
	for range 20 {
		family, kind := r.IntN(48), pick(r, []int{unix.SOCK_STREAM, unix.SOCK_DGRAM, unix.SOCK_SEQPACKET, unix.SOCK_RAW})
		fd, err := unix.Socket(family, kind, 0)
		if err != nil {
			continue
		}
		unix.Close(fd)
		switch family {
		case unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK:
			if kind == unix.SOCK_RAW && (family == unix.AF_INET || family == unix.AF_INET6) {
				report(pack.Found, "raw socket", fmt.Sprint(family))
			}
		default:
			report(pack.Found, fmt.Sprintf("socket of family %d", family), where())
		}
	}
	if fd, err := unix.Socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0); err == nil {
		unix.Close(fd)
		report(pack.Found, fmt.Sprintf("socket of family %d", unix.AF_VSOCK), where())
	}
}

// listeners connects to what listens on the host, each of which answers with a secret.
func listeners() {
	read := func(way string, conn net.Conn, err error) {
		if err != nil {
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(time.Second))
		data, _ := io.ReadAll(io.LimitReader(conn, 256))
		scan(way, data)
	}
	for _, host := range []string{"127.0.0.1", "::1", "10.0.2.2", "169.254.1.2", "fd00::2", "localhost", "host.containers.internal"} {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(host, fmt.Sprint(config.Port)), time.Second)
		read("a service of the host, at "+host, conn, err)
	}
	dir := filepath.Dir(config.Socket)
	for _, path := range []string{config.Socket, "/run/host" + config.Socket, filepath.Join(dir, "bus"), "/run/dbus/system_bus_socket", filepath.Join(dir, "podman/podman.sock")} {
		conn, err := net.DialTimeout("unix", path, time.Second)
		read("a socket of the host", conn, err)
		if err == nil && path != config.Socket {
			report(pack.Found, "connected to "+path, where())
		}
	}
	conn, err := net.DialTimeout("unix", "@"+config.Abstract, time.Second)
	read("an abstract socket of the host", conn, err)
	if data, err := os.ReadFile("/proc/net/unix"); err == nil && bytes.Contains(data, []byte("@"+config.Abstract)) {
		report(pack.Found, "the host's abstract sockets are in sight", "")
	}
	for _, line := range strings.Split(readAll("/proc/net/unix"), "\n") {
		f := strings.Fields(line)
		if len(f) == 8 && strings.HasPrefix(f[7], "/") && !strings.HasPrefix(f[7], "/run/tbx") {
			conn, err := net.DialTimeout("unix", f[7], time.Second)
			read("socket "+f[7], conn, err)
		}
	}
}

func readAll(path string) string {
	data, _ := os.ReadFile(path)
	return string(data)
}
