package osupdate_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/osupdate"
)

// TestH8_Stateroots: the way back, what is followed and what a change begins with
// are of one stateroot.
func TestH8_Stateroots(t *testing.T) {
	booted := (&osupdate.State{Deployments: []osupdate.Deployment{
		{ID: "fedora-c.0", Checksum: "c", Stateroot: "fedora", Booted: true, Tracks: "f:x"}, {ID: "kinoite-b.0", Checksum: "b", Stateroot: "kinoite"}, {ID: "fedora-a.0", Checksum: "a", Stateroot: "fedora"},
	}}).Arrange()
	if d, err := booted.Back(""); err != nil || d.ID != "fedora-a.0" {
		t.Errorf("the way back is %+v, %v", d, err)
	}
	named := (&osupdate.State{Stateroot: "testos", Deployments: []osupdate.Deployment{
		{ID: "other-x.0", Checksum: "x", Stateroot: "other", Tracks: "other/x"}, {ID: "testos-y.0", Checksum: "y", Stateroot: "testos", Tracks: "testos/y"},
	}}).Arrange()
	if named.Tracked != "testos/y" || named.Current().ID != "testos-y.0" || named.Head().ID != "testos-y.0" {
		t.Errorf("follows %s, current %s, head %s", named.Tracked, named.Current().ID, named.Head().ID)
	}
}

