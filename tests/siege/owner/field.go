package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tbx-project/tbx/tests/siege/pack"
)

// siege is one run.
type siege struct {
	*options
	rand   *rand.Rand // of the act that is being done
	step   uint64     // its number
	log    *journal
	bin    string // directory of the tbx that the owner uses now
	home   string
	run    string // runtime directory
	dir    string // of the shares
	secret string
	config pack.Config
	boxes  []*box

	kept     map[string]state // files that nobody may change
	strays   map[string]time.Time
	programs map[string]bool // hashes of every tbx-box that was installed
	close    []func()
	sessions sync.WaitGroup
	mu       sync.Mutex // of bin

	behindTbx bool       // since the last look, podman has started a toolbox without tbx
	naming    sync.Mutex // while the owner names what is shared, nobody of his own side exchanges it
}

// box is an isolated toolbox with the adversary in it.
type box struct {
	name    string
	flags   []string
	refused int // starts one after the other that did not succeed
}

type state struct {
	sum  string
	mode os.FileMode
}

const prefix = "siege-"

func podmanVersion() string {
	out, _ := exec.Command("podman", "--version").Output()
	return strings.TrimSpace(string(out))
}

// prepare puts secrets where owners have them, and makes images and shares.
func (s *siege) prepare() error {
	s.home, s.run = os.Getenv("HOME"), os.Getenv("XDG_RUNTIME_DIR")
	s.dir = filepath.Join(s.home, "siege")
	s.kept, s.programs, s.strays = map[string]state{}, map[string]bool{}, map[string]time.Time{}
	mark := fmt.Sprintf("%016x", s.rand.Uint64())
	s.secret = "SIEGE-SECRET-" + mark
	s.config = pack.Config{Prefix: pack.Invert([]byte(s.secret)), Home: s.home, Evil: "EVIL-" + mark, Spaces: map[string]string{}}
	if s.home == "" || s.run == "" {
		return errors.New("HOME and XDG_RUNTIME_DIR are needed")
	}
	if _, err := os.Lstat(s.dir); err == nil {
		return fmt.Errorf("%s is there already; remove it if it is of a siege that was killed", s.dir)
	}
	for _, sub := range []string{"src/job", "own", "big", "read/below"} {
		if err := os.MkdirAll(filepath.Join(s.dir, sub), 0o755); err != nil {
			return err
		}
	}
	s.config.Shares = []string{s.dir + "/src", s.dir + "/src/job", s.dir + "/own", s.dir + "/big"}
	s.config.ReadOnly = []string{s.dir + "/read"}
	for _, kind := range []string{"mnt", "pid", "user", "ipc", "net", "uts", "cgroup"} {
		s.config.Spaces[kind], _ = os.Readlink("/proc/self/ns/" + kind)
	}
	if err := s.plantSecrets(); err != nil {
		return err
	}
	if err := s.listen(); err != nil {
		return err
	}
	if err := s.ordinary(); err != nil {
		return err
	}
	if err := s.images(); err != nil {
		return err
	}
	nested := s.dir + "/src/job"
	s.boxes = []*box{
		{name: prefix + "inner", flags: []string{"--share", nested}},
		{name: prefix + "outer", flags: []string{"--share", s.dir + "/src"}},
		{name: prefix + "reader", flags: []string{"--share", s.dir + "/read:ro", "--share", s.dir + "/own", "--no-network"}},
	}
	return nil
}

