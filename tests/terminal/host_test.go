//go:build system

package terminal_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const offer = `  1  in a toolbox\n  2  on the host\ninstall htop in a toolbox instead\? nothing on the host changes \[1-2\] `

// TestHostInstallOffersToolbox: the question, and what is not a choice.
func TestHostInstallOffersToolbox(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		keys, says string
		code       int
	}{
		"a toolbox":     {"1\r", `Nothing was changed\. To install htop in your toolbox, use its package manager: tbx enter`, 0},
		"nothing":       {"\r", "tbx: nothing was chosen", 130},
		"a wrong one":   {"3\r", "tbx: nothing was chosen", 130},
		"end of input":  {"\x04", "tbx: nothing was chosen", 130},
		"an odd answer": {"\x1b[31m1\r", "tbx: nothing was chosen", 130},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := openPTY(t, nil, "tbx", "host", "install", "htop")
			expect(t, p, offer)
			p.send(c.keys)
			if st := p.end(t); st.ExitStatus() != c.code {
				t.Errorf("exit status %d, want %d:\n%s", st.ExitStatus(), c.code, p.shown())
			}
			expect(t, p, c.says)
		})
	}
}

// imageHost starts a command on a host that was made from an image: this machine
// in a namespace, booted by bootc's composefs as its kernel's command line says,
// with a bootc that shows one system.
const imageHost = `set -e
mount -t tmpfs none "$D/root"
for f in /*; do
  if [ "$f" = /run ]; then mkdir "$D/root/run"; mount -t tmpfs none "$D/root/run" # it may say that this is a container
  elif [ -L "$f" ]; then cp -P "$f" "$D/root/"; elif [ -d "$f" ]; then mkdir "$D/root$f"; mount --rbind "$f" "$D/root$f"; fi
done
mkdir -p "$D/root$XDG_RUNTIME_DIR"; mount --bind "$XDG_RUNTIME_DIR" "$D/root$XDG_RUNTIME_DIR"
mount --bind "$D/cmdline" "$D/root/proc/cmdline"
cd "$D/root"; pivot_root . .; umount -l .; cd /
exec unshare --user --map-user="$U" --map-group="$G" -- "$@"
`

const bootcStatus = `{"status":{"booted":{"image":{"image":{"image":"quay.io/example/desktop:latest","transport":"registry"},"version":"43.1",
"imageDigest":"sha256:2222222222222222222222222222222222222222222222222222222222222222"},"composefs":{"verity":"VERITY"}}}}`

// TestHostInstallInImage: where the host comes from an image and has no layers, the
// owner's own Containerfile is offered after the toolbox.
func TestHostInstallInImage(t *testing.T) {
	t.Parallel()
	for answer, c := range map[string]struct {
		says string
		code int
	}{
		"y": {`Added htop to \S+/tbx/host/Containerfile\n(.*\n)*Build it and boot it next: sudo tbx host build `, 0},
		"n": {"tbx: not done, because you said no", 130},
		"":  {"tbx: not done, because you said no", 130},
	} {
		t.Run("answer "+answer, func(t *testing.T) {
			t.Parallel()
			dir, verity := t.TempDir(), strings.Repeat("a", 128)
			files := map[string]string{
				"cmdline": "quiet composefs=" + verity + "\n",
				"bootc":   "#!/bin/sh\n[ \"$1\" = status ] || exit 9\ncat <<'E'\n" + strings.Replace(bootcStatus, "VERITY", verity, 1) + "\nE\n",
			}
			if err := os.Mkdir(dir+"/root", 0o755); err != nil {
				t.Fatal(err)
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			env := []string{"D=" + dir, "U=" + strconv.Itoa(os.Getuid()), "G=" + strconv.Itoa(os.Getgid()), "PATH=" + dir + ":" + os.Getenv("PATH"), "XDG_CONFIG_HOME=" + dir + "/config"}
			p := openPTY(t, env, "unshare", "--user", "--map-root-user", "--mount", "sh", "-c", imageHost, "sh", "tbx", "host", "install", "htop")
			expect(t, p, offer)
			p.send("2\r")
			expect(t, p, `tbx: bootc cannot install packages\ntbx: hint: bootc has no package layer; .*\nAdd htop to a Containerfile of your own for this host\? \[y/N\] `)
			p.send(answer + "\r")
			if st := p.end(t); st.ExitStatus() != c.code {
				t.Errorf("exit status %d, want %d:\n%s", st.ExitStatus(), c.code, p.shown())
			}
			expect(t, p, c.says)
			data, err := os.ReadFile(dir + "/config/tbx/host/Containerfile")
			if added := err == nil && strings.HasPrefix(string(data), "# What the host of this machine is") && strings.Contains(string(data), "\nFROM quay.io/example/desktop:latest\nRUN ") && strings.Contains(string(data), " htop "); added != (c.code == 0) {
				t.Errorf("%v\n%s", err, data)
			}
		})
	}
}