// TestH9_AmbiguousVersion is refused with both indexes, and results tell the two apart.
func TestH9_AmbiguousVersion(t *testing.T) {
	s := (&osupdate.State{Deployments: []osupdate.Deployment{
		{ID: "f-" + strings.Repeat("a", 64) + ".0", Checksum: strings.Repeat("a", 64), Version: "43.1", Staged: true},
		{ID: "f-" + strings.Repeat("b", 64) + ".0", Checksum: strings.Repeat("b", 64), Version: "43.1", Booted: true},
	}}).Arrange()
	_, err := s.Find("43.1")
	if !errors.Is(err, fail.Usage) || !strings.Contains(err.Error(), "0 and 1") || len(fail.Hints(err)) == 0 {
		t.Errorf("%v", err)
	}
	for name, want := range map[string]int{"1": 1, "booted": 1, "next": 0, s.Deployments[1].ID: 1, "bbbbbbbb": 1} {
		if d, err := s.Find(name); err != nil || d.Index != want {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
	if a, b := osupdate.NamesOf(&s.Deployments[0], &s.Deployments[1]); a == b || !strings.HasPrefix(a, "43.1 (") {
		t.Errorf("%q, %q", a, b)
	}
}

// TestH10_Sources: one classifier for all that a host can follow.
func TestH10_Sources(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("a", 64)
	for text, want := range map[string]osupdate.Source{
		"":                                      {Class: osupdate.SourceNone},
		"<unknown origin type>":                 {Class: osupdate.SourceNone},
		strings.Repeat("a", 64):                 {Class: osupdate.SourceCommit},
		"fedora:fedora/43/x86_64/silverblue":    {Class: osupdate.SourceRef, Remote: "fedora", Name: "fedora/43/x86_64/silverblue"},
		"debian/trixie/x86_64/lab":              {Class: osupdate.SourceRef, Name: "debian/trixie/x86_64/lab"},
		"ostree-image-signed:docker://q.io/x:1": {Class: osupdate.SourceImage, Scheme: "ostree-image-signed", Transport: "registry", Name: "q.io/x:1"},
		"ostree-unverified-registry:10.0.2.2:5000/lab:v1":        {Class: osupdate.SourceImage, Scheme: "ostree-unverified-registry", Transport: "registry", Name: "10.0.2.2:5000/lab:v1"},
		"ostree-remote-image:fedora:docker://q.io/x" + digest:    {Class: osupdate.SourcePinned, Remote: "fedora", Transport: "registry", Name: "q.io/x"},
		"ostree-unverified-image:containers-storage:localhost/x": {Class: osupdate.SourceLocal, Transport: "containers-storage", Name: "localhost/x"},
		"ostree-unverified-image:oci-archive:/var/x.tar":         {Class: osupdate.SourceArchive, Transport: "oci-archive", Name: "/var/x.tar"},
		"10.0.2.2:5055/lab:latest":                               {Class: osupdate.SourceImage, Transport: "registry", Name: "10.0.2.2:5055/lab:latest"},
		"localhost/mine:1":                                       {Class: osupdate.SourceLocal, Transport: "registry", Name: "localhost/mine:1"},
		"localhost:5000/mine:1":                                  {Class: osupdate.SourceImage, Transport: "registry", Name: "localhost:5000/mine:1"},
		"containers-storage:localhost/mine:1":                    {Class: osupdate.SourceLocal, Transport: "containers-storage", Name: "localhost/mine:1"},
		"oci:/var/image":                                         {Class: osupdate.SourceArchive, Transport: "oci", Name: "/var/image"},
		"quay.io/x" + digest:                                     {Class: osupdate.SourcePinned, Transport: "registry", Name: "quay.io/x"},
		"ostree-remote-image:fedora":                             {Class: osupdate.SourceOther},
	} {
		got := osupdate.ParseSource(text)
		if got.Class != want.Class || want.Name != "" && (got.Name != want.Name || got.Transport != want.Transport) || want.Remote != "" && got.Remote != want.Remote ||
			want.Scheme != "" && got.Scheme != want.Scheme {
			t.Errorf("%q: %+v", text, got)
		}
	}
	for _, c := range []struct{ from, target, want string }{
		{"ostree-image-signed:docker://q.io/x:stable", "fedora:fedora/43/x86_64/silverblue", "fedora:fedora/43/x86_64/silverblue"},
		{"ostree-image-signed:docker://q.io/x:stable", "q.io/y:1", "ostree-image-signed:docker://q.io/y:1"},
		{"ostree-unverified-registry:q.io/x:1", "q.io/y:1", "ostree-unverified-registry:q.io/y:1"},
		{"ostree-remote-image:fedora:docker://q.io/x:1", "q.io/y:1", "ostree-remote-image:fedora:docker://q.io/y:1"},
		{"ostree-image-signed:docker://q.io/x:1", "localhost/mine:1", "ostree-unverified-image:containers-storage:localhost/mine:1"},
		{"fedora:fedora/43", "fedora/44", "fedora:fedora/44"},
		{"fedora:fedora/43", "q.io/y:1", ""},
		{"fedora:fedora/43", "ostree-image-signed:docker://q.io/y:1", "ostree-image-signed:docker://q.io/y:1"},
		{"ostree-image-signed:docker://q.io/x:1", "word", ""},
	} {
		got, err := osupdate.ParseSource(c.from).To(c.target, nil)
		if (err != nil) != (c.want == "") || err == nil && got.Text != c.want || err != nil && len(fail.Hints(err)) == 0 {
			t.Errorf("%s to %s: %q, %v", c.from, c.target, got.Text, err)
		}
	}
}

// TestH11_NothingNewCanBeSeen: pinned to a digest or a commit, of this machine, gone:
// never "there is no update".
func TestH11_NothingNewCanBeSeen(t *testing.T) {
	for text, word := range map[string]string{
		"ostree-remote-image:fedora:docker://q.io/fcos@sha256:" + strings.Repeat("a", 64): "by its digest",
		strings.Repeat("a", 64):                                  "single commit",
		"ostree-unverified-image:containers-storage:localhost/x": "own storage",
		"oci:/var/image":                                         "oci:/var/image", "": "no origin",
	} {
		err := osupdate.ParseSource(text).NoNews([]string{"Fedora CoreOS stable"})
		if !errors.Is(err, osupdate.ErrUnsupported) || !strings.Contains(err.Error(), word) || !strings.Contains(err.Error(), "Fedora CoreOS stable") || len(fail.Hints(err)) == 0 {
			t.Errorf("%q: %v", text, err)
		}
	}
	for _, text := range []string{"a:b/c", "ostree-image-signed:docker://q.io/x:1"} {
		if err := osupdate.ParseSource(text).NoNews(nil); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestH16_Credentials names the file of logins that the updater reads.
func TestH16_Credentials(t *testing.T) {
	for _, text := range []string{
		"error: getting username and password: reading JSON file: open /run/user/0/containers/auth.json: permission denied",
		"error: unauthorized: access to the requested resource is not authorized", "error: denied: access forbidden",
	} {
		for kind, word := range map[osupdate.Kind]string{osupdate.Bootc: "/etc/ostree/auth.json", osupdate.RPMOSTree: "/etc/ostree/auth.json", osupdate.ABRoot: "podman login"} {
			err := osupdate.Explain(kind, nil, &osupdate.ToolError{Argv: []string{"/usr/bin/x"}, Code: 1, Stderr: text})
			if !errors.Is(err, osupdate.ErrPermission) || !strings.Contains(strings.Join(fail.Hints(err), " "), word) {
				t.Errorf("%s, %q: %v, %q", kind, text, err, fail.Hints(err))
			}
		}
	}
}

// TestH18_QuotedKernelArguments are one argument each.
func TestH18_QuotedKernelArguments(t *testing.T) {
	got := osupdate.SplitKargs(`root=UUID=1 dyndbg="file a.c +fmp" quiet`)
	if !slices.Equal(got, []string{"root=UUID=1", `dyndbg="file a.c +fmp"`, "quiet"}) {
		t.Errorf("%q", got)
	}
	for arg, ok := range map[string]bool{`dyndbg="file a.c +fmp"`: true, `a="b`: false, "a b": false, `a="b c" d`: false, "quiet": true} {
		err := osupdate.Request{Verb: osupdate.Kargs, Append: []string{arg}}.Validate()
		if (err == nil) != ok {
			t.Errorf("%q: %v", arg, err)
		}
	}
	root := t.TempDir()
	write(t, root+"/proc/cmdline", "quiet ostree=/x (ostree:0) -- init=1")
	if got := osupdate.RunningKargs(root); !slices.Equal(got, []string{"quiet"}) {
		t.Errorf("%q", got)
	}
}

// TestH23_RebootRefused: systemctl's refusal is not the updater's fault.
func TestH23_RebootRefused(t *testing.T) {
	for text, c := range map[string]struct {
		kind error
		says string
	}{
		"Operation denied due to active block inhibitor\n":                                                                {osupdate.ErrInhibited, "a program inhibits it"},
		"Operation inhibited by \"backup\" (PID 12 \"sleep\", user root), reason is \"copying\".\n":                       {osupdate.ErrInhibited, "backup"},
		"User dev is logged in on pts/0.\nPlease retry operation after closing inhibitors and logging out other users.\n": {osupdate.ErrInhibited, "dev is logged in on pts/0"},
		"Call to Reboot failed: Interactive authentication required.\n":                                                   {osupdate.ErrPermission, "systemctl"},
	} {
		root := t.TempDir()
		h := booted(t, root)
		write(t, root+"/bin/systemctl", "#!/bin/sh\nprintf '%s' '"+text+"' >&2; exit 1\n")
		if err := os.Chmod(filepath.Join(root, "bin/systemctl"), 0o755); err != nil {
			t.Fatal(err)
		}
		_, err := h.Do(t.Context(), osupdate.Request{Verb: osupdate.Reboot}, false)
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "ostree failed") || len(fail.Hints(err)) == 0 {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestH61_Difference: two systems of one version are told apart by what differs.
func TestH61_Difference(t *testing.T) {
	plain := osupdate.Deployment{Version: "2", Changes: &osupdate.Changes{}, Kargs: []string{"rw"}}
	for want, c := range map[string]struct{ before, after osupdate.Deployment }{
		"": {plain, plain},
		"with hello, local-1-1.noarch; replaced in the base: tool; removed from the base: firefox": {plain, osupdate.Deployment{Changes: &osupdate.Changes{
			Layered: []string{"hello"}, Local: []string{"local-1-1.noarch"}, Replaced: []string{"tool"}, Removed: []string{"firefox"}}}},
		"without hello; from the base again: tool":                    {osupdate.Deployment{Changes: &osupdate.Changes{Layered: []string{"hello"}, Replaced: []string{"tool"}}}, plain},
		"with an initramfs of this host":                              {plain, osupdate.Deployment{Changes: &osupdate.Changes{Initramfs: true}}},
		"kernel arguments added: quiet; kernel arguments removed: rw": {plain, osupdate.Deployment{Kargs: []string{"quiet"}}},
	} {
		if got := osupdate.Difference(&c.before, &c.after); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// elevator is root's tbx: it notes what it is asked.
type elevator struct{ asked []osupdate.Verb }

func (e *elevator) Run(_ context.Context, o osupdate.Order, _ func(osupdate.Progress)) (*osupdate.Answer, error) {
	e.asked = append(e.asked, o.Request.Verb)
	return &osupdate.Answer{Result: &osupdate.Result{}}, nil
}

// TestH80_RebootIsElevated where logind lets this session not restart the machine.
func TestH80_RebootIsElevated(t *testing.T) {
	for text, elevated := range map[string]bool{
		"Call to Reboot failed: Interactive authentication required.\n": true, "Operation denied due to active block inhibitor\n": false,
	} {
		root := t.TempDir()
		write(t, root+"/run/ostree-booted", "")
		write(t, root+"/proc/cmdline", "quiet")
		write(t, root+"/bin/systemctl", "#!/bin/sh\nprintf '%s' '"+text+"' >&2; exit 1\n")
		if err := os.Chmod(filepath.Join(root, "bin/systemctl"), 0o755); err != nil {
			t.Fatal(err)
		}
		e, b := &elevator{}, oneSystem("x:y")
		h, err := osupdate.Open(osupdate.Config{
			Root: root, StateDir: root + "/state", LockPath: root + "/lock", Tools: &osupdate.Tools{Dirs: []string{root + "/bin"}}, Elevate: e,
			NewBackend: func(osupdate.Detection, osupdate.Config) (osupdate.Backend, error) { return &b, nil },
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = h.Do(t.Context(), osupdate.Request{Verb: osupdate.Reboot}, false)
		if (len(e.asked) == 1) != elevated || elevated == (err != nil) {
			t.Errorf("%q: root was asked %q, %v", text, e.asked, err)
		}
	}
}

// TestH81_AtWork: an operation without an end is no interrupted one while its tbx works,
// or while the updater does.
func TestH81_AtWork(t *testing.T) {
	root := t.TempDir()
	h := booted(t, root)
	write(t, root+"/proc/sys/kernel/random/boot_id", "now\n")
	sleep, err := os.ReadFile("/bin/sleep")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root+"/tbx", sleep, 0o755); err != nil {
		t.Fatal(err)
	}
	work := exec.Command(root+"/tbx", "60")
	if err := work.Start(); err != nil {
		t.Fatal(err)
	}
	write(t, root+"/state/history.jsonl", fmt.Sprintf(`{"op":"1-%d","phase":"begin","time":"2026-11-01T10:00:00Z","boot":"now","user":0,"backend":"ostree","request":{"verb":"upgrade"}}`+"\n", work.Process.Pid))
	for range 500 { // until it is called tbx
		if name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", work.Process.Pid)); string(name) == "tbx\n" {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if st, err := h.Status(t.Context()); err != nil || st.Interrupted != nil {
		t.Errorf("while it works: %+v, %v", st, err)
	}
	if err := work.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = work.Wait() // it was killed
	if st, err := h.Status(t.Context()); err != nil || st.Interrupted == nil {
		t.Errorf("when it is gone: %+v, %v", st, err)
	}
}