// plantSecrets writes files that the adversary looks for. What is there of the user's own stays.
func (s *siege) plantSecrets() error {
	n := 0
	for _, path := range []string{s.home + "/.ssh/id_rsa", s.home + "/.netrc", s.home + "/siege-notes/secret", "/tmp/" + prefix + "secret", s.home + "/.config/siege/token"} {
		if _, err := os.Lstat(path); err == nil {
			return fmt.Errorf("%s is there already; the siege wants to put a secret there", path)
		}
		made := filepath.Dir(path)
		if _, err := os.Stat(made); err == nil {
			made = ""
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		n++
		if err := os.WriteFile(path, fmt.Appendf(nil, "%s-%d\n", s.secret, n), 0o600); err != nil {
			return err
		}
		s.close = append(s.close, func() {
			os.Remove(path)
			if made != "" {
				os.Remove(made)
			}
		})
		s.config.Secrets = append(s.config.Secrets, path)
	}
	for _, name := range []string{".bashrc", ".profile", ".ssh/authorized_keys", ".ssh/id_rsa", ".netrc", "siege-notes/secret", ".config/siege/token"} {
		s.kept[filepath.Join(s.home, name)] = stateOf(filepath.Join(s.home, name))
	}
	os.Setenv("SIEGE_OWNER", s.secret+"-environ")
	_, err := unix.AddKey("user", "siege", []byte(s.secret+"-key"), unix.KEY_SPEC_SESSION_KEYRING)
	return err
}

// keyring gives the owner a session keyring of his own. It is a thread's, and of all threads of what that becomes.
func keyring() {
	const done = "SIEGE_KEYRING"
	if os.Getenv(done) != "" {
		return
	}
	runtime.LockOSThread()
	if _, err := unix.KeyctlJoinSessionKeyring("siege"); err != nil {
		fmt.Fprintln(os.Stderr, "siege: no keyring:", err)
		return
	}
	os.Setenv(done, "1")
	fmt.Fprintln(os.Stderr, "siege:", unix.Exec("/proc/self/exe", os.Args, os.Environ()))
}

func stateOf(path string) state {
	fi, err := os.Lstat(path)
	if err != nil {
		return state{}
	}
	sum := ""
	if fi.Mode().IsRegular() {
		sum = sumOf(path)
	} else if fi.Mode().Type() == os.ModeSymlink {
		sum, _ = os.Readlink(path)
	}
	return state{sum, fi.Mode()}
}

func sumOf(path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// listen answers whoever connects with a secret.
func (s *siege) listen() error {
	s.config.Socket, s.config.Abstract = filepath.Join(s.run, prefix+"sock"), prefix+s.config.Evil
	os.Remove(s.config.Socket)
	for _, at := range [][2]string{{"tcp", "127.0.0.1:0"}, {"unix", s.config.Socket}, {"unix", "@" + s.config.Abstract}} {
		l, err := net.Listen(at[0], at[1])
		if err != nil {
			return err
		}
		s.close = append(s.close, func() { l.Close() })
		if a, ok := l.Addr().(*net.TCPAddr); ok {
			s.config.Port = a.Port
		}
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				conn.SetDeadline(time.Now().Add(time.Second))
				fmt.Fprintf(conn, "%s-%s\n", s.secret, l.Addr().Network())
				conn.Close()
			}
		}()
	}
	return nil
}

// images makes one image that is harmless, but for the adversary in it, and some that were made by somebody who knows the
// owner's name and shares.
func (s *siege) images() error {
	program, err := os.ReadFile(s.adversary)
	if err != nil {
		return err
	}
	boxes, _ := filepath.Glob(s.home + "/.local/share/tbx/box/*")
	if len(boxes) > 0 {
		s.config.Box = filepath.Base(boxes[0])
	}
	if program, err = pack.Append(program, &s.config); err != nil {
		return err
	}
	file := filepath.Join(s.dir, "image.tar")
	defer os.Remove(file)
	home, box := strings.TrimPrefix(s.home, "/"), "/run/tbx/box/"+s.config.Box
	link := func(name, to string) *tar.Header {
		return &tar.Header{Name: name, Typeflag: tar.TypeSymlink, Linkname: to, Mode: 0o777}
	}
	variants := map[string][]*tar.Header{
		"clean":  nil,
		"target": {link(home+"/siege/src", box), link(home+"/siege/own", box), link(home+"/siege/big", box), link(home+"/siege/read", box)},
		"above":  {link(home+"/siege", "/run/tbx/box")},
		"home":   {link(home, "/run/tbx/box")},
		"tbx":    {link("run/tbx", s.dir+"/own")},
		"box":    {link("run/tbx/box", s.dir+"/src")},
		"run":    {link("run", s.dir+"/own")},
	}
	for name, entries := range variants {
		if err := s.image(file, program, entries); err != nil {
			return fmt.Errorf("image %s: %w", name, err)
		}
		if out, err := exec.Command("podman", "import", "--quiet", file, imageName(name)).CombinedOutput(); err != nil {
			return fmt.Errorf("podman import: %w: %s", err, out)
		}
	}
	return nil
}

func imageName(variant string) string { return "localhost/siege:" + variant }

func (s *siege) image(file string, program []byte, entries []*tar.Header) error {
	base, err := os.Open(s.base)
	if err != nil {
		return err
	}
	defer base.Close()
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer out.Close()
	w, r := tar.NewWriter(out), tar.NewReader(base)
	skip := map[string]bool{}
	for _, e := range entries {
		skip[e.Name] = true
	}
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		if skip[strings.Trim(strings.TrimPrefix(h.Name, "./"), "/")] {
			continue
		}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
	files := map[string][]byte{"siege": program, "etc/siege-image": []byte(s.config.Evil)}
	for name, data := range files {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(data))}); err != nil {
			return err
		}
		if _, err := w.Write(data); err != nil {
			return err
		}
	}
	for _, e := range entries {
		if err := w.WriteHeader(e); err != nil {
			return err
		}
	}
	return w.Close()
}
