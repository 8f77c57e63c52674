package auto

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tbx-project/tbx/internal/bounded"
	"github.com/tbx-project/tbx/internal/rootonly"
	"github.com/tbx-project/tbx/osupdate"
	"github.com/tbx-project/tbx/osupdate/auto/machine"
)

// Verdict is what a look at the running system came to.
type Verdict struct {
	Health  machine.Health `json:"-"`
	Reasons []string       `json:"reasons,omitempty"` // what is wrong or waited for
	Judge   string         `json:"judge,omitempty"`   // who decides instead of tbx
	Remarks []string       `json:"remarks,omitempty"` // what failed and does not count
}

// Prover looks whether the running system is healthy.
type Prover struct {
	Root     string
	Tools    *osupdate.Tools
	Settings *Settings
	Known    []string                    // what failed before the update too
	Source   func(context.Context) error // asks the source of updates
}

// checkDirs hold programs that must succeed, and those whose failure is only told.
// greenboot's are run where greenboot itself is not there to do it.
func checkDirs(root string) (required, wanted []string) {
	return []string{filepath.Join(root, "etc/tbx/host/check.d"), filepath.Join(root, "etc/greenboot/check/required.d"),
			filepath.Join(root, "usr/lib/greenboot/check/required.d")},
		[]string{filepath.Join(root, "etc/greenboot/check/wanted.d"), filepath.Join(root, "usr/lib/greenboot/check/wanted.d")}
}

// Prove looks once. It never waits for the boot to end: the next run looks again.
func (p *Prover) Prove(ctx context.Context) Verdict {
	v := Verdict{Judge: p.judge(ctx)}
	systemctl, err := p.Tools.Path("systemctl")
	if err != nil {
		v.Reasons = append(v.Reasons, "there is no systemctl to ask whether the boot has ended")
		return v
	}
	// is-system-running ends with a code other than 0 for all but "running".
	state, _, _ := p.Tools.Run(ctx, osupdate.Call{Argv: []string{systemctl, "is-system-running"}})
	switch strings.TrimSpace(string(state)) {
	case "initializing", "starting", "":
		v.Reasons = append(v.Reasons, "the boot has not ended")
		return v
	}
	if v.Judge == "boot counting" {
		switch osupdate.Blessed(ctx, p.Tools) {
		case "good":
			v.Health = machine.Healthy
		case "bad":
			v.Health, v.Reasons = machine.Unhealthy, []string{"boot counting has marked it as bad"}
		default:
			v.Reasons = []string{"boot counting has not marked it as good yet"}
		}
		return v
	}
	for _, what := range p.Failing(ctx) {
		if !slices.Contains(p.Known, what) {
			v.Reasons = append(v.Reasons, what+" fails, and did not before the update")
		}
	}
	required, wanted := checkDirs(p.Root)
	if v.Judge == "greenboot" { // it has run its own
		required, wanted = required[:1], nil
	}
	failed, _ := p.programs(ctx, required)
	v.Reasons = append(v.Reasons, failed...)
	v.Remarks, _ = p.programs(ctx, wanted)
	if err := p.Source(ctx); err != nil && p.Settings.RequireSource {
		v.Reasons = append(v.Reasons, "the source of updates does not answer: "+err.Error())
	} else if err != nil {
		v.Remarks = append(v.Remarks, "the source of updates does not answer: "+err.Error())
	}
	v.Health = machine.Healthy
	if len(v.Reasons) > 0 {
		v.Health = machine.Unhealthy
	}
	return v
}

// judge is what decides instead of tbx: greenboot, where it is enabled, or a boot loader
// that counts boots.
func (p *Prover) judge(ctx context.Context) string {
	if Enabled(p.Root, "greenboot-healthcheck.service") {
		return "greenboot"
	}
	switch osupdate.Blessed(ctx, p.Tools) {
	case "good", "bad", "indeterminate":
		return "boot counting"
	}
	return ""
}

// Failing is what does not work on the running system: units that have failed, and
// podman. What fails before an update is not the update's fault.
func (p *Prover) Failing(ctx context.Context) []string {
	var out []string
	if systemctl, err := p.Tools.Path("systemctl"); err == nil {
		listed, _, err := p.Tools.Run(ctx, osupdate.Call{Argv: []string{systemctl, "list-units", "--state=failed", "--plain", "--no-legend",
			"--no-pager", "--full"}})
		for line := range strings.Lines(string(listed)) {
			if f := strings.Fields(line); err == nil && len(f) > 0 && !strings.HasPrefix(f[0], "tbx-host-") {
				out = append(out, f[0])
			}
		}
	}
	if podman, err := p.Tools.Path("podman"); err == nil {
		if _, _, err := p.Tools.Run(ctx, osupdate.Call{Argv: []string{podman, "info", "--format", "{{.Host.OS}}"}}); err != nil {
			out = append(out, "podman")
		}
	}
	return out
}

// programs runs every program of the directories, in the order of their names.
func (p *Prover) programs(ctx context.Context, dirs []string) (failed []string, ran int) {
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // there is none
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			fi, err := os.Stat(path)
			if err != nil || !fi.Mode().IsRegular() || fi.Mode()&0o111 == 0 {
				continue
			}
			ran++
			if err := p.check(ctx, path); err != nil {
				failed = append(failed, fmt.Sprintf("%s: %v", path, err))
			}
		}
	}
	return failed, ran
}

// maxSaid is how much of a check's output is kept.
const maxSaid = 16 << 10

// check runs one program, and ends it with all that it started when its time is over.
func (p *Prover) check(ctx context.Context, path string) error {
	if os.Geteuid() == 0 && p.Root == "/" {
		if err := rootonly.Check(path); err != nil {
			return fmt.Errorf("it is not run: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(p.Settings.CheckSeconds)*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path)
	cmd.Dir, cmd.Env = "/", []string{"LC_ALL=C.UTF-8", "PATH=" + strings.Join(osupdate.SystemDirs(), ":")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second // a child that left the group may keep the pipe
	said := &discardAfter{kept: bounded.Buffer{Most: maxSaid}}
	cmd.Stdout, cmd.Stderr = said, said
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("it had not ended after %d seconds", p.Settings.CheckSeconds)
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	}
	if line := lastLine(said.kept.String()); line != "" {
		return fmt.Errorf("%w: %s", err, line)
	}
	return err
}

// discardAfter keeps the beginning and takes all: a program that talks much is not ended
// for that.
type discardAfter struct{ kept bounded.Buffer }

func (d *discardAfter) Write(p []byte) (int, error) {
	d.kept.Write(p)
	return len(p), nil
}

func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
