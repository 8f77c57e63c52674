package hostbridge_test

import (
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/hostbridge/bridgetest"
	"github.com/tbx-project/tbx/hostbridge/wire"
)

func TestB1_BadFramesAreAnsweredAndTheAgentStaysUp(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	files, err := filepath.Glob("wire/testdata/vectors/bad-*.txt")
	if err != nil || len(files) < 20 {
		t.Fatal(len(files), err)
	}
	for i, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), "to: host") {
			continue
		}
		fd := dial(t, b.Local)
		for line := range strings.Lines(string(data)) {
			if h, ok := strings.CutPrefix(strings.TrimSpace(line), "packet: "); ok {
				p, _ := hex.DecodeString(h)
				unix.Sendmsg(fd, p, nil, nil, unix.MSG_NOSIGNAL)
			}
		}
		unix.Shutdown(fd, unix.SHUT_WR)
		if f := answer(t, fd); f.Type != wire.TypeError && f.Type != 0 {
			t.Errorf("%s: answered by a frame of type %d", file, f.Type)
		}
		if i%8 == 0 {
			works(t, b)
		}
	}
	for _, size := range []int{wire.HeaderSize + wire.MaxBody + 1, 212_000} {
		fd := dial(t, b.Local)
		if err := unix.Sendmsg(fd, make([]byte, size), nil, nil, 0); err != nil {
			t.Fatal(err)
		}
		if f := answer(t, fd); f.Type != wire.TypeError {
			t.Errorf("%d bytes: frame of type %d", size, f.Type)
		}
	}
	works(t, b)
}

func TestB1_SecondStartIsRefused(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	fd := dial(t, b.Local)
	send(t, fd, start(t, b.Local, "true"))
	send(t, fd, start(t, b.Local, "true"))
	if f := answer(t, fd); f.Type != wire.TypeError {
		t.Errorf("frame of type %d", f.Type)
	}
	works(t, b)
}

// What may not follow a request is answered too, by the runner, and ends the
// command.
func TestB1_BadFramesWhileTheCommandRuns(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	cut := wire.Uint32(wire.TypeSignal, 0, 10).Append(nil)
	version := append([]byte{}, cut...)
	version[1] = 9
	for name, packet := range map[string][]byte{
		"second START":         start(t, b.Local, "true").Append(nil),
		"MORE":                 wire.Frame{Type: wire.TypeMore}.Append(nil),
		"FDS":                  wire.Frame{Type: wire.TypeFds}.Append(nil),
		"a word of the host's": wire.Exit{}.Frame().Append(nil),
		"a job":                wire.Frame{Type: wire.TypeJob}.Append(nil),
		"unknown type":         wire.Frame{Type: 99}.Append(nil),
		"version 9":            version,
		"cut":                  cut[:len(cut)-1],
		"trailing bytes":       append(cut, 0),
		"SIGNAL of 8 bytes":    wire.Frame{Type: wire.TypeSignal, Body: make([]byte, 8)}.Append(nil),
		"too long":             make([]byte, wire.HeaderSize+wire.MaxBody+1),
	} {
		fd, pid := running(t, b.Local, "sleep", "1000")
		if err := unix.Sendmsg(fd, packet, nil, nil, 0); err != nil {
			t.Fatal(err)
		}
		if f := answer(t, fd); f.Type != wire.TypeError {
			t.Errorf("%s: frame of type %d", name, f.Type)
		}
		bridgetest.Eventually(t, name+": the command is ended", func() bool { return unix.Kill(pid, 0) != nil })
	}
	works(t, b)
}

func TestB2_ArgumentsBeyondTheKernelsLimit(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	// One argument may have 128 KiB (MAX_ARG_STRLEN), whatever the sum is.
	fd := dial(t, b.Local)
	s := wire.Start{Token: token(t, b.Local), Cwd: "/", Argv: []string{"true", strings.Repeat("x", 1<<20)}}
	frames, err := s.Frames()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		send(t, fd, f)
	}
	null, cwd := open(t, "/dev/null", unix.O_RDWR), open(t, "/", unix.O_PATH)
	send(t, fd, wire.Frame{Type: wire.TypeFds}, null, null, null, cwd)
	f := answer(t, fd)
	if e, err := wire.ParseFailure(f.Body); f.Type != wire.TypeError || err != nil || e.Code != 126 {
		t.Errorf("frame of type %d, %+v, %v", f.Type, e, err)
	}
	b.Refused(t, 125, "-")
	b.Refused(t, 125, "--", "-x")
	b.Refused(t, 125, "--", "")
	if msg := b.Refused(t, 126, append([]string{"true"}, make([]string, wire.MaxArgs)...)...); !strings.Contains(msg, "more arguments than can be sent") {
		t.Errorf("too many arguments: %s", msg)
	}
	works(t, b)
}

