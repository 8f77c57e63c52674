package bridgetest

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/wire"
)

// fuseMain serves a file system with one file, "/f", of which it answers every
// request but FLUSH; it sends the file to the agent's command as all its
// descriptors, and says so when a FLUSH has come and waits. See linux/fuse.h.
func fuseMain() int {
	fail := func(what string, err error) int {
		fmt.Println(what, err)
		return 1
	}
	dev, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail("/dev/fuse", err)
	}
	dir, err := os.MkdirTemp("", "tbxfuse")
	if err != nil {
		return fail("directory", err)
	}
	defer os.Remove(dir)
	if err := unix.Mount("evil", dir, "fuse", 0, fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", dev)); err != nil {
		return fail("mount", err)
	}
	var once sync.Once
	flushed := make(chan struct{})
	go serveFUSE(dev, func() { once.Do(func() { close(flushed) }) })
	file, err := unix.Open(dir+"/f", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return fail("open", err)
	}
	if err := sendTwice(os.Getenv("TBX_BRIDGE"), file); err != nil {
		return fail("request", err)
	}
	<-flushed
	fmt.Println("flush is pending")
	os.Stdin.Read(make([]byte, 1)) // to its end, also if the test dies
	// Without this, what waits for FLUSH would wait for ever, and this process
	// for itself. The file is still open, so only the second can succeed.
	unix.Unmount(dir, unix.MNT_FORCE)
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		return fail("unmount", err)
	}
	return 0
}

// sendTwice sends a file uninvited with the request, and once more where it belongs.
func sendTwice(bridge string, file int) error {
	token, err := os.ReadFile(bridge + "/token")
	if err != nil {
		return err
	}
	cwd, err := unix.Open("/", unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	frames, err := (&wire.Start{Token: token, Cwd: "/", Argv: []string{"true"}}).Frames()
	if err != nil {
		return err
	}
	connect := func() (int, error) {
		sock, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = unix.Connect(sock, &unix.SockaddrUnix{Name: bridge + "/sock"})
		}
		return sock, err
	}
	sock, err := connect()
	if err == nil {
		err = wire.Send(sock, frames[0], file)
	}
	if err != nil {
		return err
	}
	<-answered(sock)
	if sock, err = connect(); err == nil {
		err = wire.Send(sock, frames[0])
	}
	if err == nil {
		err = wire.Send(sock, wire.Frame{Type: wire.TypeFds}, file, file, file, cwd)
	}
	return err
}

func answered(sock int) chan struct{} {
	done := make(chan struct{})
	go func() {
		wire.Recv(sock, wire.RecvBuffer())
		close(done)
	}()
	return done
}

// serveFUSE answers LOOKUP, GETATTR, OPEN and INIT, and is silent on FLUSH.
func serveFUSE(dev int, onFlush func()) {
	le := binary.LittleEndian
	attr := func(ino uint64, mode uint32) []byte { // struct fuse_attr, 88 bytes
		b := make([]byte, 88)
		le.PutUint64(b, ino)
		le.PutUint32(b[60:], mode)
		le.PutUint32(b[64:], 1)
		return b
	}
	buf := make([]byte, 1<<20)
	for {
		n, err := unix.Read(dev, buf)
		if err != nil || n < 40 {
			return
		}
		op, unique, node := le.Uint32(buf[4:]), le.Uint64(buf[8:]), le.Uint64(buf[16:])
		var body []byte
		var errno int32
		switch op {
		case 26: // INIT
			body = make([]byte, 64)
			le.PutUint32(body, 7)
			le.PutUint32(body[4:], 31)
			le.PutUint32(body[20:], 4096) // max_write
		case 1: // LOOKUP
			body = make([]byte, 40)
			le.PutUint64(body, 2)
			body = append(body, attr(2, unix.S_IFREG|0o666)...)
		case 3: // GETATTR
			body = make([]byte, 16)
			mode := uint32(unix.S_IFDIR | 0o755)
			if node == 2 {
				mode = unix.S_IFREG | 0o666
			}
			body = append(body, attr(node, mode)...)
		case 14: // OPEN
			body = make([]byte, 16)
		case 25: // FLUSH
			onFlush()
			continue
		case 2, 18, 36, 42: // FORGET and RELEASE, of which nobody waits for an answer here
			continue
		default:
			errno = -int32(unix.ENOSYS)
		}
		out := make([]byte, 16, 16+len(body))
		le.PutUint32(out, uint32(16+len(body)))
		le.PutUint32(out[4:], uint32(errno))
		le.PutUint64(out[8:], unique)
		unix.Write(dev, append(out, body...))
	}
}
