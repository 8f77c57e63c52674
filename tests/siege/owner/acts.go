package main

import (
	"context"
	"math/rand/v2"
	"os/exec"
	"strings"
	"time"

	"github.com/tbx-project/tbx/internal/ptytest"
)

// act is something that the owner does with a toolbox.
type act struct {
	name   string
	weight int
	do     func(s *siege, b *box) (code int)
}

func acts() []act {
	simple := func(args ...string) func(*siege, *box) int {
		return func(s *siege, b *box) int {
			_, code := s.tbx(append(args[:len(args):len(args)], b.name)...)
			return code
		}
	}
	return []act{
		{"run", 6, func(s *siege, b *box) int { _, code := s.tbx("run", b.name, "--", "true"); return code }},
		{"run as root", 3, func(s *siege, b *box) int { _, code := s.tbx("run", "--root", b.name, "--", "true"); return code }},
		{"stop", 2, simple("stop")},
		{"start", 3, simple("start")},
		{"restart", 8, restart},
		{"rename", 4, rename},
		{"podman start", 4, podmanStart},
		{"podman restart", 2, podmanRestart},
		{"make anew", 4, remake},
		{"inspect", 1, simple("inspect")},
		{"logs", 1, simple("logs")},
		{"list", 1, func(s *siege, _ *box) int { _, code := s.tbx("list"); return code }},
		{"enter", 3, enter},
		{"upgrade", 3, upgrade},
		{"edit", 4, edit},
		{"snapshot", 3, snapshot},
		{"rollback", 3, rollback},
		{"clone", 2, clone},
		{"host's command", 1, func(s *siege, b *box) int { _, code := s.tbx("policy", "show"); return code }},
	}
}

// act does one thing at random.
func (s *siege) act(ctx context.Context) {
	s.step++ // each act has a generator of its own: what becomes of one does not change the next
	s.rand = rand.New(rand.NewPCG(s.seed, 1000+s.step))
	all := acts()
	sum := 0
	for _, a := range all {
		sum += a.weight
	}
	n, which := s.rand.IntN(sum), 0
	for n >= all[which].weight {
		n -= all[which].weight
		which++
	}
	b := s.boxes[s.rand.IntN(len(s.boxes))]
	wait := time.Duration(s.rand.IntN(3000)) * time.Millisecond
	if s.acts != "" && !strings.Contains(all[which].name, s.acts) {
		return
	}
	if b.refused > 1 { // the owner sees to it only when told: what stands in the place may be what the adversary wants
		s.fresh()
	}
	code := all[which].do(s, b)
	outcome := all[which].name
	if code != 0 {
		outcome += " (refused)"
		b.refused++
	} else {
		b.refused = 0
	}
	s.log.count(s.log.acts, outcome)
	if b.refused >= 3 { // what is spoilt beyond use is made anew
		remake(s, b)
	}
	pause(ctx, wait)
}

func restart(s *siege, b *box) int {
	s.tbx("stop", b.name)
	_, code := s.tbx("run", b.name, "--", "true")
	return code
}

// rename gives a running toolbox another name and its own again.
func rename(s *siege, b *box) int {
	other := b.name + "-renamed"
	if _, code := s.tbx("rename", b.name, other); code != 0 {
		return code
	}
	s.tbx("run", other, "--", "true")
	if _, code := s.tbx("rename", other, b.name); code != 0 {
		s.log.find("a toolbox cannot get its name back", "tbx rename %s %s: exit code %d", other, b.name, code)
	}
	_, code := s.tbx("run", b.name, "--", "true")
	return code
}

// podmanStart starts it behind tbx's back, as Cockpit and podman-restart do.
func podmanStart(s *siege, b *box) int {
	s.tbx("stop", b.name)
	return s.behind(b, "start")
}

func podmanRestart(s *siege, b *box) int { return s.behind(b, "restart") }

func (s *siege) behind(b *box, verb string) int {
	s.log.did("owner", "podman %s %s", verb, b.name)
	s.behindTbx = true
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	exec.CommandContext(ctx, "podman", verb, b.name).Run()
	_, code := s.tbx("run", b.name, "--", "true")
	return code
}

// remake removes a toolbox with its home, and makes it from an image that somebody hostile may have made.
func remake(s *siege, b *box) int {
	if out, code := s.tbx("rm", "--force", "--yes", b.name); code != 0 && !strings.Contains(out, "there is no toolbox") {
		s.log.find("a toolbox cannot be removed", "tbx rm --force %s: exit code %d: %s", b.name, code, out)
		exec.Command("podman", "rm", "--force", "--time", "0", b.name).Run()
	}
	variants := []string{"clean", "clean", "target", "above", "home", "tbx", "box", "run"}
	s.create(b, variants[s.rand.IntN(len(variants))])
	_, code := s.tbx("run", b.name, "--", "true")
	if code != 0 { // of a hostile image, which may be refused
		s.tbx("rm", "--force", "--yes", b.name)
		s.create(b, "clean")
		_, code = s.tbx("run", b.name, "--", "true")
	}
	return code
}

// enter opens a terminal, says exit or waits for some time, and hangs up.
func enter(s *siege, b *box) int {
	s.log.did("owner", "tbx enter %s", b.name)
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	cmd := s.command(ctx, "enter", b.name)
	cmd.SysProcAttr, cmd.Cancel = nil, nil
	cmd.Env = append(cmd.Env, "TERM=xterm")
	f, err := ptytest.Start(cmd, 24, 80)
	if err != nil {
		return 125
	}
	ended := make(chan struct{})
	go func() {
		buf := make([]byte, 4096)
		for {
			if _, err := f.Read(buf); err != nil {
				break
			}
		}
		close(ended)
	}()
	if s.rand.IntN(2) == 0 {
		pause(ctx, time.Duration(s.rand.IntN(3000))*time.Millisecond)
	} else {
		for range 20 {
			f.WriteString("exit\r")
			select {
			case <-ended:
			case <-time.After(time.Second):
				continue
			}
			break
		}
	}
	f.Close() // hangs up
	done := make(chan struct{})
	go func() {
		cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		s.log.find("a session stays after its terminal", "tbx enter %s: %s", b.name, tree(cmd.Process.Pid))
		cmd.Process.Kill()
		<-done
	}
	return cmd.ProcessState.ExitCode()
}

// upgrade changes to another version of tbx, while toolboxes run.
func upgrade(s *siege, b *box) int {
	s.mu.Lock()
	for i, bin := range s.bins {
		if bin == s.bin {
			s.bin = s.bins[(i+1)%len(s.bins)]
			break
		}
	}
	s.mu.Unlock()
	s.log.did("owner", "now uses %s", s.bin)
	_, code := s.tbx("run", b.name, "--", "true")
	return code
}