// A million of them are announced and sent, which no client of ours would do.
func TestB2_AMillionArguments(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	const million = 1_000_000
	le := binary.LittleEndian
	body := append(le.AppendUint32(nil, 32), token(t, b.Local)...)
	body = append(body, make([]byte, 12)...) // session, size, settings
	body = append(le.AppendUint32(body, 1), '/')
	body = le.AppendUint32(body, million)
	body = append(body, make([]byte, 4*million)...)
	body = le.AppendUint32(body, 0)
	fd := dial(t, b.Local)
	for kind := wire.TypeStart; ; kind = wire.TypeMore {
		f := wire.Frame{Type: kind, Body: body[:min(len(body), wire.MaxBody)]}
		if body = body[len(f.Body):]; len(body) > 0 {
			f.Flags = wire.FlagMore
		}
		send(t, fd, f)
		if len(body) == 0 {
			break
		}
	}
	f := answer(t, fd)
	if e, err := wire.ParseFailure(f.Body); f.Type != wire.TypeError || err != nil || !strings.Contains(e.Text, "more arguments than allowed") {
		t.Errorf("frame of type %d, %+v, %v", f.Type, e, err)
	}
	works(t, b)
}

// The bytes of an argument are the command's to judge, and the log's to escape.
func TestB2_NotUTF8(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	if got := b.Output(t, "printf", "%s|", "\xff\xfe", "\xc3", "\x80"); got != "\xff\xfe|\xc3|\x80|" {
		t.Errorf("arguments came out as %q", got)
	}
	if got := b.Local.Audit()[0].Argv; strings.Join(got, " ") != `printf %s| \xff\xfe \xc3 \x80` {
		t.Errorf("logged as %q", got)
	}
	b.Refused(t, 127, "\xff")
}

// With few descriptors to spare, any that leaked would end the agent.
func TestB3_WrongDescriptors(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Nofile = 64 })
	null, cwd := open(t, "/dev/null", unix.O_RDWR), open(t, "/", unix.O_PATH)
	for round := range 6 { // within what may be asked in a burst
		for name, fds := range map[string][]int{
			"none": nil, "two": {null, null}, "five": {null, null, null, cwd, null}, "too many": bytesToFds(253, null),
		} {
			fd := dial(t, b.Local)
			send(t, fd, start(t, b.Local, "true"))
			send(t, fd, wire.Frame{Type: wire.TypeFds}, fds...)
			if f := answer(t, fd); f.Type != wire.TypeError {
				t.Fatalf("%s: frame of type %d", name, f.Type)
			}
			unix.Shutdown(fd, unix.SHUT_RDWR)
		}
		// With the request itself, where none belong, and the socket in itself.
		fd := dial(t, b.Local)
		send(t, fd, start(t, b.Local, "true"), null, cwd, fd)
		if f := answer(t, fd); f.Type != wire.TypeError {
			t.Fatalf("descriptors with START: frame of type %d", f.Type)
		}
		unix.Shutdown(fd, unix.SHUT_RDWR)
		fd = dial(t, b.Local)
		send(t, fd, start(t, b.Local, "sleep", "1000"))
		send(t, fd, wire.Frame{Type: wire.TypeFds}, fd, fd, fd, cwd) // a cycle
		unix.Shutdown(fd, unix.SHUT_RDWR)
		if round%4 == 0 {
			works(t, b)
		}
	}
	works(t, b)
}

func bytesToFds(n, fd int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = fd
	}
	return out
}

// Once more, the same ones, and to a command that runs: they are closed, and
// nothing of all this is left behind.
func TestB3_DescriptorsTwice(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, func(c *bridgetest.Config) { c.Nofile = 64 })
	null, cwd := open(t, "/dev/null", unix.O_RDWR), open(t, "/", unix.O_PATH)
	for range 20 {
		fd, pid := running(t, b.Local, "sleep", "1000")
		send(t, fd, wire.Frame{Type: wire.TypeFds}, null, null, null, cwd)
		if f := answer(t, fd); f.Type != wire.TypeError {
			t.Fatalf("frame of type %d", f.Type)
		}
		bridgetest.Eventually(t, "the command is ended", func() bool { return unix.Kill(pid, 0) != nil })
		fd, pid = running(t, b.Local, "sleep", "1000")
		send(t, fd, wire.Uint32(wire.TypeSignal, 0, 15), null, fd) // with a frame that is right
		if f := answer(t, fd); f.Type != wire.TypeError {
			t.Fatalf("descriptors with SIGNAL: frame of type %d", f.Type)
		}
		bridgetest.Eventually(t, "the command is ended", func() bool { return unix.Kill(pid, 0) != nil })
	}
	bridgetest.Eventually(t, "no runner but the spare one is left", func() bool { return len(b.Local.AgentsChildren()) <= 1 })
	works(t, b)
}

