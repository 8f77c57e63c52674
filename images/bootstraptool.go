package images

import (
	_ "embed"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tbx-project/tbx/internal/fail"
	"github.com/tbx-project/tbx/internal/hostprog"
)

// bootstrapScript runs every tool except mmdebstrap, which needs no help.
//
//go:embed bootstrap.sh
var bootstrapScript string

const mmdebstrap = "mmdebstrap"

// bootstrapTools lists the programs that tbx can run, each with the name of its package
// on Debian and on its own distribution.
func bootstrapTools() map[string]string {
	return map[string]string{
		mmdebstrap:    mmdebstrap,
		"debootstrap": "debootstrap",
		"dnf":         "dnf",
		"zypper":      "zypper",
		"pacman":      "pacman (on Debian: pacman-package-manager)",
		"apk":         "apk-tools",
	}
}

func toolNames() []string { return slices.Sorted(maps.Keys(bootstrapTools())) }

// tool is the first of the recipe's tools that this machine has.
func (b *BootstrapRecipe) tool() (means, error) {
	for _, name := range b.Tools {
		if path, err := findProgram(name); err == nil {
			return means{tool: name, path: path}, nil
		}
	}
	e := fail.New(fail.Unable, "the program %s is not installed", strings.Join(b.Tools, " or "))
	for _, name := range b.Tools {
		e.Hint("install the package %s", bootstrapTools()[name])
	}
	return means{}, e
}

// findProgram also looks in the directories of root's programs, which are not in the
// PATH of an ordinary user of Debian.
func findProgram(name string) (string, error) {
	path, err := hostprog.Look(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(dir, name))
	}
	return path, err
}

// command returns the program, its arguments and its variables.
func (r *bootstrapRun) command() (args, env []string) {
	env = []string{"TMPDIR=" + r.tmp, "LC_ALL=C.UTF-8"}
	if r.tool == mmdebstrap {
		return append([]string{r.path}, r.mmdebstrapArgs()...), env
	}
	// podman has the user's subordinate ids mapped. The pid namespace ends with
	// its first process, and all mounts and daemons with it.
	args = []string{"podman", "unshare", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		"sh", "-c", bootstrapScript, "tbx-bootstrap", r.tool}
	return args, append(env, "TBX_SCRATCH="+r.tmp, "TBX_SUITE="+r.ch.Suite, "TBX_SOURCES="+strings.Join(r.sources(), "\n"),
		"TBX_KEYRING="+r.keyring, "TBX_INCLUDE="+strings.Join(r.include, " "))
}

func (r *bootstrapRun) mmdebstrapArgs() []string {
	args := []string{
		"--format=tar", "--variant=minbase", // mode auto: root, else user namespaces, else fakechroot
		"--include=" + strings.Join(r.include, ","),
		// Everything that was installed, for the record.
		`--customize-hook=dpkg-query --admindir="$1/var/lib/dpkg" -W -f 'P: ${Package} ${Version}\n' >&2`,
		r.ch.Suite, "-",
	}
	return append(args, r.sources()...)
}