// The bridge reads nothing of a request from a file, so one that changes later
// is the command's affair, sealed or not. As a part of the request it is refused.
func TestB3_MemoryFiles(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	cwd := open(t, "/", unix.O_PATH)
	mem, err := unix.MemfdCreate("grows", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(mem) })
	fd := dial(t, b.Local)
	unix.Write(mem, start(t, b.Local, "true").Body)
	send(t, fd, wire.Frame{Type: wire.TypeStart}, mem)
	if f := answer(t, fd); f.Type != wire.TypeError {
		t.Errorf("a request in a file: frame of type %d", f.Type)
	}
	in, out := pipe(t), pipe(t)
	fd = dial(t, b.Local)
	send(t, fd, start(t, b.Local, "sh", "-c", "echo ready; read x; stat -L -c %s /proc/self/fd/2"))
	send(t, fd, wire.Frame{Type: wire.TypeFds}, in[0], out[1], mem, cwd)
	unix.Close(out[1])
	said := os.NewFile(uintptr(out[0]), "out")
	io.ReadFull(said, make([]byte, len("ready\n")))
	if err := unix.Ftruncate(mem, 1<<30); err != nil {
		t.Fatal(err)
	}
	unix.Write(in[1], []byte("go\n"))
	if rest, _ := io.ReadAll(said); string(rest) != "1073741824\n" {
		t.Errorf("the command sees %q", rest)
	}
	works(t, b)
}

// A descriptor may be of any kind: the command gets it and may fail of it.
func TestB4_DescriptorsOfEveryKind(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	master := open(t, "/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY)
	unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0)
	number, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(event)
	kinds := map[string]int{
		"O_PATH":             open(t, "/etc/passwd", unix.O_PATH),
		"a directory":        open(t, "/", unix.O_RDONLY),
		"another's terminal": open(t, "/dev/pts/"+strconv.Itoa(number), unix.O_RDWR|unix.O_NOCTTY),
		"an event":           event,
		"a connection":       dial(t, b.Local),
	}
	// Linux lets everybody have one for faults of user mode; where it is left out
	// of the kernel, nobody can send one.
	const userModeOnly = 1
	if uffd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC|userModeOnly, 0, 0); errno == 0 {
		kinds["userfaultfd"] = int(uffd)
		defer unix.Close(int(uffd))
	} else if errno != unix.ENOSYS {
		t.Fatal(errno)
	}
	null, cwd := open(t, "/dev/null", unix.O_RDWR), open(t, "/", unix.O_PATH)
	for name, kind := range kinds {
		out := pipe(t)
		fd := dial(t, b.Local)
		// It is the command's, and never its controlling terminal.
		send(t, fd, start(t, b.Local, "sh", "-c", "[ -e /proc/self/fd/0 ] && ps -o tty= -p $$; (: </dev/tty) 2>/dev/null || echo none"))
		send(t, fd, wire.Frame{Type: wire.TypeFds}, kind, out[1], null, cwd)
		unix.Close(out[1])
		if got, _ := io.ReadAll(os.NewFile(uintptr(out[0]), "out")); strings.Join(strings.Fields(string(got)), " ") != "? none" {
			t.Errorf("%s: the command says %q", name, got)
		}
		for _, place := range [][]int{{null, kind, kind, cwd}, {null, null, null, kind}} {
			fd := dial(t, b.Local)
			send(t, fd, start(t, b.Local, "true"))
			send(t, fd, wire.Frame{Type: wire.TypeFds}, place...)
			if f := answer(t, fd); f.Type != wire.TypeStarted && f.Type != wire.TypeError {
				t.Errorf("%s: frame of type %d", name, f.Type)
			}
		}
	}
	works(t, b)
}

func TestB5_SilentConnectionsDoNotKeepOthersOut(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	first := dial(t, b.Local)
	for range 1000 {
		dial(t, b.Local)
	}
	works(t, b)
	if f := answer(t, first); f.Type != 0 { // it has made room
		t.Errorf("frame of type %d", f.Type)
	}
	fd := dial(t, b.Local) // half a request, then silence
	f := start(t, b.Local, "true")
	f.Flags |= wire.FlagMore
	f.Body = append(f.Body, make([]byte, wire.MaxBody-len(f.Body))...)
	send(t, fd, f)
	works(t, b)
}

// A request has five seconds, however slowly its parts come; so has who sends
// no descriptors.
func TestB5_SlowParts(t *testing.T) {
	t.Parallel()
	b := bridgetest.Local(t, nil)
	slow, silent, half := dial(t, b.Local), dial(t, b.Local), dial(t, b.Local)
	send(t, half, start(t, b.Local, "true"))
	f := start(t, b.Local, "true")
	f.Flags |= wire.FlagMore
	f.Body = append(f.Body, make([]byte, wire.MaxBody-len(f.Body))...)
	var err error
	parts := 0
	for ; err == nil && parts < wire.MaxStart/wire.MaxBody; parts++ {
		err = wire.Send(slow, f)
		f.Type = wire.TypeMore
		time.Sleep(time.Second)
		works(t, b)
	}
	if err == nil {
		t.Errorf("all %d parts were waited for", parts)
	}
	if f := answer(t, silent); f.Type != 0 {
		t.Errorf("silence is answered by a frame of type %d", f.Type)
	}
	if f := answer(t, half); f.Type != wire.TypeError {
		t.Errorf("a request without descriptors is answered by a frame of type %d", f.Type)
	}
	works(t, b)
}
